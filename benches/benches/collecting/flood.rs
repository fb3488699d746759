//! Datagrams at a rate, for seconds, to a receiver that runs at the same time: is one lost?

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use benches::{
    cpu_time,
    datagrams::Pace,
    workload::{Messages, RECORDS},
};
use ipfix::transport::collect::SessionCounters;

use crate::{
    receiver::{on_its_own, receive_while},
    sender::{each, length, renumber},
};

/// Records per second that must arrive without loss.
const RATE: u32 = 1_000_000;
/// For about how long.
const SECONDS: u32 = 10;

/// What came of it.
pub(crate) struct Flood {
    pub(crate) records_sent: u64,
    pub(crate) messages_sent: u64,
    pub(crate) counters: SessionCounters,
    /// Datagrams the kernel had no room for, by its own counter (of all sockets).
    pub(crate) dropped: u64,
    pub(crate) sending: Sending,
    /// Time on the CPU.
    pub(crate) receiving: Duration,
}

/// The sender's side of it.
pub(crate) struct Sending {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// Sends `messages` as often as the rate asks for.
pub(crate) fn flood(messages: &Messages) -> Flood {
    let records = u32::try_from(RECORDS).expect("not as many");
    let passes = SECONDS * RATE / records;
    let each_pass = messages.iter().count() as u64 - 1;
    let before = receive_buffer_errors();
    let data = messages.bytes().to_vec();
    let send = move |to| send(data, passes, to);
    let (receiving, counters, sending) = on_its_own(|| receive_while(send));
    Flood {
        records_sent: u64::from(passes) * u64::from(records),
        messages_sent: u64::from(passes) * each_pass + 1,
        counters,
        dropped: receive_buffer_errors() - before,
        sending,
        receiving,
    }
}

fn send(mut messages: Vec<u8>, passes: u32, to: SocketAddr) -> Sending {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(to).expect("an address");
    let records = u32::try_from(RECORDS).expect("not as many");
    let count = u32::try_from(each(&messages).count()).expect("not as many");
    let mut pace = Pace::new(f64::from(RATE) * f64::from(count) / f64::from(records));
    let begun = (cpu_time(), std::time::Instant::now());
    for pass in 0..passes {
        if pass > 0 {
            renumber(&mut messages, records);
        }
        // The Template is told once.
        let from = if pass == 0 { 0 } else { length(&messages) };
        pace.send(&socket, each(&messages[from..])).expect("it is sent");
    }
    Sending { cpu: cpu_time().saturating_sub(begun.0), wall: begun.1.elapsed() }
}

/// Reads the kernel's counter of datagrams that no socket buffer had room for, in this network
/// namespace.
fn receive_buffer_errors() -> u64 {
    let counters = fs::read_to_string("/proc/net/snmp").expect("every Linux has it");
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let [names, values] = [lines.next(), lines.next()].map(|line| line.expect("two lines"));
    let mut both = names.split(' ').zip(values.split(' '));
    let value = both.find_map(|(name, value)| (name == "RcvbufErrors").then_some(value));
    value.expect("it counts them").parse().expect("a number")
}
