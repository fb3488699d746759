//! One stream of flows: what it tells is passed on and counted.

use std::future;
use std::net::SocketAddr;
use std::time::Duration;

use daemon::Chain;
use grpc::collect::ExportStream;
use grpc::{Batch, Malformed, Requests, Status};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use crate::metrics::{EndReason, Unusable};

/// How long a stream may still be read once shutdown was asked for, and how long it may be silent
/// then.
const DRAIN: Duration = Duration::from_secs(1);
const DRAIN_IDLE: Duration = Duration::from_millis(200);

/// One session.
#[derive(Debug)]
pub(super) struct Stream {
    peer: SocketAddr,
    requests: Requests,
    shared: Shared,
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
    pub(super) fn open(shared: Shared, peer: SocketAddr) -> Self {
        tracing::info!(%peer, protocol = "grpc", "session opened");
        shared.metrics.sessions.inc();
        Self { peer, requests: Requests::default(), shared }
    }

    /// Reads the stream to its end, and tells the exporter what became of it.
    pub(super) async fn run(mut self, mut stream: ExportStream) {
        let end = self.read(&mut stream).await;
        self.count();
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
        let mut shutdown = self.shared.shutdown.clone();
        let stopped = async move {
            // Without anybody who could ask, nobody does.
            if shutdown.wait_for(|asked| *asked).await.is_err() {
                future::pending::<()>().await;
            }
        };
        tokio::pin!(stopped);
        let mut last = None;
        loop {
            let silence = if last.is_some() { DRAIN_IDLE } else { self.shared.idle };
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
            let is_empty = batch.records.is_empty();
            room.fill(self.peer.ip().to_canonical(), batch.domain, batch.records);
            self.count();
            read?;
            if is_empty {
                return Ok(());
            }
        }
    }

    fn count(&mut self) {
        let metrics = &self.shared.metrics;
        let counted = self.requests.take_counted();
        metrics.messages.inc_by(counted.messages);
        metrics.records_received.inc_by(counted.flows);
        metrics.records_unusable(Unusable::NoAddresses, counted.without_addresses);
        metrics.records_unusable(Unusable::TooLong, counted.too_long);
    }

    fn ended(&self, end: &End) {
        let metrics = &self.shared.metrics;
        metrics.sessions.dec();
        let reason = match end {
            End::Closed => EndReason::Closed,
            End::Malformed(Malformed::Cut(_)) => EndReason::Truncated,
            End::Malformed(_) => EndReason::Malformed,
            End::Broken(_) => EndReason::Broken,
            End::Idle => EndReason::Idle,
            End::Shutdown => EndReason::Shutdown,
        };
        metrics.session_ended(reason);
        let (cut, resets) = self.requests.names();
        metrics.names_cut.inc_by(cut);
        metrics.names_resets.inc_by(resets);
        let (peer, reason) = (self.peer, reason.label());
        match end {
            End::Closed | End::Idle | End::Shutdown => {
                tracing::info!(%peer, reason, "session closed");
            }
            End::Malformed(_) | End::Broken(_) => {
                tracing::warn!(%peer, reason, error = %Chain(end), "session closed");
            }
        }
    }
}
