//! Connections that have ended and wait for names which are only a matter of time.
//!
//! Who had an address is certain some seconds after the fact. A connection that goes on gets its
//! names with a later record; one that has ended has no later record, so it waits, though never
//! for longer than a living one would wait for its next record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::conntrack::{Counters, Tuple};
use crate::meter::{Due, EndReason};

use super::counts::Counts;

/// Connections that wait at once, 250 bytes each.
const LIMIT: usize = 16_384;

/// What the meter has handed out, kept.
#[derive(Debug)]
struct Held {
    original: Tuple,
    reply: Tuple,
    zone: u16,
    id: u32,
    mark: u32,
    labels: Option<[u8; 16]>,
    status: u32,
    tcp_state: Option<u8>,
    start_ns: u64,
    end_ns: u64,
    totals: Counters,
    deltas: Counters,
    reason: EndReason,
    until_ns: u64,
}

impl Held {
    fn new(due: &Due<'_>, until_ns: u64) -> Self {
        Self {
            original: *due.original,
            reply: *due.reply,
            zone: due.zone,
            id: due.id,
            mark: due.mark,
            labels: due.labels,
            status: due.status,
            tcp_state: due.tcp_state,
            start_ns: due.start_ns,
            end_ns: due.end_ns,
            totals: due.totals,
            deltas: due.deltas,
            reason: due.reason,
            until_ns,
        }
    }

    fn due(&self) -> Due<'_> {
        Due {
            original: &self.original,
            reply: &self.reply,
            zone: self.zone,
            id: self.id,
            mark: self.mark,
            labels: self.labels,
            status: self.status,
            tcp_state: self.tcp_state,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            totals: self.totals,
            deltas: self.deltas,
            reason: self.reason,
        }
    }
}

/// What waits, the first to have come first.
#[derive(Debug)]
pub struct Waiting {
    held: VecDeque<Held>,
    /// How long one waits, in nanoseconds. 0: none does.
    patience_ns: u64,
    counts: Arc<Counts>,
    /// When all of them were last looked at.
    looked_ns: u64,
}

/// How often those that wait are looked at.
const LOOK_NS: u64 = 250_000_000;

impl Waiting {
    pub fn new(counts: Arc<Counts>) -> Self {
        Self { held: VecDeque::new(), patience_ns: 0, counts, looked_ns: 0 }
    }

    /// From now on one waits for `patience` at most.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience_ns = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Keeps a connection until its names are there. `false` if it is not to wait: it goes on, or
    /// nobody is to wait, or too many do, or it `is_settled`.
    pub fn hold(
        &mut self,
        due: &Due<'_>,
        now_ns: u64,
        is_settled: impl Fn(&Due<'_>) -> bool,
    ) -> bool {
        if due.reason != EndReason::EndOfFlow || self.patience_ns == 0 || is_settled(due) {
            return false;
        }
        if self.held.len() >= LIMIT {
            self.counts.wait_full.inc();
            return false;
        }
        let until_ns = now_ns.saturating_add(self.patience_ns);
        self.held.push_back(Held::new(due, until_ns));
        self.counts.waited.inc();
        self.count();
        true
    }

    /// Gives up to `most` connections to `tell` whose time is over, or which `is_settled`. Returns
    /// how many.
    pub fn release(
        &mut self,
        now_ns: u64,
        most: usize,
        is_settled: impl Fn(&Due<'_>) -> bool,
        mut tell: impl FnMut(&Due<'_>),
    ) -> usize {
        let mut released = 0;
        while released < most
            && let Some(held) = self.held.pop_front_if(|held| now_ns >= held.until_ns)
        {
            let due = held.due();
            self.counts.waited_in_vain.inc_by(u64::from(!is_settled(&due)));
            tell(&due);
            released += 1;
        }
        if released < most && now_ns >= self.looked_ns.saturating_add(LOOK_NS) {
            let before = released;
            self.held.retain(|held| {
                let due = held.due();
                let stays = released == most || !is_settled(&due);
                if !stays {
                    tell(&due);
                    released += 1;
                }
                stays
            });
            if released == before || released < most {
                self.looked_ns = now_ns;
            }
        }
        self.count();
        released
    }

    /// Gives up to `most` connections to `tell`, whatever they lack.
    pub fn flush(&mut self, most: usize, mut tell: impl FnMut(&Due<'_>)) -> usize {
        let count = most.min(self.held.len());
        for held in self.held.drain(..count) {
            tell(&held.due());
        }
        self.count();
        count
    }

    fn count(&self) {
        self.counts.waiting.set(i64::try_from(self.held.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(text: &str) -> (std::net::IpAddr, u16) {
        let address: std::net::SocketAddr = text.parse().unwrap();
        (address.ip(), address.port())
    }

    fn hold(waiting: &mut Waiting, id: u32, reason: EndReason, now_ns: u64) -> bool {
        let tuple = Tuple::new(at("10.0.0.1:1"), at("10.0.0.2:2"), 6);
        let totals = Counters::default();
        let due = Due {
            original: &tuple,
            reply: &tuple,
            zone: 0,
            id,
            mark: 0,
            labels: None,
            status: 0,
            tcp_state: None,
            start_ns: now_ns,
            end_ns: now_ns,
            totals,
            deltas: totals,
            reason,
        };
        waiting.hold(&due, now_ns, |_| false)
    }

    fn patient() -> Waiting {
        let mut waiting = Waiting::new(Arc::default());
        waiting.set_patience(Duration::from_secs(5));
        waiting
    }

    #[test]
    fn what_has_ended_waits_until_it_is_settled_or_its_time_is_over() {
        let mut waiting = patient();
        assert!(!hold(&mut waiting, 1, EndReason::ActiveTimeout, 0));
        for id in [2, 3, 4] {
            assert!(hold(&mut waiting, id, EndReason::EndOfFlow, u64::from(id) * SECOND));
        }
        let settled = Cell::new(3);
        let told = |waiting: &mut Waiting, now: u64| {
            let mut told = Vec::new();
            waiting.release(now, 10, |due| due.id == settled.get(), |due| told.push(due.id));
            told
        };
        assert_eq!(told(&mut waiting, 4 * SECOND), [3]);
        assert_eq!(told(&mut waiting, 6 * SECOND), Vec::<u32>::new());
        assert_eq!(told(&mut waiting, 7 * SECOND), [2]);
        settled.set(4);
        assert_eq!(told(&mut waiting, 8 * SECOND), [4]);
        let counts = &waiting.counts;
        assert_eq!(
            (counts.waited.get(), counts.waited_in_vain.get(), counts.waiting.get()),
            (3, 1, 0)
        );
    }

    #[test]
    fn too_many_do_not_wait_and_none_is_lost() {
        let mut waiting = patient();
        for id in 0..20_000 {
            let held = hold(&mut waiting, id, EndReason::EndOfFlow, 0);
            assert_eq!(held, (id as usize) < LIMIT);
        }
        assert_eq!(waiting.counts.wait_full.get(), 20_000 - LIMIT as u64);
        let mut told = 0;
        while waiting.flush(256, |_| told += 1) > 0 {}
        assert_eq!(told, LIMIT);
        waiting.set_patience(Duration::ZERO);
        assert!(!hold(&mut waiting, 1, EndReason::EndOfFlow, 0));
    }
}
