//! One stream of flows: what it tells is passed on and counted.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daemon::Chain;
use grpc::collect::ExportStream;
use grpc::{Batch, Counted, Malformed, Requests, Status};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Listener;
use crate::collect::Shared;
use crate::collect::live::{SessionCounters, Transport};
use crate::collect::reporter::Reporter;
use crate::metrics::{EndReason, Unusable};

/// How long a stream may still be read once shutdown was asked for, and how long it may be silent
/// then.
const DRAIN: Duration = Duration::from_secs(1);
const DRAIN_IDLE: Duration = Duration::from_millis(200);

/// One session.
#[derive(Debug)]
pub(super) struct Stream {
    shared: Arc<Shared>,
    requests: Requests,
    reporter: Reporter,
    /// Bytes that came and have not been counted.
    octets: u64,
    idle: Duration,
    shutdown: watch::Receiver<bool>,
    /// Whether something was said against this connection. Who has a connection can have as many
    /// streams as it likes one after the other, which are not to fill our log.
    warned: Arc<AtomicBool>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("exporter has ended it")]
    Closed,
    #[error("what came is no export request")]
    Malformed(#[from] Malformed),
    #[error("connection broke")]
    Broken(#[from] h2::Error),
    #[error("nothing came for too long")]
    Idle,
    #[error("collector is being stopped")]
    Shutdown,
}

impl Stream {
    /// `warned` and `doubted` are those of its connection.
    pub(super) fn open(
        listener: &Listener,
        peer: SocketAddr,
        warned: Arc<AtomicBool>,
        doubted: Arc<AtomicBool>,
    ) -> Self {
        let reporter = Reporter::open(&listener.shared, peer, Transport::Grpc, doubted);
        let (idle, shutdown) = (listener.idle, listener.shutdown.clone());
        let shared = Arc::clone(&listener.shared);
        let requests = Requests::within(shared.room.names());
        Self { shared, requests, reporter, octets: 0, idle, shutdown, warned }
    }

    /// Reads the stream to its end, and tells the exporter what became of it.
    pub(super) async fn run(mut self, mut stream: ExportStream) {
        let end = self.read(&mut stream).await;
        self.ended(&end);
        match end {
            // Who has gone meanwhile needs no answer.
            End::Closed => drop(stream.finish()),
            End::Malformed(error) => {
                stream.fail(&Status::new(Status::INVALID_ARGUMENT, error.to_string()));
            }
            End::Idle | End::Shutdown => {
                stream.fail(&Status::new(Status::UNAVAILABLE, end.to_string()));
            }
            End::Broken(_) => {}
        }
    }

    async fn read(&mut self, stream: &mut ExportStream) -> End {
        let mut shutdown = self.shutdown.clone();
        let stopped = async move {
            // Without anybody who could ask, nobody does.
            if shutdown.wait_for(|asked| *asked).await.is_err() {
                future::pending::<()>().await;
            }
        };
        tokio::pin!(stopped);
        let mut last = None;
        loop {
            let silence = if last.is_some() { DRAIN_IDLE } else { self.idle };
            let until = Instant::now() + silence;
            let received = tokio::select! {
                received = stream.data() => received,
                () = sleep_until(last.map_or(until, |last: Instant| until.min(last))) => {
                    return if last.is_some() { End::Shutdown } else { End::Idle };
                }
                () = &mut stopped, if last.is_none() => {
                    last = Some(Instant::now() + DRAIN);
                    continue;
                }
            };
            let bytes = match received {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return self.requests.end().map_or_else(End::from, |()| End::Closed),
                Err(error) => return error.into(),
            };
            self.octets += bytes.len() as u64;
            self.requests.push(&bytes);
            if let Err(end) = self.pass_on().await {
                return end;
            }
            stream.taken(bytes.len());
        }
    }

    /// Passes on the flows that are here, as soon as there is room for them.
    async fn pass_on(&mut self) -> Result<(), End> {
        loop {
            let waiting = self.requests.waiting();
            let Some(room) = self.shared.room.reserve(waiting).await else {
                return Err(End::Shutdown);
            };
            let mut batch = Batch::default();
            let read = self.requests.take(&mut batch);
            let Batch { domain, records } = batch;
            let is_empty = records.is_empty();
            let counted = count(&self.shared, &mut self.requests, &mut self.octets, read.is_err());
            self.reporter.tell(counted, domain, records, room, Instant::now().into_std());
            read?;
            if is_empty {
                return Ok(());
            }
        }
    }

    fn ended(&self, end: &End) {
        let metrics = &self.shared.metrics;
        let reason = match end {
            End::Closed => EndReason::Closed,
            End::Malformed(Malformed::Cut(_)) => EndReason::Truncated,
            End::Malformed(_) => EndReason::Malformed,
            End::Broken(_) => EndReason::Broken,
            End::Idle => EndReason::Idle,
            End::Shutdown => EndReason::Shutdown,
        };
        metrics.session_ended(reason);
        metrics.names(self.requests.names());
        let (peer, reason) = (self.reporter.peer(), reason.label());
        let is_bad = matches!(end, End::Malformed(_) | End::Broken(_));
        if is_bad && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(%peer, reason, error = %Chain(end), "stream closed");
        } else {
            tracing::debug!(%peer, reason, error = %Chain(end), "stream closed");
        }
    }
}

/// Counts what was read since the last time, and the bytes it came in.
fn count(
    shared: &Shared,
    requests: &mut Requests,
    octets: &mut u64,
    failed: bool,
) -> SessionCounters {
    let metrics = &shared.metrics;
    let Counted { messages, flows, without_addresses, too_long } = requests.take_counted();
    metrics.messages.inc_by(messages);
    metrics.records_received.inc_by(flows);
    let unusable = [(Unusable::NoAddresses, without_addresses), (Unusable::TooLong, too_long)];
    for (why, records) in unusable.into_iter().filter(|(_, records)| *records > 0) {
        metrics.records_unusable(why, records);
    }
    SessionCounters {
        messages,
        octets: std::mem::take(octets),
        records: flows,
        unusable: without_addresses + too_long,
        errors: u64::from(failed),
        ..SessionCounters::default()
    }
}
