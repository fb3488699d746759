//! The Exporting Process of either protocol.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use flow::FlowRecord;
use grpc::export::ExportError;
use ipfix::encode::EncodeError;
use ipfix::transport::SessionError;
use ipfix::transport::export::{ExportCounters, ExportingProcess};

use super::{Flows, Route, Spent};
use crate::metrics::DestinationMetrics;

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
    fn new(route: Route, domain: u32, flows: Flows) -> Result<Self, EncodeError> {
        Ok(match route.protocol {
            Protocol::Ipfix => {
                let messages = route.messages(domain);
                Self::Ipfix(Box::new(ExportingProcess::new(route.to, messages, flows)?))
            }
            Protocol::Grpc => {
                Self::Grpc(Box::new(grpc::export::ExportingProcess::new(route.to, domain, flows)))
            }
        })
    }
}

impl Process {
    /// Fails if a Template fits no message.
    pub(super) fn new(
        route: Route,
        domain: u32,
        copy: Option<Arc<File>>,
        metrics: Arc<DestinationMetrics>,
    ) -> Result<Self, EncodeError> {
        let flows = Flows::new(route.form.clone(), copy).counting(metrics);
        let kind = Kind::new(route, domain, flows)?;
        Ok(Self { kind, domain, before: ExportCounters::default() })
    }

    pub(super) fn return_to(&mut self, spent: Arc<Spent>) {
        match &mut self.kind {
            Kind::Ipfix(process) => process.export_mut().return_to(spent),
            Kind::Grpc(process) => process.export_mut().return_to(spent),
        }
    }

    pub(super) fn push(&mut self, record: Arc<FlowRecord>) {
        let (record, again) = self.flows().told(record);
        for record in std::iter::once(record).chain(again) {
            match &mut self.kind {
                Kind::Ipfix(process) => process.push(record),
                Kind::Grpc(process) => process.push(record),
            }
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
    pub(super) async fn redirect(&mut self, route: Route) -> Result<(), Error> {
        match (&mut self.kind, route.protocol) {
            (Kind::Ipfix(process), Protocol::Ipfix) => {
                let left = process.redirect(route.to.clone(), route.messages(self.domain)).await;
                process.export_mut().reform(route.form);
                Ok(left?)
            }
            (Kind::Grpc(process), Protocol::Grpc) => {
                let left = process.redirect(route.to).await;
                process.export_mut().reform(route.form);
                Ok(left?)
            }
            (Kind::Ipfix(_), Protocol::Grpc) | (Kind::Grpc(_), Protocol::Ipfix) => {
                let left = self.close().await;
                let mut flows = self.flows().clone();
                flows.reform(route.form.clone());
                let kind = Kind::new(route, self.domain, flows)?;
                self.before = self.counters();
                let waiting = self.abandon();
                self.kind = kind;
                for record in waiting {
                    self.push(record);
                }
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

    pub(super) fn abandon(&mut self) -> Vec<Arc<FlowRecord>> {
        match &mut self.kind {
            Kind::Ipfix(process) => process.abandon(),
            Kind::Grpc(process) => process.abandon(),
        }
    }
}

/// Seconds, as message headers tell the time; they end in 2106.
pub(super) fn seconds(nanoseconds: u64) -> u32 {
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
        records_in_doubt: one.records_in_doubt + other.records_in_doubt,
    }
}
