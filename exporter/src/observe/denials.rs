//! What no conntrack source tells: connections that were denied.

use std::time::Duration;

use super::Observer;
use crate::conntrack::{ConnectionSource, Entry};
use crate::deny::{self, Rules, Table};

/// Packets taken per turn, so that a storm of them cannot keep the observer from its other work.
const PACKETS_PER_TURN: usize = deny::CAPACITY;

/// Where denied packets come from, and what they add up to.
#[derive(Debug)]
pub(super) struct Denials {
    packets: deny::Denials,
    table: Table,
}

impl Denials {
    pub(super) fn rules(&self) -> &Rules {
        self.table.rules()
    }

    /// Nothing changes where nobody is told.
    pub(super) fn set_idle(&mut self, idle: Option<Duration>) {
        if let Some(idle) = idle {
            self.table.set_idle(idle);
        }
    }
}

impl<S: ConnectionSource> Observer<S> {
    /// Also observes connections that were denied.
    #[must_use]
    pub fn with_denied(mut self, packets: deny::Denials, table: Table) -> Self {
        self.denials = Some(Denials { packets, table });
        self
    }

    pub(super) fn take_denied(&mut self, now: u64) {
        let Self { meter, filter, metrics, denials, .. } = self;
        let Some(Denials { packets, table }) = denials else { return };
        // What the meter knows it has to see the end of, whatever is wanted by then.
        let mut observe = |entry: &Entry| {
            metrics.source.entries_denied.inc();
            meter.observe(entry, now);
        };
        for denied in std::iter::from_fn(|| packets.take()).take(PACKETS_PER_TURN) {
            if filter.allows(denied.original.protocol()) {
                table.take(&denied, now, &mut observe);
            } else {
                metrics.source.entries_denied.inc();
                metrics.entries_filtered.inc();
            }
        }
        table.sweep(now, &mut observe);
    }
}
