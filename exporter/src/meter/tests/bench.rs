//! A meter, a clock, and what a kernel could say.

use std::net::IpAddr;

use super::super::*;
use crate::conntrack::{Counters, Tuple};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const ZONE: u16 = 65520;

/// What the tests look at of a record: id, delta and total of packets, reason.
pub(super) type Record = (u32, u64, u64, EndReason);

/// A meter with an active timeout of 5 s and an idle timeout of 15 s, and a clock.
pub(super) struct Bench {
    pub(super) meter: Meter,
    pub(super) now: u64,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(5, 15, 100)
    }

    pub(super) fn with(active: u64, idle: u64, connections: usize) -> Self {
        let seconds = std::time::Duration::from_secs;
        let timeouts = Timeouts::new(seconds(active), seconds(idle));
        let mut meter = Meter::new(Limits { connections });
        meter.add(timeouts, 0).unwrap();
        Self { meter, now: 1000 * SECOND }
    }

    /// Hands out to whoever there is.
    pub(super) fn due(&mut self, max: usize, mut visit: impl FnMut(&Due<'_>)) -> usize {
        self.meter.due(
            self.now,
            max,
            Set::ALL,
            |_| false,
            |due, _| {
                visit(due);
                Set::EMPTY
            },
        )
    }

    pub(super) fn observe(&mut self, entries: &[Entry]) -> &mut Self {
        for entry in entries {
            self.meter.observe(entry, self.now);
        }
        self
    }

    /// A complete dump that shows `entries`.
    pub(super) fn dump(&mut self, entries: &[Entry]) -> &mut Self {
        self.meter.dump_started(ZONE);
        self.observe(entries);
        self.meter.dump_finished(ZONE, true);
        self
    }

    pub(super) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * SECOND;
        self
    }

    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[Record]) -> &mut Self {
        let mut got = Vec::new();
        self.due(100, |due| got.push(record(due)));
        got.sort_unstable_by_key(|&(id, ..)| id);
        assert_eq!(got, expected);
        self
    }

    #[track_caller]
    pub(super) fn expect_stored(&mut self, stored: u64) -> &mut Self {
        assert_eq!(self.meter.stats().stored, stored);
        self
    }
}

pub(super) fn record(due: &Due<'_>) -> Record {
    (due.id, due.deltas.packets, due.totals.packets, due.reason)
}

pub(super) fn udp() -> (Tuple, Tuple) {
    let (client, server) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    (Tuple::new((client, 4000), (server, 53), 17), Tuple::new((server, 53), (client, 4000), 17))
}

pub(super) fn entry(kind: Kind, id: u32) -> Entry {
    let (original, reply) = udp();
    Entry { zone: ZONE, id, ..Entry::new(kind, original, reply) }
}

pub(super) fn new(id: u32) -> Entry {
    entry(Kind::New, id)
}

/// A dump entry after `packets` in each direction.
pub(super) fn dumped(id: u32, packets: u64) -> Entry {
    let octets = packets * 100;
    let counters = Counters { packets, octets, reverse_packets: packets, reverse_octets: octets };
    let start_ns = Some(u64::from(id) * SECOND);
    Entry { counters: Some(counters), start_ns, ..entry(Kind::Dump, id) }
}

pub(super) fn destroyed(id: u32, packets: u64) -> Entry {
    let stop_ns = Some(2000 * SECOND);
    Entry { kind: Kind::Destroy, stop_ns, status: status::DYING, ..dumped(id, packets) }
}

pub(super) fn tcp(state: u8, entry: Entry) -> Entry {
    Entry { tcp_state: Some(state), ..entry }
}
