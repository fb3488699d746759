//! What follows a failure.

use config::Chain;

use super::{Follower, Lists};
use crate::client::{Access, Failure, Reason, Rule};
use crate::objects::{Change, Kind};
use crate::watch::state::Denied;

impl Follower {
    /// Counts a failure, tells of it, and waits until it is time to begin anew.
    pub(super) async fn recover(&mut self, failure: &Failure, generation: u64) {
        let reason = failure.reason();
        let streamed = self.position.is_none() && self.lists == Lists::Streamed;
        self.states.restarted(self.kind, reason);
        if reason.loses_position() {
            self.position = None;
        }
        self.report(failure);
        match reason {
            Reason::Absent => self.absent().await,
            Reason::Unstreamed | Reason::Rejected if streamed => {
                self.lists = Lists::Paged;
                return;
            }
            Reason::Stalled if streamed => self.lists = Lists::PagedOnce,
            Reason::Unauthorized => {
                if let Err(error) = self.connection.renew(generation).await {
                    tracing::warn!(error = %Chain(&error), "credentials cannot be read again");
                }
            }
            _ => {}
        }
        self.backoff.wait(failure.retry_after()).await;
    }

    /// Says once that there is no such kind, for which it is looked again as after any failure.
    async fn absent(&mut self) {
        if !self.states.absent(self.kind) {
            return;
        }
        tracing::info!(kind = self.kind.name(), "API server has no such resource; looking again");
        // Kinds of Kubernetes itself never go; who says so is not the API server.
        if matches!(self.kind, Kind::Custom(_)) {
            let now = (self.clock)();
            for change in [Change::ListBegun(self.kind), Change::ListEnded(self.kind)] {
                // If nobody listens, the next request finds that out.
                self.tell_at(now, change).await.ok();
            }
        }
    }

    fn report(&mut self, failure: &Failure) {
        let (kind, error) = (self.kind.name(), Chain(failure));
        let reason = failure.reason();
        if let (Reason::Denied, Failure::Refused(refusal)) = (reason, failure) {
            let access = Access { kind: self.kind, verb: self.verb };
            let denied = Denied { access, message: refusal.message.clone() };
            if self.states.denied(self.kind, denied) {
                let rules: String = Rule::allowing(&[access]).iter().map(Rule::to_string).collect();
                tracing::warn!(kind, %error, "API server does not allow it; add the rule\n{rules}");
            }
            return;
        }
        if reason == Reason::Absent {
            return;
        }
        // Once per outage: the counters tell the rest.
        let is_usual = matches!(reason, Reason::Ended | Reason::Expired | Reason::Unstreamed);
        if is_usual || std::mem::replace(&mut self.failing, true) {
            tracing::debug!(kind, %error, reason = reason.name(), "watch begins anew");
        } else {
            tracing::warn!(kind, %error, reason = reason.name(), "watch failed, and is tried again");
        }
    }
}
