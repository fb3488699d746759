//! The Collecting Process on a thread of its own.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use benches::cpu_time;
use ipfix::{
    decode::{DataRecord, Session, Summary},
    template::Template,
    transport::{
        ServerTls, bind_udp,
        collect::{
            CollectingProcess, Collector, CollectorSession, Limits, Peer, Rejected,
            SessionCounters, SessionEnd,
        },
    },
};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use crate::sender::{Sender, Tls};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Carrier {
    Tcp,
    Tls,
    /// All that is sent is there before the first is received.
    Udp,
}

/// The socket buffer of a collector that expects bursts.
pub(crate) const UDP_BUFFER: usize = 32 << 20;

pub(crate) use ipfix::decode::Types;

pub(crate) fn types(template: &Template) -> Types {
    Types::of(template)
}

/// Reads every field of a record.
#[inline]
pub(crate) fn read(types: &Types, record: DataRecord<'_>) {
    record.typed(types, |value| _ = black_box(&value));
}

/// Reads everything and keeps nothing.
struct Reading {
    /// The end of a session ends the run.
    over: watch::Sender<bool>,
}

struct ReadingSession {
    decoder: Session<Types>,
    over: watch::Sender<bool>,
}

impl Collector for Reading {
    type Plan = Types;
    type Session = ReadingSession;

    fn open(&self, _: &Peer, decoder: Session<Types>) -> ReadingSession {
        ReadingSession { decoder, over: self.over.clone() }
    }
}

impl CollectorSession for ReadingSession {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        let visit = |plan: &Types, _: &Template, record: DataRecord<'_>| read(plan, record);
        Ok(self.decoder.decode_at(now, message, types, visit)?)
    }

    fn ended(self, _: &SessionEnd) {
        self.over.send_replace(true);
    }
}

/// Receives what `sender` sends, on this thread. Returns its time on the CPU, and how many records
/// came.
pub(crate) fn receive(sender: Sender, tls: &Tls) -> (Duration, u64) {
    let carrier = sender.carrier();
    let config = Arc::clone(&tls.server);
    let tls = ServerTls::new(move || Arc::clone(&config));
    runtime().block_on(async {
        let (process, over) = collecting();
        let stop = over.subscribe();
        if carrier == Carrier::Udp {
            let socket = bind_udp(LOOPBACK, UDP_BUFFER).expect("a port");
            sender.start(socket.local_addr().expect("it has one")).join().expect("it sends");
            // What has arrived by now is read to its end.
            over.send_replace(true);
            let begun = cpu_time();
            process.udp(socket, stop).await;
            let cpu = cpu_time().saturating_sub(begun);
            return (cpu, sound(&process).records);
        }
        let begun = cpu_time();
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let sending = sender.start(listener.local_addr().expect("it has one"));
        match carrier {
            Carrier::Tls => process.tls(listener, tls, stop).await,
            _ => process.tcp(listener, stop).await,
        }
        let cpu = cpu_time().saturating_sub(begun);
        sending.join().expect("it sends");
        (cpu, sound(&process).records)
    })
}

/// Receives datagrams on this thread while `send` sends them on another. Returns this thread's time
/// on the CPU, what it has counted, and what `send` says.
pub(crate) fn receive_while<T: Send + 'static>(
    send: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> (Duration, SessionCounters, T) {
    runtime().block_on(async {
        let (process, over) = collecting();
        let stop = over.subscribe();
        let socket = bind_udp(LOOPBACK, UDP_BUFFER).expect("a port");
        let to = socket.local_addr().expect("it has one");
        let sender = thread::Builder::new().name("sender".into());
        let sending = sender.spawn(move || {
            let said = send(to);
            // Nothing ends a UDP session, but what has arrived by now is read.
            over.send_replace(true);
            said
        });
        let begun = cpu_time();
        process.udp(socket, stop).await;
        let cpu = cpu_time().saturating_sub(begun);
        let said = sending.expect("a thread").join().expect("it sends");
        (cpu, sound(&process), said)
    })
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A process, and what ends it.
fn collecting() -> (CollectingProcess<Reading>, watch::Sender<bool>) {
    let over = watch::Sender::new(false);
    let limits = Limits { drain: Duration::from_secs(5), ..Limits::default() };
    (CollectingProcess::new(Reading { over: over.clone() }, limits), over)
}

/// Returns what was counted, once it is clear that all of it could be read.
fn sound(process: &CollectingProcess<Reading>) -> SessionCounters {
    let counters = process.counters().sessions;
    let told = (counters.malformed, counters.sets_without_template, counters.out_of_order);
    assert_eq!(told, (0, 0, 0), "{counters:?}");
    counters
}

/// Runs `work` on a thread that has done nothing else.
pub(crate) fn on_its_own<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let (result, done) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("receiver".into());
        thread.spawn_scoped(scope, move || result.send(work()).ok()).expect("a thread");
    });
    done.recv().expect("it did not panic")
}
