use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

/// How long to wait before a watch begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first failure, on average; it doubles with each further one.
    pub first: Duration,
    /// The longest wait, on average.
    pub most: Duration,
    /// After so long without a failure, the next one is the first again.
    pub calm: Duration,
}

impl Default for Retry {
    /// As the Go client of Kubernetes waits.
    fn default() -> Self {
        let [first, most] = [800, 30_000].map(Duration::from_millis);
        Self { first, most, calm: Duration::from_mins(2) }
    }
}

#[derive(Debug)]
pub(super) struct Backoff {
    retry: Retry,
    next: Duration,
    /// When the last wait was over.
    since: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, next: retry.first, since: None }
    }

    /// Waits, at least as long as the API server asks for. Jitter keeps many Nodes from coming
    /// back at once: a half of the time to one and a half.
    pub(super) async fn wait(&mut self, asked: Option<Duration>) {
        if self.since.is_none_or(|since| since.elapsed() >= self.retry.calm) {
            self.next = self.retry.first;
        }
        let wait = self.next.mul_f64(rand::rng().random_range(0.5..1.5));
        self.next = (self.next * 2).min(self.retry.most);
        tokio::time::sleep(wait.max(asked.unwrap_or_default())).await;
        self.since = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_most_and_begin_again_after_a_calm() {
        let [first, most, calm] = [1, 4, 60].map(Duration::from_secs);
        let mut backoff = Backoff::new(Retry { first, most, calm });
        for expected in [1.0, 2.0, 4.0, 4.0] {
            let before = Instant::now();
            backoff.wait(None).await;
            let waited = before.elapsed().as_secs_f64();
            assert!((expected * 0.5..expected * 1.5 + 0.002).contains(&waited), "{waited}");
        }
        tokio::time::advance(calm).await;
        let before = Instant::now();
        backoff.wait(None).await;
        assert!(before.elapsed() < Duration::from_millis(1502));
        let before = Instant::now();
        backoff.wait(Some(Duration::from_secs(20))).await;
        assert!(before.elapsed() >= Duration::from_secs(20));
    }
}
