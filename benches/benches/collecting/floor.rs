//! The least there is to do: to receive and not look, and to decode what need not be received.

use std::{
    hint::black_box,
    io::Read,
    net::TcpListener,
    time::{Duration, Instant},
};

use benches::{cpu_time, workload::Messages};
use ipfix::{
    decode::{DataRecord, Limits, Session},
    template::Template,
    transport::bind_udp,
};

use crate::{
    receiver::{Carrier, Run, Types, UDP_BUFFER, read, types},
    sender::Sender,
};

const BUFFER: usize = 256 * 1024;
/// Silence after which a sender of datagrams has ended.
const SILENCE: Duration = Duration::from_millis(300);

/// Receives what `sender` sends, and throws it away.
pub(crate) fn receive(carrier: Carrier, sender: Sender) -> Run {
    match carrier {
        Carrier::Udp { .. } => datagrams(sender),
        Carrier::Tcp | Carrier::Tls => stream(sender),
    }
}

fn stream(sender: Sender) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let sending = sender.start(listener.local_addr().expect("it has one"));
    let (mut stream, _) = listener.accept().expect("it connects");
    let (started, begun) = (Instant::now(), cpu_time());
    let mut buffer = vec![0; BUFFER];
    while stream.read(&mut buffer).expect("it sends") > 0 {
        black_box(&buffer);
    }
    let cpu = cpu_time().saturating_sub(begun);
    let run = Run { cpu, wall: started.elapsed(), records: 0 };
    sending.join().expect("it sends");
    run
}

fn datagrams(sender: Sender) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // The same socket as the Collecting Process has, but for its reader.
    let socket = runtime.block_on(async {
        bind_udp("127.0.0.1:0".parse().expect("an address"), UDP_BUFFER)?.into_std()
    });
    let socket = socket.expect("a port");
    socket.set_nonblocking(false).expect("it blocks");
    socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let sending = sender.start(socket.local_addr().expect("it has one"));
    let (started, begun) = (Instant::now(), cpu_time());
    let mut buffer = vec![0; BUFFER];
    while socket.recv(&mut buffer).is_ok() {
        black_box(&buffer);
    }
    let cpu = cpu_time().saturating_sub(begun);
    sending.join().expect("it sends");
    Run { cpu, wall: started.elapsed(), records: 0 }
}

/// Decodes messages that are in memory, as often as they would be sent.
pub(crate) fn decode(messages: &Messages, passes: u32) -> Run {
    let (started, begun) = (Instant::now(), cpu_time());
    let mut records = 0;
    for _ in 0..passes {
        let mut session = Session::new(Limits::default());
        for message in messages.iter() {
            let visit = |plan: &Types, _: &Template, record: DataRecord<'_>| read(plan, record);
            let summary = session.decode(message, types, visit).expect("it is sound");
            records += u64::from(summary.records);
        }
    }
    Run { cpu: cpu_time().saturating_sub(begun), wall: started.elapsed(), records }
}
