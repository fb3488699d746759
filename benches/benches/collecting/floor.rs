//! The least there is to do: to receive and not look, and to decode what need not be received.

use std::{
    hint::black_box,
    io::Read,
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use benches::{cpu_time, workload::Messages};
use ipfix::{
    decode::{DataRecord, Limits, Session},
    template::Template,
    transport::bind_udp,
};
use rustls::{ServerConnection, StreamOwned};

use crate::{
    receiver::{Carrier, Types, UDP_BUFFER, read, types},
    sender::{Sender, Tls},
};

const BUFFER: usize = 256 * 1024;

/// Receives what `sender` sends, and throws it away. Returns the time on the CPU.
pub(crate) fn receive(sender: Sender, tls: &Tls) -> Duration {
    match sender.carrier() {
        Carrier::Udp { .. } => datagrams(sender),
        Carrier::Tcp => stream(sender, |stream| stream),
        Carrier::Tls => stream(sender, |stream| {
            let connection = ServerConnection::new(Arc::clone(&tls.server)).expect("a server");
            StreamOwned::new(connection, stream)
        }),
    }
}

fn stream<S: Read>(sender: Sender, secure: impl FnOnce(TcpStream) -> S) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sending = sender.start(listener.local_addr().expect("it has one"));
    let (stream, _) = listener.accept().expect("it connects");
    let begun = cpu_time();
    let mut stream = secure(stream);
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
    sender.start(socket.local_addr().expect("it has one")).join().expect("it sends");
    let begun = cpu_time();
    let mut buffer = vec![0; BUFFER];
    while socket.recv(&mut buffer).is_ok() {
        black_box(&buffer);
    }
    cpu_time().saturating_sub(begun)
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
