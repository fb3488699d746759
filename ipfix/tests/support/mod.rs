//! Records with one number each, and a collector that tells which have arrived.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ipfix::{
    decode::{Session, Summary},
    encode::{EncodeError, Encoder},
    registry::{antrea, iana},
    template::{Template, TemplateId},
    transport::{
        Destination, Transport,
        collect::{
            CollectingProcess, Collector, CollectorSession, Limits, Peer, Refused, Rejected,
            SessionEnd,
        },
        export::{Export, ExportingProcess, Messages},
    },
    value,
};
use tokio::{sync::mpsc, sync::watch, time::timeout};

pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn template() -> Template {
    Template::new(TemplateId::MIN, [iana::OCTET_DELTA_COUNT, antrea::SOURCE_POD_NAME])
}

/// Exports numbers as octetDeltaCount, with a name to fill the message.
#[derive(Debug, Default)]
pub struct Numbers {
    pub name: String,
    pub refused: Vec<u64>,
}

impl Export for Numbers {
    type Record = u64;

    fn templates(&self) -> Vec<Template> {
        vec![template()]
    }

    fn encode(
        &self,
        record: &u64,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encoder.record(export_time, TemplateId::MIN, out, |writer| {
            writer.u64(*record);
            writer.string(&self.name);
        })
    }

    fn refused(&mut self, record: &u64, _: EncodeError) {
        self.refused.push(*record);
    }
}

pub fn exporter(destination: Destination) -> ExportingProcess<Numbers> {
    let messages = Messages::conservative(7, &destination);
    ExportingProcess::new(destination, messages, Numbers::default()).expect("templates fit")
}

pub fn tcp(address: SocketAddr) -> Destination {
    Destination::new(address.to_string(), Transport::Tcp)
}

pub fn udp(address: SocketAddr) -> Destination {
    Destination::new(address.to_string(), Transport::Udp)
}

/// What a [`Recorder`] was told, in order.
#[derive(Debug)]
pub enum Event {
    Opened(Peer),
    Number(SocketAddr, u64),
    Refused(String),
    Ended(String),
}

/// Numbers that make a [`Recorder`] panic, want no more, and wait for what never comes.
pub const PANIC: u64 = 666;
pub const ENOUGH: u64 = 999;
pub const WAIT: u64 = 777;

#[derive(Debug)]
pub struct Recorder(mpsc::UnboundedSender<Event>);

#[derive(Debug)]
pub struct RecorderSession {
    peer: SocketAddr,
    events: mpsc::UnboundedSender<Event>,
    session: Session<()>,
}

impl Collector for Recorder {
    type Plan = ();
    type Session = RecorderSession;

    fn open(&self, peer: &Peer, session: Session<()>) -> RecorderSession {
        self.0.send(Event::Opened(peer.clone())).ok();
        let (peer, events) = (peer.address, self.0.clone());
        RecorderSession { peer, events, session }
    }

    fn refused(&self, _: SocketAddr, why: &Refused) {
        self.0.send(Event::Refused(why.to_string())).ok();
    }
}

impl CollectorSession for RecorderSession {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        let mut numbers = Vec::new();
        let summary = self.session.decode_at(
            now,
            message,
            |_| (),
            |(), _, record| numbers.extend(record.value(0).and_then(value::unsigned)),
        )?;
        tokio::task::yield_now().await;
        assert!(!numbers.contains(&PANIC), "on purpose");
        if numbers.contains(&WAIT) {
            self.events.send(Event::Number(self.peer, WAIT)).ok();
            std::future::pending::<()>().await;
        }
        if numbers.contains(&ENOUGH) {
            return Err(Rejected::Unwanted);
        }
        for number in numbers {
            self.events.send(Event::Number(self.peer, number)).ok();
        }
        Ok(summary)
    }

    fn ended(self, end: &SessionEnd) {
        self.events.send(Event::Ended(end.to_string())).ok();
    }
}

/// A collecting process, what it tells, and what ends it.
pub struct Collecting {
    pub process: CollectingProcess<Recorder>,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub shutdown: watch::Sender<bool>,
}

impl Collecting {
    pub fn new(limits: Limits) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let process = CollectingProcess::new(Recorder(sender), limits);
        Self { process, events, shutdown: watch::Sender::new(false) }
    }

    pub async fn tcp(&self, address: &str) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let (process, shutdown) = (self.process.clone(), self.shutdown.subscribe());
        tokio::spawn(async move { process.tcp(listener, shutdown).await });
        address
    }

    #[cfg(feature = "tls")]
    pub async fn tls(&self, address: &str, tls: ipfix::transport::ServerTls) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let (process, shutdown) = (self.process.clone(), self.shutdown.subscribe());
        tokio::spawn(async move { process.tls(listener, tls, shutdown).await });
        address
    }

    pub fn udp(&self, address: &str) -> SocketAddr {
        let address = address.parse().expect("an address");
        let socket = ipfix::transport::bind_udp(address, 1 << 20).expect("a port");
        let address = socket.local_addr().expect("it has one");
        let (process, shutdown) = (self.process.clone(), self.shutdown.subscribe());
        tokio::spawn(async move { process.udp(socket, shutdown).await });
        address
    }

    /// Returns the next event `pick` wants; others are passed over.
    #[track_caller]
    pub fn until<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> impl Future<Output = T> {
        let caller = std::panic::Location::caller();
        async move {
            let found = timeout(PATIENCE, async {
                loop {
                    let event = self.events.recv().await.expect("the process lives");
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
            });
            found.await.unwrap_or_else(|_| panic!("nothing came; awaited at {caller}"))
        }
    }

    pub async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let number = |event| if let Event::Number(_, n) = event { Some(n) } else { None };
            numbers.push(self.until(number).await);
        }
        numbers
    }

    pub async fn ended(&mut self) -> String {
        self.until(|event| if let Event::Ended(end) = event { Some(end) } else { None }).await
    }

    pub async fn refused(&mut self) -> String {
        self.until(|event| if let Event::Refused(why) = event { Some(why) } else { None }).await
    }

    pub async fn opened(&mut self) -> Peer {
        self.until(|event| if let Event::Opened(peer) = event { Some(peer) } else { None }).await
    }
}
