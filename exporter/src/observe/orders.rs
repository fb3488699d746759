use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Observer, Outlet, Target, nanoseconds};
use crate::conntrack::ConnectionSource;
use crate::filter::ProtocolFilter;

/// What may change while an observer runs.
#[derive(Debug, Clone)]
pub struct Orders {
    pub poll_interval: Duration,
    pub targets: Arc<[Target]>,
    /// How long a connection that has ended may wait for its names.
    pub name_wait: Duration,
}

impl<S: ConnectionSource> Observer<S> {
    /// Obeys `orders` from now on, and whatever they change to while this runs.
    #[must_use]
    pub fn obeying(mut self, mut orders: watch::Receiver<Orders>, now: u64) -> Self {
        let first = orders.borrow_and_update().clone();
        self.obey(&first, now);
        self.orders = Some(orders);
        self
    }

    fn obey(&mut self, orders: &Orders, now: u64) {
        let sooner = nanoseconds(self.poll_interval.saturating_sub(orders.poll_interval));
        self.dumps.next_ns = self.dumps.next_ns.saturating_sub(sooner);
        self.poll_interval = orders.poll_interval;
        self.filter = wanted(&orders.targets);
        self.waiting.set_patience(orders.name_wait);
        self.follow(&orders.targets, now);
        if let Some(denials) = &mut self.denials {
            // Whoever waits longest still hears of one flow, not of two.
            denials.set_idle(orders.targets.iter().map(|target| target.timeouts.idle()).max());
        }
    }

    /// Takes new orders, if there are any.
    pub(super) fn hear(&mut self, now: u64) {
        let Some(receiver) = &mut self.orders else { return };
        if receiver.has_changed().unwrap_or(false) {
            let orders = receiver.borrow_and_update().clone();
            let more = wanted(&orders.targets).without(&self.filter);
            if !more.is_empty() {
                // Nobody knows any more what of these was told under a filter before.
                self.meter.inherit_before(now, &more);
                self.dumps.next_ns = now;
            }
            self.obey(&orders, now);
        }
    }

    /// Destinations come, go and change; connections stay as they are.
    fn follow(&mut self, targets: &[Target], now: u64) {
        let Self { meter, outlets, .. } = self;
        outlets.retain(|outlet| {
            let stays = targets.iter().any(|target| target.number == outlet.target.number);
            if !stays {
                meter.remove(outlet.id);
            }
            stays
        });
        for target in targets {
            let known = outlets.iter_mut().find(|it| it.target.number == target.number);
            if let Some(outlet) = known {
                meter.set_timeouts(outlet.id, target.timeouts, now);
                outlet.target.timeouts = target.timeouts;
                outlet.target.filter.clone_from(&target.filter);
            } else if let Some(queue) = target.queue.upgrade()
                && let Some(id) = meter.add(target.timeouts, now)
            {
                outlets.push(Outlet::new(id, target.clone(), queue));
            }
        }
        for outlet in outlets {
            if meter.timeouts(outlet.id).is_some_and(|it| it != outlet.target.timeouts) {
                let destination = outlet.name();
                tracing::warn!(
                    destination,
                    "told more often than asked for: too many different timeouts"
                );
            }
        }
    }
}

/// The protocols that somebody wants. Where nobody is told anything all connections are
/// remembered, so that the first destination is told all of them.
///
/// A connection that was let in and no longer is counts as vanished after the next dump. One that
/// is let in anew counts from then on, whether it was told before or not, so that nothing is told
/// twice.
fn wanted(targets: &[Target]) -> ProtocolFilter {
    let protocols = targets.iter().map(|target| target.filter.protocols);
    protocols.reduce(|all, one| all.or(&one)).unwrap_or_default()
}
