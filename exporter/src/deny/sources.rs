//! Keeps the sources going that are configured.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use daemon::Chain;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep};

use super::audit::AuditLog;
use super::nflog::Nflog;
use super::nfqueue::{Nfqueue, Overruns, Treatment};
use super::prefix::Prefixes;
use super::{Loss, Reporter};

/// Until a source is tried again that has failed.
const RETRY: Duration = Duration::from_secs(30);
/// Between two looks at what the kernel has lost.
const LOOK: Duration = Duration::from_secs(5);

/// Netfilter's log groups, with what their prefixes mean.
#[derive(Debug, Clone)]
pub struct NflogSource {
    pub groups: Vec<u16>,
    pub prefixes: Prefixes,
    pub reporter: Reporter,
}

/// Netfilter's queues.
#[derive(Debug, Clone)]
pub struct NfqueueSource {
    pub queues: Vec<u16>,
    pub treatment: Treatment,
    pub reporter: Reporter,
}

/// The Agent's log.
#[derive(Debug, Clone)]
pub struct AuditSource {
    pub path: PathBuf,
    pub zone: TimeZone,
    pub reporter: Reporter,
}

impl NflogSource {
    /// Runs for ever, and tells until nobody listens.
    pub async fn run(self, clock: fn() -> u64) {
        let reporter = self.reporter.clone();
        let attempt = move || {
            let Self { groups, prefixes, reporter } = self.clone();
            let mut nflog = Nflog::open(&groups, prefixes, reporter.clone(), clock())?;
            reporter.set_active(true);
            tracing::info!(?groups, "netfilter's log is heard");
            nflog.run(clock)
        };
        keep_going(&reporter, attempt).await;
        pending::<()>().await;
    }
}

impl AuditSource {
    /// Runs for ever, and tells until nobody listens.
    pub async fn run(self, clock: fn() -> u64) {
        let reporter = self.reporter.clone();
        let attempt = move || {
            let Self { path, zone, reporter } = self.clone();
            AuditLog::new(path, zone, reporter).run(clock)
        };
        keep_going(&reporter, attempt).await;
        pending::<()>().await;
    }
}

impl NfqueueSource {
    /// Runs for ever, and tells until nobody listens.
    pub async fn run(self, clock: fn() -> u64) {
        let Self { queues, treatment, reporter } = self;
        let serving = queues
            .iter()
            .map(|&queue| tokio::spawn(serve(queue, treatment, reporter.clone(), clock)));
        let _serving: Vec<_> = serving.collect();
        let (mut overruns, mut ticks) = (Overruns::default(), interval(LOOK));
        while !reporter.is_closed() {
            ticks.tick().await;
            match overruns.look(&queues) {
                Ok(lost) => reporter.lost(Loss::Overrun, lost),
                Err(error) => tracing::debug!(%error, "the kernel does not tell what it lost"),
            }
        }
        pending::<()>().await;
    }
}

/// A queue's thread cannot be woken where no packet comes, so it is one that the process need not
/// wait for.
async fn serve(queue: u16, treatment: Treatment, reporter: Reporter, clock: fn() -> u64) {
    while !reporter.is_closed() {
        let (ended, end) = oneshot::channel();
        let inner = reporter.clone();
        let attempt = move || {
            let mut served = Nfqueue::open(queue, treatment, inner.clone())?;
            inner.set_active(true);
            tracing::info!(queue, ?treatment, "netfilter's queue is served");
            served.run(clock)
        };
        let thread = std::thread::Builder::new().name(format!("nfqueue-{queue}"));
        let started = thread.spawn(move || ended.send(attempt()).is_ok());
        let end = match started {
            Ok(_) => end.await,
            Err(error) => {
                failed(&reporter, &error);
                sleep(RETRY).await;
                continue;
            }
        };
        match end {
            Ok(Ok(())) => return,
            Ok(Err(error)) => failed(&reporter, &error),
            Err(gone) => failed(&reporter, &gone),
        }
        sleep(RETRY).await;
    }
}

/// Tries again and again, on a thread that may wait in the kernel or for a disk.
async fn keep_going<E: std::error::Error + Send + 'static>(
    reporter: &Reporter,
    attempt: impl Fn() -> Result<(), E> + Clone + Send + 'static,
) {
    while !reporter.is_closed() {
        match tokio::task::spawn_blocking(attempt.clone()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => failed(reporter, &error),
            Err(panicked) => failed(reporter, &panicked),
        }
        sleep(RETRY).await;
    }
}

fn failed(reporter: &Reporter, error: &(dyn std::error::Error + 'static)) {
    reporter.set_active(false);
    let source = reporter.source().name();
    tracing::error!(source, error = %Chain(error), retry_in = ?RETRY, "denied packets are missed");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::deny::{Counts, Source, channel};

    /// Until then whoever tries without a pause has done so thousands of times.
    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_panics_is_made_again_as_rarely_as_one_that_fails() {
        let counts = Arc::new(Counts::default());
        let (reporter, _denials) = channel(1, Arc::clone(&counts));
        reporter.set_active(true);
        let attempts = Arc::new(AtomicU32::new(0));
        let attempt = {
            let attempts = Arc::clone(&attempts);
            move || -> Result<(), std::io::Error> {
                attempts.fetch_add(1, Ordering::Relaxed);
                panic!("on purpose")
            }
        };
        let began = Instant::now();
        timeout(10 * RETRY, keep_going(&reporter, attempt)).await.unwrap_err();
        assert!(began.elapsed() >= 10 * RETRY);
        let made = attempts.load(Ordering::Relaxed);
        assert!((9..=11).contains(&made), "{made} attempts");
        assert!(!counts.is_active(Source::Ovs));
    }
}
