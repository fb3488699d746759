//! Looks after what the kernel can tell at all, and says once what keeps it from telling more.

use std::collections::BTreeSet;

use daemon::Chain;

use crate::conntrack::{Fullness, Health, SysctlProblem};
use crate::meter::Stats;
use crate::metrics::Metrics;

/// What has been said already.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    next_ns: u64,
    fullness: Fullness,
    /// Problems that are there, as they are told.
    problems: BTreeSet<String>,
    resets: u64,
    overruns: u64,
    warn_ns: u64,
}

impl Upkeep {
    /// Whether it is time to look again; if so, the next time is at `next_ns`.
    pub(super) const fn is_due(&mut self, now: u64, next_ns: u64) -> bool {
        let due = now >= self.next_ns;
        if due {
            self.next_ns = next_ns;
        }
        due
    }

    pub(super) fn look_at(&mut self, health: &Health, metrics: &Metrics) {
        if let Some(table) = health.table {
            metrics.source.table(table);
            metrics.antrea.table(table);
            if self.fullness.has_come(table) {
                let (count, max) = (table.count, table.max);
                tracing::warn!(
                    count,
                    max,
                    "conntrack's table is nearly full; \
                    a full one makes the Node refuse connections; raise nf_conntrack_max"
                );
            }
        }
        metrics.source.settings_wrong(health.problems.len());
        let told = |problem: &SysctlProblem| Chain(problem).to_string();
        let problems: BTreeSet<_> = health.problems.iter().map(told).collect();
        for problem in problems.difference(&self.problems) {
            tracing::warn!(problem, "kernel tells less than it could");
        }
        self.problems = problems;
    }

    /// What the kernel dropped is told once per interval at most; the next may be at `next_ns`.
    pub(super) fn look_at_overruns(&mut self, overruns: u64, now: u64, next_ns: u64) {
        if overruns == self.overruns || now < self.warn_ns {
            return;
        }
        let times = overruns - self.overruns;
        tracing::warn!(
            times,
            "kernel dropped events; connections that began and ended meanwhile are lost, \
            the others are read anew; reliableEvents has it keep them"
        );
        (self.overruns, self.warn_ns) = (overruns, next_ns);
    }

    /// Somebody else zeroes counters, which costs what was counted since we last looked.
    pub(super) fn look_at_resets(&mut self, stats: &Stats) {
        if self.resets == 0 && stats.counter_resets > 0 {
            tracing::warn!(
                "somebody else zeroes conntrack's counters; \
                what they counted since the last look is lost each time"
            );
        }
        self.resets = stats.counter_resets;
    }
}
