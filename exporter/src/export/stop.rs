//! When to end, told to every stage at once.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Asks stages to stop. Dropping it asks too, and leaves them no time: however its owner ends,
/// no stage is left behind.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<Option<Instant>>);

impl StopSwitch {
    /// Stages should end, and must have ended by `deadline`.
    pub fn stop_by(&self, deadline: Instant) {
        self.0.send_replace(Some(deadline));
    }
}

/// A stage's view of its [`StopSwitch`].
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    pub fn new() -> (StopSwitch, Self) {
        let (sender, receiver) = watch::channel(None);
        (StopSwitch(sender), Self(receiver))
    }

    pub fn is_requested(&self) -> bool {
        self.0.borrow().is_some() || self.0.has_changed().is_err()
    }

    /// Waits until a stop is asked for. Returns by when, or `None` if there is no time left.
    pub async fn requested(&self) -> Option<Instant> {
        let mut receiver = self.0.clone();
        let deadline = receiver.wait_for(Option::is_some).await;
        deadline.ok().and_then(|deadline| *deadline)
    }

    /// Waits until there is no time left.
    pub async fn deadline(&self) {
        if let Some(deadline) = self.requested().await {
            sleep_until(deadline).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_stop_has_a_deadline() {
        let (switch, stop) = Stop::new();
        assert!(!stop.is_requested());
        let deadline = Instant::now() + Duration::from_millis(50);
        switch.stop_by(deadline);
        assert!(stop.is_requested());
        assert_eq!(stop.requested().await, Some(deadline));
        // Whoever asked in time has not taken the time back by going away.
        drop(switch);
        stop.deadline().await;
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn a_switch_that_is_gone_means_stop() {
        let (switch, stop) = Stop::new();
        drop(switch);
        assert!(stop.is_requested());
        stop.deadline().await;
    }
}
