//! The Exporting Process: Flow Records leave the Node over one Transport Session at a time.
//!
//! A session that breaks is opened again with backoff and jitter; templates are sent first on
//! each. A message that was written whole is never written again: its records may be lost with
//! the session, but none is ever told twice. One that was cut off is: the far end cannot have
//! read it. What is lost shows at the far end, since totals travel with deltas.
mod messages; // records as messages, without the session
mod stop; // when to end

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{Batch, FlowRecord, Profile};
use ipfix::transport::Backoff;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::metrics::Metrics;
pub use messages::{Messages, MessagesError};
pub use stop::{Stop, StopSwitch};

/// A collector that takes nothing for this long is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// Between tries once the process is to stop: there is not much time left for any.
const STOPPING_DELAY: Duration = Duration::from_millis(250);

/// Where records go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// `host:port`.
    pub collector: String,
    /// The Node's Observation Domain; see [`observation_domain`].
    pub domain: u32,
    pub profile: Profile,
}

/// Antrea's Observation Domain of a Node: FNV-1 over its name, 32 bits.
pub fn observation_domain(node: &str) -> u32 {
    let offset = 2_166_136_261_u32;
    node.bytes().fold(offset, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte))
}

/// What the Exporting Process works with.
#[derive(Debug)]
pub struct Exporting {
    pub destination: Destination,
    /// A file that gets a copy of every message, as an IPFIX File (RFC 5655).
    pub copy: Option<File>,
    pub metrics: Arc<Metrics>,
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("connection failed")]
    Io(#[from] std::io::Error),
    #[error("no connection within {CONNECT_DEADLINE:?}")]
    ConnectTimeout,
    #[error("collector took nothing for {WRITE_DEADLINE:?}")]
    WriteTimeout,
    #[error("collector closed the connection")]
    Closed,
    #[error("templates cannot be sent")]
    Templates(#[from] MessagesError),
}

impl Exporting {
    /// Exports until the queue is closed and empty. At the deadline of `stop`, what has not left
    /// by then is given up, and counted.
    pub async fn run(mut self, mut queue: Receiver<Batch>, stop: Stop, clock: impl Fn() -> u64) {
        // What no session has finished yet.
        let mut pending: Vec<FlowRecord> = Vec::new();
        tokio::select! {
            () = self.export(&mut queue, &mut pending, &stop, &clock) => {}
            () = stop.deadline() => {}
        }
        self.abandon(queue, pending.len()).await;
    }

    /// One session after the other. May be dropped anywhere: `pending` is always right.
    async fn export(
        &mut self,
        queue: &mut Receiver<Batch>,
        pending: &mut Vec<FlowRecord>,
        stop: &Stop,
        clock: &impl Fn() -> u64,
    ) {
        let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY);
        while let Err(error) = self.session(queue, pending, &mut backoff, clock).await {
            if pending.is_empty() && queue.is_closed() && queue.is_empty() {
                return;
            }
            let delay = backoff.next_delay(rand::random());
            let collector = &self.destination.collector;
            tracing::warn!(%collector, error = %Chain(&error), retry_within = ?delay, "no session");
            pause(delay, stop).await;
        }
    }

    async fn abandon(&self, mut queue: Receiver<Batch>, pending: usize) {
        // From here on the other end counts what it cannot hand over; what it already has, or has
        // reserved room for, counts here.
        queue.close();
        let mut records = pending;
        while let Some(batch) = queue.recv().await {
            records += batch.len();
        }
        if records > 0 {
            self.metrics.records_abandoned.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
            tracing::error!(records, "collector is away: records are lost at shutdown");
        }
    }

    /// One Transport Session, from connecting to its end. `Ok` when the queue is at its end.
    async fn session(
        &mut self,
        queue: &mut Receiver<Batch>,
        pending: &mut Vec<FlowRecord>,
        backoff: &mut Backoff,
        clock: &impl Fn() -> u64,
    ) -> Result<(), SessionError> {
        let connected = self.connect().await.inspect_err(|_| {
            self.metrics.connect_failures.inc();
        })?;
        self.metrics.sessions.inc();
        self.metrics.connected.set(1);
        tracing::info!(collector = %self.destination.collector, "session opened");
        let ended = self.serve(connected, queue, pending, backoff, clock).await;
        self.metrics.connected.set(0);
        if ended.is_err() {
            self.metrics.sessions_lost.inc();
        }
        ended
    }

    async fn connect(&self) -> Result<TcpStream, SessionError> {
        let connecting = TcpStream::connect(&self.destination.collector);
        let stream = timeout(CONNECT_DEADLINE, connecting)
            .await
            .map_err(|_| SessionError::ConnectTimeout)??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn serve(
        &mut self,
        stream: TcpStream,
        queue: &mut Receiver<Batch>,
        pending: &mut Vec<FlowRecord>,
        backoff: &mut Backoff,
        clock: &impl Fn() -> u64,
    ) -> Result<(), SessionError> {
        let Destination { domain, profile, .. } = self.destination;
        let messages = Messages::new(domain, profile, seconds(clock()))?;
        let mut session = Session { stream, messages, written: 0, told: (0, 0) };
        self.write(&mut session, &mut Vec::new()).await?;
        loop {
            if pending.is_empty() {
                tokio::select! {
                    // Records must not follow others into a session that is known to be over.
                    biased;
                    error = session.peer_closes() => return Err(error),
                    batch = queue.recv() => match batch {
                        Some(batch) => pending.extend_from_slice(&batch),
                        None => return session.close().await,
                    },
                }
            }
            let refused = session.encode(pending, seconds(clock()));
            if refused > 0 {
                self.metrics.records_refused.inc_by(refused);
                tracing::error!(records = refused, "records do not fit a message and are dropped");
            }
            self.write(&mut session, pending).await?;
            // Only a collector that takes records is worth an eager second try.
            backoff.reset();
        }
    }

    /// Writes what is encoded, and takes the records of whole messages out of `pending`, each
    /// time before it waits again.
    async fn write(
        &mut self,
        session: &mut Session,
        pending: &mut Vec<FlowRecord>,
    ) -> Result<(), SessionError> {
        while session.write().await? {
            let (records, messages) = session.news();
            self.copy(messages);
            pending.drain(..records.min(pending.len()));
            self.metrics.records_sent.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// A copy that cannot be written is given up; it must not stop the records themselves.
    fn copy(&mut self, messages: &[u8]) {
        let Some(copy) = &mut self.copy else { return };
        if let Err(error) = copy.write_all(messages) {
            tracing::error!(%error, "copy cannot be written and ends here");
            self.copy = None;
        }
    }
}

/// A Transport Session and the messages being written to it.
struct Session {
    stream: TcpStream,
    messages: Messages,
    written: usize,
    /// The records and bytes of written messages that [`Session::news`] has told.
    told: (usize, usize),
}

impl Session {
    /// Puts `records` in the place of what was written. Returns how many fit no message.
    fn encode(&mut self, records: &mut Vec<FlowRecord>, now: u32) -> u64 {
        (self.written, self.told) = (0, (0, 0));
        self.messages.encode(records, now)
    }

    /// Writes more of the messages. Returns whether there was more to write.
    async fn write(&mut self) -> Result<bool, SessionError> {
        let rest = self.messages.bytes().get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        let (mut reader, mut writer) = self.stream.split();
        let written = tokio::select! {
            biased;
            error = closes(&mut reader) => return Err(error),
            written = timeout(WRITE_DEADLINE, writer.write(rest)) => written,
        };
        match written.map_err(|_| SessionError::WriteTimeout)?? {
            0 => return Err(SessionError::Closed),
            bytes => self.written += bytes,
        }
        Ok(true)
    }

    /// The messages that have been written to their end since the last call, and how many records
    /// are in them.
    fn news(&mut self) -> (usize, &[u8]) {
        let (records, bytes) = self.messages.within(self.written);
        let (told_records, told_bytes) = std::mem::replace(&mut self.told, (records, bytes));
        let messages = self.messages.bytes().get(told_bytes..bytes).unwrap_or_default();
        (records.saturating_sub(told_records), messages)
    }

    async fn peer_closes(&mut self) -> SessionError {
        closes(&mut self.stream.split().0).await
    }

    /// Ends the session so that the collector gets everything that was written.
    async fn close(&mut self) -> Result<(), SessionError> {
        Ok(self.stream.shutdown().await?)
    }
}

/// Waits before the next try, and not for long once a stop is asked for: the collector may be
/// back by now, and there is no later.
async fn pause(delay: Duration, stop: &Stop) {
    if stop.is_requested() {
        return sleep(delay.min(STOPPING_DELAY)).await;
    }
    tokio::select! {
        () = sleep(delay) => {}
        _ = stop.requested() => {}
    }
}

/// Waits until the collector ends the session. It has nothing else to say.
async fn closes(reader: &mut ReadHalf<'_>) -> SessionError {
    let mut unexpected = [0; 256];
    loop {
        match reader.read(&mut unexpected).await {
            Ok(0) => return SessionError::Closed,
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
}

/// Seconds, as message headers tell the time; they end in 2106.
fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
