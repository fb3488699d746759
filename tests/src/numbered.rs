//! Flows by number, so that a test can tell which of them arrived and whether any did twice.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use flow::{Counters, Endpoint, FlowEndReason, FlowKey, FlowRecord, FlowType, Profile};

use crate::wire::Wire;

const FIRST: u32 = 0x0a00_0000;
const PORTS: u64 = 60_000;

/// A flow that is told once: it has ended, and one Node saw all of it.
pub fn once(key: FlowKey) -> FlowRecord {
    FlowRecord {
        flow_id: 1,
        key,
        start_ms: 1_700_000_000_000,
        end_ms: 1_700_000_001_000,
        end_reason: FlowEndReason::EndOfFlow,
        flow_type: FlowType::ToExternal,
        source: Endpoint { pod: "web-0".into(), ..Endpoint::default() }.into(),
        forward: Counters {
            packets_total: 1,
            octets_total: 100,
            packets_delta: 1,
            octets_delta: 100,
        },
        ..FlowRecord::default()
    }
}

/// One that differs from all others by its source's address and port.
pub fn record(number: u64) -> FlowRecord {
    let address = FIRST + u32::try_from(number / PORTS).expect("few flows");
    once(FlowKey {
        source: Ipv4Addr::from_bits(address).into(),
        destination: Ipv4Addr::new(192, 0, 2, 1).into(),
        source_port: 1 + u16::try_from(number % PORTS).expect("a port"),
        destination_port: 443,
        protocol: 6,
        ..FlowKey::default()
    })
}

/// The number of the flow from there.
pub fn number(address: Ipv4Addr, port: u64) -> u64 {
    u64::from(address.to_bits() - FIRST) * PORTS + port - 1
}

/// An exporter that sends as fast as it can until it has sent all, is dropped, or is hung up on.
#[derive(Debug)]
pub struct Sender {
    thread: Option<JoinHandle<u64>>,
    enough: Arc<AtomicBool>,
}

impl Sender {
    pub fn start(to: SocketAddr, numbers: Range<u64>) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let thread = Some(std::thread::spawn(move || send(to, numbers, &stop)));
        Self { thread, enough }
    }

    /// Returns the number behind the last record it has sent, perhaps the last ones in vain.
    pub fn finish(mut self) -> u64 {
        let thread = self.thread.take().expect("it was not waited for yet");
        thread.join().expect("it does not panic")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn send(to: SocketAddr, numbers: Range<u64>, enough: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(to).expect("it accepts");
    let mut wire = Wire::new(7, Profile::Fyke);
    let mut bytes = wire.templates(0).expect("templates");
    let mut next = numbers.start;
    while next < numbers.end && !enough.load(Ordering::Relaxed) {
        let end = numbers.end.min(next + 500);
        let records: Vec<_> = (next..end).map(record).collect();
        bytes.extend(wire.records(&records, 0).expect("they fit"));
        next = end;
        if stream.write_all(&bytes).is_err() {
            break;
        }
        bytes.clear();
    }
    next
}
