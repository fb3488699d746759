//! The Collecting Process: Transport Sessions over TCP become batches of Flow Records.
//!
//! Each session has a task of its own with one message buffer and its own template cache. What a
//! peer sends can end its own session and nothing else: RFC 7011, section 10.4.3 asks to close a
//! session that sent a malformed message. A full queue stops the reading, and TCP stops the
//! sender.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{FlowRecord, Interner, Plan};
use ipfix::decode::{Limits, Session, Summary};
use ipfix::message::MessageError;
use ipfix::transport::{MessageStream, ReadError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::metrics::{Metrics, SessionEnd};

/// Distinct names a session shares among its records. Beyond, they are shared anew.
const NAMES_PER_SESSION: usize = 65_536;
/// How long a session may still be read once shutdown was asked for. Exporters have flushed by
/// then; what they sent is in the socket buffers.
const DRAIN: Duration = Duration::from_millis(200);

/// What one message of a session told.
#[derive(Debug)]
pub struct Reported {
    /// The Node, by Observation Domain.
    pub domain: u32,
    pub records: Vec<FlowRecord>,
}

/// Bounds of the Collecting Process.
#[derive(Debug, Clone, Copy)]
pub struct CollectorLimits {
    pub sessions: usize,
    /// A session that is silent for this long is closed.
    pub idle: Duration,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { sessions: 4096, idle: Duration::from_mins(10) }
    }
}

/// Accepts Transport Sessions until `shutdown` turns true, then lets those that are open finish.
pub async fn collect(
    listener: TcpListener,
    limits: CollectorLimits,
    reported: mpsc::Sender<Reported>,
    metrics: Arc<Metrics>,
    mut shutdown: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.sessions));
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.wait_for(|stop| *stop) => break,
            Some(end) = sessions.join_next() => {
                note_panic(end, &metrics);
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: they come back as sessions end.
                tracing::warn!(%error, "a session cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            metrics.session_ended(SessionEnd::TooMany);
            tracing::warn!(%peer, limit = limits.sessions, "session refused: too many are open");
            continue;
        };
        let session = Collected {
            peer,
            limits,
            reported: reported.clone(),
            metrics: Arc::clone(&metrics),
            shutdown: shutdown.clone(),
        };
        sessions.spawn(async move {
            session.run(stream).await;
            drop(permit);
        });
    }
    while let Some(end) = sessions.join_next().await {
        note_panic(end, &metrics);
    }
}

/// A panic ends its own session alone.
fn note_panic(end: Result<(), tokio::task::JoinError>, metrics: &Metrics) {
    if let Err(error) = end {
        metrics.session_ended(SessionEnd::Panicked);
        tracing::error!(%error, "a session panicked");
    }
}

/// One Transport Session.
struct Collected {
    peer: SocketAddr,
    limits: CollectorLimits,
    reported: mpsc::Sender<Reported>,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
}

impl Collected {
    async fn run(mut self, stream: TcpStream) {
        tracing::info!(peer = %self.peer, "session opened");
        self.metrics.sessions.inc();
        let end = self.read(stream).await;
        self.metrics.sessions.dec();
        self.metrics.session_ended(end);
    }

    async fn read(&mut self, stream: TcpStream) -> SessionEnd {
        let mut messages = MessageStream::new(stream);
        let mut decoder = Decoder::new();
        let mut draining = false;
        loop {
            let patience = if draining { DRAIN } else { self.limits.idle };
            let next = tokio::select! {
                next = tokio::time::timeout(patience, messages.next()) => next,
                _ = self.shutdown.wait_for(|stop| *stop), if !draining => {
                    draining = true;
                    continue;
                }
            };
            let end = match next {
                Ok(Ok(Some(message))) => self.take(message, &mut decoder).await,
                Ok(Ok(None)) => Some(self.closed(SessionEnd::Closed)),
                Ok(Err(error)) => Some(self.failed(&error)),
                Err(_) if draining => Some(self.closed(SessionEnd::Shutdown)),
                Err(_) => Some(self.closed(SessionEnd::Idle)),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Passes on what one message tells. Returns the session's end if this is it.
    async fn take(&self, message: &[u8], decoder: &mut Decoder) -> Option<SessionEnd> {
        let (summary, records) = match decoder.decode(message) {
            Ok(told) => told,
            Err(error) => return Some(self.failed(&ReadError::Message(error))),
        };
        self.count(&summary);
        if records.is_empty() {
            return None;
        }
        let reported = Reported { domain: summary.header.domain, records };
        let passed_on = self.reported.send(reported).await;
        passed_on.err().map(|_| self.closed(SessionEnd::Shutdown))
    }

    fn closed(&self, end: SessionEnd) -> SessionEnd {
        tracing::info!(peer = %self.peer, reason = end.label(), "session closed");
        end
    }

    fn failed(&self, error: &ReadError) -> SessionEnd {
        let end = match error {
            ReadError::Message(_) => SessionEnd::Malformed,
            ReadError::Truncated(_) => SessionEnd::Truncated,
            ReadError::Io(_) => SessionEnd::Broken,
        };
        tracing::warn!(peer = %self.peer, reason = end.label(), error = %Chain(error), "session closed");
        end
    }

    fn count(&self, summary: &Summary) {
        let metrics = &self.metrics;
        metrics.messages.inc();
        metrics.records_received.inc_by(u64::from(summary.records));
        if summary.lost_records > 0 {
            metrics.records_lost.inc_by(u64::from(summary.lost_records));
            tracing::warn!(
                peer = %self.peer,
                domain = summary.header.domain,
                records = summary.lost_records,
                "sequence numbers skip: records were lost on the way"
            );
        }
        metrics.sets_without_template.inc_by(u64::from(summary.sets_without_template));
        metrics.templates_refused.inc_by(u64::from(summary.templates_refused));
    }
}

/// Messages of one session as Flow Records.
#[derive(Debug)]
pub struct Decoder {
    session: Session<Plan>,
    names: Interner,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self { session: Session::new(Limits::default()), names: Interner::new(NAMES_PER_SESSION) }
    }

    /// Decodes one whole message.
    pub fn decode(&mut self, message: &[u8]) -> Result<(Summary, Vec<FlowRecord>), MessageError> {
        let mut records = Vec::new();
        let names = &mut self.names;
        let summary = self.session.decode(message, Plan::compile, |plan, _, data| {
            records.push(plan.decode(data.values(), names));
        })?;
        Ok((summary, records))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
