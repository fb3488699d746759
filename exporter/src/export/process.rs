//! The Exporting Process of either protocol.

use std::time::Duration;

use flow::FlowRecord;
use grpc::export::ExportError;
use ipfix::encode::EncodeError;
use ipfix::transport::export::{ExportCounters, ExportingProcess, Messages};
use ipfix::transport::{self, SessionError};

use super::Flows;

/// Where records go, and what is spoken there.
#[derive(Debug, Clone)]
pub struct Collector {
    pub to: transport::Destination,
    pub protocol: Protocol,
}

/// What is spoken with a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Ipfix,
    Grpc,
}

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Ipfix(#[from] SessionError),
    #[error(transparent)]
    Grpc(#[from] ExportError),
    #[error("templates cannot be sent")]
    Templates(#[from] EncodeError),
}

/// One of the two.
#[derive(Debug)]
pub(super) struct Process {
    kind: Kind,
    domain: u32,
    /// What processes of before have counted.
    before: ExportCounters,
}

#[derive(Debug)]
enum Kind {
    Ipfix(Box<ExportingProcess<Flows>>),
    Grpc(Box<grpc::export::ExportingProcess<Flows>>),
}

impl Kind {
    fn new(collector: Collector, domain: u32, flows: Flows) -> Result<Self, EncodeError> {
        let Collector { to, protocol } = collector;
        Ok(match protocol {
            Protocol::Ipfix => {
                let messages = messages(&flows, domain, &to);
                Self::Ipfix(Box::new(ExportingProcess::new(to, messages, flows)?))
            }
            Protocol::Grpc => {
                Self::Grpc(Box::new(grpc::export::ExportingProcess::new(to, domain, flows)))
            }
        })
    }
}

impl Process {
    /// Fails if a Template fits no message.
    pub(super) fn new(
        collector: Collector,
        domain: u32,
        flows: Flows,
    ) -> Result<Self, EncodeError> {
        let kind = Kind::new(collector, domain, flows)?;
        Ok(Self { kind, domain, before: ExportCounters::default() })
    }

    pub(super) fn push(&mut self, record: FlowRecord) {
        match &mut self.kind {
            Kind::Ipfix(process) => process.push(record),
            Kind::Grpc(process) => process.push(record),
        }
    }

    pub(super) fn pending(&self) -> usize {
        match &self.kind {
            Kind::Ipfix(process) => process.pending(),
            Kind::Grpc(process) => process.pending(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.kind {
            Kind::Ipfix(process) => process.is_open(),
            Kind::Grpc(process) => process.is_open(),
        }
    }

    pub(super) fn counters(&self) -> ExportCounters {
        let counters = match &self.kind {
            Kind::Ipfix(process) => process.counters(),
            Kind::Grpc(process) => process.counters(),
        };
        sum(self.before, counters)
    }

    pub(super) fn next_delay(&mut self, random: f64) -> Duration {
        match &mut self.kind {
            Kind::Ipfix(process) => process.next_delay(random),
            Kind::Grpc(process) => process.next_delay(random),
        }
    }

    pub(super) async fn open(&mut self, now_ns: u64) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Ipfix(process) => process.open(seconds(now_ns)).await?,
            Kind::Grpc(process) => process.open().await?,
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self, now_ns: u64) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Ipfix(process) => process.flush(seconds(now_ns)).await?,
            Kind::Grpc(process) => process.flush(now_ns).await?,
        }
        Ok(())
    }

    pub(super) async fn closed(&mut self) -> Error {
        match &mut self.kind {
            Kind::Ipfix(process) => process.closed().await.into(),
            Kind::Grpc(process) => process.closed().await.into(),
        }
    }

    pub(super) async fn close(&mut self) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Ipfix(process) => process.close().await?,
            Kind::Grpc(process) => process.close().await?,
        }
        Ok(())
    }

    /// Sends to another collector from now on, in whatever is spoken there. What has not left waits
    /// for it. An error is about the session that is left.
    pub(super) async fn redirect(&mut self, collector: Collector) -> Result<(), Error> {
        match (&mut self.kind, collector.protocol) {
            (Kind::Ipfix(process), Protocol::Ipfix) => {
                let messages = messages(process.export(), self.domain, &collector.to);
                Ok(process.redirect(collector.to, messages).await?)
            }
            (Kind::Grpc(process), Protocol::Grpc) => Ok(process.redirect(collector.to).await?),
            (Kind::Ipfix(_), Protocol::Grpc) | (Kind::Grpc(_), Protocol::Ipfix) => {
                let left = self.close().await;
                let flows = self.flows().clone();
                let kind = Kind::new(collector, self.domain, flows)?;
                self.before = self.counters();
                let waiting = self.abandon();
                self.kind = kind;
                waiting.into_iter().for_each(|record| self.push(record));
                left
            }
        }
    }

    fn flows(&self) -> &Flows {
        match &self.kind {
            Kind::Ipfix(process) => process.export(),
            Kind::Grpc(process) => process.export(),
        }
    }

    pub(super) fn abandon(&mut self) -> Vec<FlowRecord> {
        match &mut self.kind {
            Kind::Ipfix(process) => process.abandon(),
            Kind::Grpc(process) => process.abandon(),
        }
    }
}

impl From<transport::Destination> for Collector {
    /// IPFIX, unless somebody says otherwise.
    fn from(to: transport::Destination) -> Self {
        Self { to, protocol: Protocol::Ipfix }
    }
}

/// How messages to `to` are made.
fn messages(flows: &Flows, domain: u32, to: &transport::Destination) -> Messages {
    Messages { packing: flows.packing(), ..Messages::conservative(domain, to) }
}

/// Seconds, as message headers tell the time; they end in 2106.
fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1_000_000_000).unwrap_or(u32::MAX)
}

fn sum(one: ExportCounters, other: ExportCounters) -> ExportCounters {
    ExportCounters {
        sessions: one.sessions + other.sessions,
        sessions_lost: one.sessions_lost + other.sessions_lost,
        connect_failures: one.connect_failures + other.connect_failures,
        messages: one.messages + other.messages,
        records: one.records + other.records,
        records_refused: one.records_refused + other.records_refused,
        refreshes: one.refreshes + other.refreshes,
        messages_unsendable: one.messages_unsendable + other.messages_unsendable,
    }
}
