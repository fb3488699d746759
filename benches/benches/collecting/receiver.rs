//! The Collecting Process on a thread of its own.

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use benches::cpu_time;
use ipfix::{
    decode::{DataRecord, Session, Summary},
    registry::{self, DataType},
    template::Template,
    transport::{
        ServerTls, bind_udp,
        collect::{
            CollectingProcess, Collector, CollectorSession, Limits, Peer, Rejected, SessionEnd,
        },
    },
    value::Value,
};
use tokio::{net::TcpListener, sync::watch};

use crate::sender::{Sender, Tls};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Carrier {
    Tcp,
    Tls,
    /// At so many records per second.
    Udp {
        rate: f64,
    },
}

/// The socket buffer of a collector that expects bursts.
pub(crate) const UDP_BUFFER: usize = 32 << 20;

/// What one run took and told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) records: u64,
}

/// How the fields of a Template are to be read.
pub(crate) type Types = Vec<DataType>;

pub(crate) fn types(template: &Template) -> Types {
    let element = |pen, id| registry::element(pen, id).map(|element| element.data_type);
    let fields = template.fields.iter();
    fields.map(|field| element(field.pen, field.id).unwrap_or(DataType::OctetArray)).collect()
}

/// Reads every field of a record.
#[inline]
pub(crate) fn read(types: &Types, record: DataRecord<'_>) {
    for (data_type, bytes) in types.iter().zip(record.values()) {
        black_box(Value::decode(*data_type, bytes));
    }
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

/// Receives what `sender` sends, on this thread.
pub(crate) fn receive(sender: Sender, tls: &Tls) -> Run {
    let carrier = sender.carrier();
    let config = Arc::clone(&tls.server);
    let tls = ServerTls::new(move || Arc::clone(&config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let over = watch::Sender::new(false);
        let stop = over.subscribe();
        let limits = Limits { drain: Duration::from_secs(5), ..Limits::default() };
        let process = CollectingProcess::new(Reading { over: over.clone() }, limits);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let started = Instant::now();
        let begun = cpu_time();
        match carrier {
            Carrier::Tcp | Carrier::Tls => {
                let listener = TcpListener::bind(loopback).await.expect("a port");
                let sending = sender.start(listener.local_addr().expect("it has one"));
                match carrier {
                    Carrier::Tls => process.tls(listener, tls, stop).await,
                    _ => process.tcp(listener, stop).await,
                }
                sending.join().expect("it sends");
            }
            Carrier::Udp { .. } => {
                let socket = bind_udp(loopback, UDP_BUFFER).expect("a port");
                let sending = sender.start(socket.local_addr().expect("it has one"));
                // Nothing ends a UDP session, but what has arrived by the end of the sender is read.
                thread::spawn(move || {
                    sending.join().expect("it sends");
                    over.send_replace(true);
                });
                process.udp(socket, stop).await;
            }
        }
        let counters = process.counters().sessions;
        let told = (counters.malformed, counters.sets_without_template, counters.out_of_order);
        assert_eq!(told, (0, 0, 0), "{counters:?}");
        Run {
            cpu: cpu_time().saturating_sub(begun),
            wall: started.elapsed(),
            records: counters.records,
        }
    })
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
