//! Who of several replicas does what only one may do: a Lease of the API server decides.
//!
//! Every replica stands for election; one leads until it releases the Lease, or cannot renew it.
//! `candidate` is the rule, a function of what was read and when; `election` asks the API server.
//!
//! No two lead at once as long as their clocks run at about the same pace; what the clocks say
//! does not matter. A leader counts from when it *began* to renew and stops after two thirds of
//! the Lease's duration; the others count from when they *saw* that it was renewed, and wait for
//! all of it. Each write is refused if another one came before. Whoever acts as leader must ask
//! [`Leadership::is_leader`] right before: what it then begins may end later than the Lease.
//!
//! docs/decisions/0012-leader-election.md says why the crate for this is not used.
mod candidate; // when to try, and when to stop
mod election; // requests, one after the other

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use election::Election;

/// What is stood for, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// Who the candidate is, for people who look: the Pod's name. A part that is random is added,
    /// so that no two candidates are the same.
    pub identity: String,
    /// How long after a leader has vanished another one may lead: whole seconds, one at least.
    pub duration: Duration,
}

impl Options {
    /// How long Leases of Kubernetes' own controllers last.
    pub const DURATION: Duration = Duration::from_secs(15);
}

/// Whether a candidate leads. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Leadership {
    until: watch::Receiver<Option<Instant>>,
}

impl Leadership {
    /// Returns true if the candidate leads at this moment.
    pub fn is_leader(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the candidate begins or ceases to lead, and returns whether it leads then. When
    /// its [`Election`] is over it never does again, which this waits for no longer.
    ///
    /// # Cancel safety
    ///
    /// No change is missed by dropping the future.
    pub async fn changed(&mut self) -> bool {
        if self.until.changed().await.is_err() {
            return false;
        }
        self.until.borrow_and_update().is_some_and(|until| Instant::now() < until)
    }
}
