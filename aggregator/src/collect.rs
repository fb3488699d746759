//! The Collecting Process: Transport Sessions over TCP become batches of Flow Records.
//!
//! Each session has a task of its own with one message buffer and its own template cache. What a
//! peer sends can end its own session and nothing else: RFC 7011, section 10.4.3 asks to close a
//! session that sent a malformed message. A full queue stops the reading, and TCP stops the
//! sender.
//!
//! A Flow Record takes far more memory than its bytes on the wire. So the records that exist
//! between here and correlation are bounded in number, over all sessions, and a message is not
//! decoded before there is room for as many records as its length allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{FlowRecord, Interner, Plan};
use ipfix::decode::{Limits, Session, Summary};
use ipfix::message::MessageError;
use ipfix::transport::{MessageStream, ReadError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::metrics::{Metrics, SessionEnd, Unusable};

/// Distinct names a session shares among its records. Beyond, they are shared anew.
const NAMES_PER_SESSION: usize = 65_536;
/// How long a session may be silent once shutdown was asked for. Exporters have flushed by then;
/// what they sent is in the socket buffers.
const DRAIN: Duration = Duration::from_millis(200);
/// How long sessions that are not silent are read once shutdown was asked for.
const DRAIN_AT_MOST: Duration = Duration::from_secs(1);
/// Bytes that a session decodes before the others have their turn: tokio counts messages, and one
/// may have as many bytes as a thousand others.
const TURN: usize = 16_384;

/// What one message of a session told.
#[derive(Debug)]
pub struct Reported {
    /// The Node, by Observation Domain.
    pub domain: u32,
    pub records: Vec<FlowRecord>,
    /// Given back when the records have been taken.
    _room: OwnedSemaphorePermit,
}

/// Bounds of the Collecting Process.
#[derive(Debug, Clone, Copy)]
pub struct CollectorLimits {
    pub sessions: usize,
    /// Records that are being decoded or wait for correlation, over all sessions: about 45 MB.
    pub records: usize,
    /// A session that is silent for this long is closed.
    pub idle: Duration,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { sessions: 4096, records: 65_536, idle: Duration::from_mins(10) }
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
    let room = Arc::new(Semaphore::new(limits.records));
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
            room: Arc::clone(&room),
            metrics: Arc::clone(&metrics),
            shutdown: shutdown.clone(),
        };
        sessions.spawn(async move {
            session.run(stream).await;
            drop(permit);
        });
    }
    // Exporters that connect from now on look for another collector at once.
    drop(listener);
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
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
}

impl Collected {
    async fn run(mut self, stream: TcpStream) {
        tracing::info!(peer = %self.peer, "session opened");
        self.metrics.sessions.inc();
        let mut decoder = Decoder::new();
        let over = drained(self.shutdown.clone());
        // Whatever `read` waits for, it holds nothing decoded meanwhile: what is left unread here
        // is as lost as what is still in the socket.
        let end = tokio::select! {
            biased;
            () = over => {
                tracing::warn!(peer = %self.peer, "session closed: no time left to read it to its end");
                SessionEnd::Shutdown
            }
            end = self.read(stream, &mut decoder) => end,
        };
        self.metrics.sessions.dec();
        self.metrics.session_ended(end);
        self.metrics.names_cut.inc_by(decoder.names.cut());
        self.metrics.names_resets.inc_by(decoder.names.resets());
    }

    async fn read(&mut self, stream: TcpStream, decoder: &mut Decoder) -> SessionEnd {
        let mut messages = MessageStream::new(stream);
        let mut draining = false;
        let mut turn = 0;
        loop {
            if turn >= TURN {
                turn = 0;
                yield_now().await;
            }
            let patience = if draining { DRAIN } else { self.limits.idle };
            let next = tokio::select! {
                next = timeout(patience, messages.next()) => next,
                _ = self.shutdown.wait_for(|stop| *stop), if !draining => {
                    draining = true;
                    continue;
                }
            };
            let end = match next {
                Ok(Ok(Some(message))) => {
                    turn += message.len();
                    self.take(message, decoder).await
                }
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
        let Some(room) = self.room_for(message.len()).await else {
            return Some(self.closed(SessionEnd::Shutdown));
        };
        let told = decoder.decode(message);
        let unusable = decoder.take_unusable();
        self.metrics.records_unusable(Unusable::NoAddresses, unusable);
        match told {
            Ok((summary, records)) => {
                self.count(&summary);
                room.fill(summary.header.domain, records);
                None
            }
            Err(Malformed { domain, records, source }) => {
                self.metrics.records_received.inc_by(unusable + records.len() as u64);
                room.fill(domain, records);
                Some(self.failed(&ReadError::Message(source)))
            }
        }
    }

    /// Waits until what a message of `length` bytes may tell can be passed on. Returns nothing if
    /// there is nobody left to take it.
    async fn room_for(&self, length: usize) -> Option<Room<'_>> {
        let most = (length / Plan::SHORTEST_FLOW).clamp(1, self.limits.records);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        // In this order: whoever holds a place in the queue waits for nothing.
        let records = Arc::clone(&self.room).acquire_many_owned(most).await.ok()?;
        let place = self.reported.reserve().await.ok()?;
        Some(Room { records, place })
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
        metrics.sets_reserved.inc_by(u64::from(summary.sets_reserved));
        metrics.out_of_order.inc_by(u64::from(summary.out_of_order));
        metrics.templates_refused.inc_by(u64::from(summary.templates_refused));
    }
}

/// Returns when the time to read sessions to their end is over.
async fn drained(mut shutdown: watch::Receiver<bool>) {
    // An error means that nobody is left who could ask for shutdown, which is the same.
    shutdown.wait_for(|stop| *stop).await.ok();
    sleep(DRAIN_AT_MOST).await;
}

/// Room for the records of one message, and a place in the queue.
#[derive(Debug)]
struct Room<'a> {
    records: OwnedSemaphorePermit,
    place: mpsc::Permit<'a, Reported>,
}

impl Room<'_> {
    /// Passes records on, and gives back what they do not need.
    fn fill(self, domain: u32, records: Vec<FlowRecord>) {
        if records.is_empty() {
            return;
        }
        let Self { records: mut reserved, place } = self;
        let room = reserved.split(records.len()).unwrap_or(reserved);
        place.send(Reported { domain, records, _room: room });
    }
}

/// A message that is malformed from somewhere on, and what it told before.
#[derive(Debug, thiserror::Error)]
#[error("message is malformed behind {} sound records", records.len())]
pub struct Malformed {
    pub domain: u32,
    pub records: Vec<FlowRecord>,
    #[source]
    pub source: MessageError,
}

/// Messages of one session as Flow Records.
#[derive(Debug)]
pub struct Decoder {
    session: Session<Plan>,
    names: Interner,
    unusable: u64,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self {
            session: Session::new(Limits::default()),
            names: Interner::new(NAMES_PER_SESSION),
            unusable: 0,
        }
    }

    /// Decodes one whole message. Records that are not of flows are counted and left out, so that
    /// no record is shorter than [`Plan::SHORTEST_FLOW`].
    pub fn decode(&mut self, message: &[u8]) -> Result<(Summary, Vec<FlowRecord>), Malformed> {
        let mut records = Vec::new();
        let mut domain = 0;
        let Self { session, names, unusable } = self;
        let decoded = session.decode(message, Plan::compile, |plan, _, data| {
            domain = data.domain;
            if plan.is_flow() {
                records.push(plan.decode(data.values(), names));
            } else {
                *unusable += 1;
            }
        });
        // What waits is bounded by its number, not by what growing has set aside.
        records.shrink_to_fit();
        match decoded {
            Ok(summary) => Ok((summary, records)),
            Err(source) => Err(Malformed { domain, records, source }),
        }
    }

    /// How many records that are not of flows came since this was last asked.
    pub fn take_unusable(&mut self) -> u64 {
        std::mem::take(&mut self.unusable)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
