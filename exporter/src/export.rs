//! The Exporting Process: Flow Records leave the Node over one Transport Session at a time.
//!
//! A session that breaks is opened again with backoff and jitter; templates are sent first on
//! each. A message that was written whole is never written again: its records may be lost with
//! the session, but none is ever told twice. One that was cut off is: the far end cannot have
//! read it. What is lost shows at the far end, since totals travel with deltas.
mod messages; // records as messages, without the session

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use flow::{Batch, FlowRecord, Profile};
use ipfix::transport::Backoff;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

use crate::metrics::Metrics;
pub use messages::{Messages, MessagesError};

/// A collector that takes nothing for this long is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// How long a collector that is away is tried once the process is to stop.
const LAST_TRY: Duration = Duration::from_secs(1);

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
    /// Exports until the queue is closed and empty.
    pub async fn run(mut self, mut queue: Receiver<Batch>, clock: impl Fn() -> u64) {
        let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY);
        // What the previous session could not finish.
        let mut pending: Vec<FlowRecord> = Vec::new();
        let mut give_up: Option<Instant> = None;
        loop {
            match self.session(&mut queue, &mut pending, &mut backoff, &clock).await {
                Ok(()) => return,
                Err(error) => {
                    let delay = backoff.next_delay(rand::random());
                    let collector = &self.destination.collector;
                    tracing::warn!(%collector, error = %Chain(&error), retry_in = ?delay, "no session");
                    tokio::time::sleep(delay).await;
                }
            }
            if queue.is_closed() {
                let deadline = *give_up.get_or_insert_with(|| Instant::now() + LAST_TRY);
                if Instant::now() > deadline {
                    return self.abandon(&mut queue, pending.len());
                }
            }
        }
    }

    fn abandon(&self, queue: &mut Receiver<Batch>, pending: usize) {
        let mut records = pending;
        while let Ok(batch) = queue.try_recv() {
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
        let mut session = Session { stream, messages, written: 0 };
        self.write(&mut session, &mut Vec::new()).await?;
        loop {
            if pending.is_empty() {
                tokio::select! {
                    batch = queue.recv() => match batch {
                        Some(batch) => pending.extend_from_slice(&batch),
                        None => return session.close().await,
                    },
                    error = session.peer_closes() => return Err(error),
                }
            }
            let refused = session.messages.encode(pending, seconds(clock()));
            session.written = 0;
            if refused > 0 {
                self.metrics.records_refused.inc_by(refused);
                tracing::error!(records = refused, "records do not fit a message and are dropped");
            }
            self.write(&mut session, pending).await?;
            // Only a collector that takes records is worth an eager second try.
            backoff.reset();
        }
    }

    /// Writes what is encoded, and takes the records of whole messages out of `pending`.
    async fn write(
        &mut self,
        session: &mut Session,
        pending: &mut Vec<FlowRecord>,
    ) -> Result<(), SessionError> {
        let written = session.write().await;
        let (records, bytes) = session.messages.within(session.written);
        self.copy(session.messages.bytes().get(..bytes).unwrap_or_default());
        pending.drain(..records.min(pending.len()));
        self.metrics.records_sent.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        written
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
}

impl Session {
    async fn write(&mut self) -> Result<(), SessionError> {
        while let Some(rest) =
            self.messages.bytes().get(self.written..).filter(|rest| !rest.is_empty())
        {
            let write = timeout(WRITE_DEADLINE, self.stream.write(rest));
            match write.await.map_err(|_| SessionError::WriteTimeout)?? {
                0 => return Err(SessionError::Closed),
                bytes => self.written += bytes,
            }
        }
        Ok(())
    }

    /// Waits until the collector ends the session. It has nothing else to say.
    async fn peer_closes(&mut self) -> SessionError {
        let mut unexpected = [0; 256];
        loop {
            match self.stream.read(&mut unexpected).await {
                Ok(0) => return SessionError::Closed,
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// Ends the session so that the collector gets everything that was written.
    async fn close(&mut self) -> Result<(), SessionError> {
        Ok(self.stream.shutdown().await?)
    }
}

/// Seconds, as message headers tell the time; they end in 2106.
fn seconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observation_domains_are_antreas() {
        for (node, domain) in [
            ("test-node", 912_985_946),
            ("node1", 3_957_252_814),
            ("kind-worker", 801_257_890),
            ("k8s-node-control-plane", 2_432_262_065),
        ] {
            assert_eq!(observation_domain(node), domain, "{node}");
        }
    }
}
