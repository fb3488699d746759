//! The least there is to do: to receive and not look, and to decode what need not be received.

use std::{hint::black_box, io::Read, net::TcpListener, time::Duration};

use crate::{
    receiver::{Carrier, Types, UDP_BUFFER, read, types},
    sender::Sender,
};
use aws_lc_rs::aead::{AES_128_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use benches::{cpu_time, workload::Messages};
use ipfix::{
    decode::{DataRecord, Limits, Session},
    template::Template,
    transport::bind_udp,
};

const BUFFER: usize = 256 * 1024;

/// What both ends of the TLS sessions agree on.
const CIPHER: &Algorithm = &AES_128_GCM;
/// The most text in a record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;
/// Records that are there at once; to ask for the time costs as much as to decrypt a part of one.
const TOGETHER: usize = 8;
/// What an encrypted record has behind its text and in front of it (RFC 8446, section 5.2).
const APPLICATION_DATA: u8 = 23;
const HEADER: [u8; 5] = [APPLICATION_DATA, 3, 3, 0x40, 0x11];

/// Receives what `sender` sends, and throws it away. Returns the time on the CPU.
pub(crate) fn receive(sender: Sender) -> Duration {
    if sender.carrier() == Carrier::Udp { datagrams(sender) } else { stream(sender) }
}

fn stream(sender: Sender) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sending = sender.start(listener.local_addr().expect("it has one"));
    let (mut stream, _) = listener.accept().expect("it connects");
    let begun = cpu_time();
    let mut buffer = vec![0; BUFFER];
    while stream.read(&mut buffer).expect("it sends") > 0 {
        black_box(&buffer);
    }
    let cpu = cpu_time().saturating_sub(begun);
    drop(stream);
    sending.join().expect("it sends");
    cpu
}

/// Reads datagrams that are all there already: a reader that does nothing else would otherwise
/// wait for each, and that is what would be measured.
fn datagrams(sender: Sender) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let socket = runtime.block_on(async {
        bind_udp("127.0.0.1:0".parse().expect("an address"), UDP_BUFFER)?.into_std()
    });
    let socket = socket.expect("a port");
    let sent = sender.messages();
    sender.start(socket.local_addr().expect("it has one")).join().expect("it sends");
    let begun = cpu_time();
    let mut buffer = vec![0; BUFFER];
    let mut received = 0;
    while socket.recv(&mut buffer).is_ok() {
        black_box(&buffer);
        received += 1;
    }
    let cpu = cpu_time().saturating_sub(begun);
    assert_eq!(received, sent, "the socket's buffer holds all of them");
    cpu
}

/// Decrypts what `messages` are as TLS 1.3 has them, each record where it is, with the library that
/// TLS uses: a cipher and nothing around it. Returns the time on the CPU.
pub(crate) fn decrypt(messages: &Messages, passes: u32) -> Duration {
    let key = || UnboundKey::new(CIPHER, &[7; 16]).expect("a key of that length");
    let key = LessSafeKey::new(key());
    let nonce = || Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let mut sealed = Vec::new();
    for text in messages.bytes().chunks(RECORD) {
        let mut record = text.to_vec();
        record.push(APPLICATION_DATA);
        key.seal_in_place_append_tag(nonce(), Aad::from(HEADER), &mut record).expect("it fits");
        sealed.push(record);
    }
    let mut cpu = Duration::ZERO;
    let mut buffer = vec![Vec::new(); TOGETHER];
    for records in (0..passes).flat_map(|_| sealed.chunks(TOGETHER)) {
        // As a read from the socket would have left them.
        for (record, place) in records.iter().zip(&mut buffer) {
            place.clone_from(record);
        }
        let begun = cpu_time();
        for record in &mut buffer[..records.len()] {
            let text = key.open_in_place(nonce(), Aad::from(HEADER), record);
            black_box(text.expect("it is sound"));
        }
        cpu += cpu_time().saturating_sub(begun);
    }
    cpu
}

/// Decodes messages that are in memory. Returns the time on the CPU.
pub(crate) fn decode(messages: &Messages, passes: u32) -> Duration {
    let begun = cpu_time();
    for _ in 0..passes {
        let mut session = Session::new(Limits::default());
        for message in messages.iter() {
            let visit = |plan: &Types, _: &Template, record: DataRecord<'_>| read(plan, record);
            session.decode(message, types, visit).expect("it is sound");
        }
    }
    cpu_time().saturating_sub(begun)
}
