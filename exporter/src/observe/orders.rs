use std::time::Duration;

use tokio::sync::watch;

use super::{Observer, nanoseconds};
use crate::conntrack::ConnectionSource;
use crate::filter::ProtocolFilter;
use crate::meter::Timeouts;

/// What may change while an observer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    pub timeouts: Timeouts,
    pub poll_interval: Duration,
    /// A connection that was let in and no longer is counts as vanished after the next dump, and
    /// is not told any more. One that is let in anew counts from then on, whether it was told
    /// before or not, so that nothing is told twice.
    pub filter: ProtocolFilter,
}

impl<S: ConnectionSource> Observer<S> {
    /// Obeys `orders` from now on, and whatever they change to while this runs.
    #[must_use]
    pub fn obeying(mut self, mut orders: watch::Receiver<Orders>) -> Self {
        let first = *orders.borrow_and_update();
        self.obey(first);
        self.orders = Some(orders);
        self
    }

    fn obey(&mut self, orders: Orders) {
        let sooner = nanoseconds(self.poll_interval.saturating_sub(orders.poll_interval));
        self.dumps.next_ns = self.dumps.next_ns.saturating_sub(sooner);
        self.poll_interval = orders.poll_interval;
        self.filter = orders.filter;
        self.meter.set_timeouts(orders.timeouts);
        if let Some(denials) = &mut self.denials {
            denials.set_idle(orders.timeouts);
        }
    }

    /// Takes new orders, if there are any.
    pub(super) fn hear(&mut self, now: u64) {
        let Some(receiver) = &mut self.orders else { return };
        if receiver.has_changed().unwrap_or(false) {
            let orders = *receiver.borrow_and_update();
            if !self.filter.allows_all_of(&orders.filter) {
                // Nobody knows any more what of these was told under a filter before.
                self.meter.inherit_before(now);
                self.dumps.next_ns = now;
            }
            self.obey(orders);
        }
    }
}
