mod antreas; // what Antrea's tests expect
mod held; // what has ended and waits
mod spread; // many that are found at once

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::conntrack::{Counters, Icmp, Tuple, tcp_state};
use EndReason::{ActiveTimeout, EndOfFlow, Forced, IdleTimeout};

const SECOND: u64 = 1_000_000_000;
const ZONE: u16 = 65520;

/// What the tests look at of a record: id, delta and total of packets, reason.
type Record = (u32, u64, u64, EndReason);

/// A meter with an active timeout of 5 s and an idle timeout of 15 s, and a clock.
struct Bench {
    meter: Meter,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(5, 15, 100)
    }

    fn with(active: u64, idle: u64, connections: usize) -> Self {
        let seconds = std::time::Duration::from_secs;
        let timeouts = Timeouts::new(seconds(active), seconds(idle));
        let mut meter = Meter::new(Limits { connections });
        meter.add(timeouts, 0).unwrap();
        Self { meter, now: 1000 * SECOND }
    }

    /// Hands out to whoever there is.
    fn due(&mut self, max: usize, mut visit: impl FnMut(&Due<'_>)) -> usize {
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

    fn observe(&mut self, entries: &[Entry]) -> &mut Self {
        for entry in entries {
            self.meter.observe(entry, self.now);
        }
        self
    }

    /// A complete dump that shows `entries`.
    fn dump(&mut self, entries: &[Entry]) -> &mut Self {
        self.meter.dump_started(ZONE);
        self.observe(entries);
        self.meter.dump_finished(ZONE, true);
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * SECOND;
        self
    }

    #[track_caller]
    fn expect(&mut self, expected: &[Record]) -> &mut Self {
        let mut got = Vec::new();
        self.due(100, |due| got.push(record(due)));
        got.sort_unstable_by_key(|&(id, ..)| id);
        assert_eq!(got, expected);
        self
    }

    #[track_caller]
    fn expect_stored(&mut self, stored: u64) -> &mut Self {
        assert_eq!(self.meter.stats().stored, stored);
        self
    }
}

fn record(due: &Due<'_>) -> Record {
    (due.id, due.deltas.packets, due.totals.packets, due.reason)
}

fn udp() -> (Tuple, Tuple) {
    let (client, server) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    (Tuple::new((client, 4000), (server, 53), 17), Tuple::new((server, 53), (client, 4000), 17))
}

fn entry(kind: Kind, id: u32) -> Entry {
    let (original, reply) = udp();
    Entry { zone: ZONE, id, ..Entry::new(kind, original, reply) }
}

fn new(id: u32) -> Entry {
    entry(Kind::New, id)
}

/// A dump entry after `packets` in each direction.
fn dumped(id: u32, packets: u64) -> Entry {
    let octets = packets * 100;
    let counters = Counters { packets, octets, reverse_packets: packets, reverse_octets: octets };
    let start_ns = Some(u64::from(id) * SECOND);
    Entry { counters: Some(counters), start_ns, ..entry(Kind::Dump, id) }
}

fn destroyed(id: u32, packets: u64) -> Entry {
    let stop_ns = Some(2000 * SECOND);
    Entry { kind: Kind::Destroy, stop_ns, status: status::DYING, ..dumped(id, packets) }
}

fn tcp(state: u8, entry: Entry) -> Entry {
    Entry { tcp_state: Some(state), ..entry }
}

#[test]
fn a_living_connection_is_reported_every_active_timeout_if_there_is_news() {
    Bench::new()
        .observe(&[new(1)])
        .dump(&[dumped(1, 3)])
        .wait(4)
        .expect(&[])
        .wait(1)
        .expect(&[(1, 3, 3, ActiveTimeout)])
        .dump(&[dumped(1, 7)])
        .wait(5)
        .expect(&[(1, 4, 7, ActiveTimeout)])
        .dump(&[dumped(1, 7)])
        .wait(50)
        .expect(&[])
        .dump(&[dumped(1, 8)])
        .wait(4)
        .expect(&[])
        .wait(1)
        .expect(&[(1, 1, 8, ActiveTimeout)]);
}

#[test]
fn a_connection_gone_quiet_is_reported_once_as_idle() {
    Bench::with(60, 15, 100)
        .dump(&[dumped(1, 3)])
        .wait(10)
        .dump(&[dumped(1, 4)])
        .wait(14)
        .dump(&[dumped(1, 4)])
        .expect(&[])
        .wait(1)
        .expect(&[(1, 4, 4, IdleTimeout)])
        .wait(100)
        .dump(&[dumped(1, 4)])
        .expect(&[]);
}

#[test]
fn active_reports_do_not_drift() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1)]).wait(6).expect(&[(1, 1, 1, ActiveTimeout)]);
    bench.dump(&[dumped(1, 2)]).wait(4).expect(&[(1, 1, 2, ActiveTimeout)]);
}

#[test]
fn a_closed_connection_is_reported_at_once_and_forgotten() {
    Bench::new()
        .observe(&[new(1), destroyed(1, 2)])
        .expect(&[(1, 2, 2, EndOfFlow)])
        .wait(100)
        .expect(&[])
        .expect_stored(0);
}

#[test]
fn a_destroy_event_alone_is_a_whole_connection() {
    let mut bench = Bench::new();
    bench.observe(&[destroyed(1, 2)]);
    let mut times = None;
    bench.due(1, |due| times = Some((due.start_ns, due.end_ns)));
    assert_eq!(times, Some((SECOND, 2000 * SECOND)));
    bench.expect_stored(0);
}

#[test]
fn a_connection_whose_traffic_is_all_reported_ends_silently() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 2)]).wait(5).expect(&[(1, 2, 2, ActiveTimeout)]);
    bench.observe(&[destroyed(1, 2)]).expect(&[]).expect_stored(0);
    assert_eq!(bench.meter.stats().closed_without_news, 1);
}

#[test]
fn a_connection_never_counted_is_never_reported() {
    let mut bench = Bench::new();
    let uncounted = |kind| entry(kind, 1);
    bench.observe(&[new(1)]).dump(&[uncounted(Kind::Dump)]).wait(60).expect(&[]);
    bench.observe(&[uncounted(Kind::Destroy)]).expect(&[]).expect_stored(0);
    assert_eq!(bench.meter.stats().closed_without_counters, 1);
}

#[test]
fn tcp_that_lingers_has_ended() {
    Bench::new()
        .dump(&[tcp(tcp_state::TIME_WAIT, dumped(1, 9))])
        .wait(5)
        .expect(&[(1, 9, 9, EndOfFlow)])
        .observe(&[tcp(tcp_state::TIME_WAIT, destroyed(1, 10))])
        .expect(&[(1, 1, 10, EndOfFlow)])
        .expect_stored(0);
}

#[test]
fn a_tuple_used_again_is_another_connection() {
    Bench::new()
        .observe(&[new(1), destroyed(1, 2), new(2)])
        .dump(&[dumped(2, 5)])
        .expect(&[(1, 2, 2, EndOfFlow)])
        .wait(5)
        .expect(&[(2, 5, 5, ActiveTimeout)]);
}

#[test]
fn an_id_used_again_with_its_tuple_is_another_connection() {
    let again = |entry: Entry| Entry { start_ns: Some(77 * SECOND), ..entry };
    let mut bench = Bench::new();
    bench.meter.dump_started(ZONE);
    bench.observe(&[new(1), destroyed(1, 2), new(1), dumped(1, 1), again(dumped(1, 4))]);
    bench.meter.dump_finished(ZONE, true);
    bench.expect(&[(1, 2, 2, EndOfFlow)]);
    bench.observe(&[again(destroyed(1, 6))]).expect(&[(1, 6, 6, EndOfFlow)]).expect_stored(0);
    assert_eq!(bench.meter.stats().counter_resets, 0);
}

#[test]
fn parallel_pings_are_different_connections() {
    let ping = |id: u16| {
        let icmp = |kind| Icmp { kind, code: 0, id };
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let (original, reply) = (Tuple::icmp(a, b, icmp(8)), Tuple::icmp(b, a, icmp(0)));
        Entry { original, reply, ..destroyed(1, u64::from(id)) }
    };
    Bench::new().observe(&[ping(3), ping(4)]).expect(&[(1, 3, 3, EndOfFlow), (1, 4, 4, EndOfFlow)]);
}

#[test]
fn zones_and_families_are_kept_apart() {
    let other_zone = Entry { zone: 0, ..destroyed(1, 2) };
    let mapped = |octets: [u8; 4], port| (Ipv4Addr::from(octets).to_ipv6_mapped().into(), port);
    let tuple = Tuple::new(mapped([10, 0, 0, 1], 4000), mapped([10, 0, 0, 2], 53), 17);
    let ipv6 = Entry { original: tuple, reply: tuple, ..destroyed(1, 3) };
    Bench::new().observe(&[destroyed(1, 1), other_zone, ipv6]).expect(&[
        (1, 1, 1, EndOfFlow),
        (1, 2, 2, EndOfFlow),
        (1, 3, 3, EndOfFlow),
    ]);
}

#[test]
fn dumps_that_come_just_before_and_after_deadlines_cost_no_report() {
    let mut bench = Bench::new();
    let mut told = 0;
    bench.dump(&[dumped(1, 1)]);
    let start = bench.now;
    for (interval, reports) in (1..=6).zip(1..) {
        let packets = interval + 1;
        let deadline = start + interval * 5 * SECOND;
        // Early and late by turns; what is due is told before a dump and behind it.
        let jitter = 300_000_000;
        bench.now = if interval % 2 == 1 { deadline - jitter } else { deadline + jitter };
        told += bench.due(100, |_| {});
        bench.dump(&[dumped(1, packets)]);
        bench.now = deadline + 2 * jitter;
        told += bench.due(100, |_| {});
        assert_eq!(told, reports, "after interval {interval}");
    }
}

#[test]
fn a_ghost_does_not_come_back_to_life() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1)]);
    bench.meter.dump_started(ZONE);
    bench.observe(&[destroyed(1, 2), destroyed(2, 1)]);
    bench.expect(&[(1, 2, 2, EndOfFlow), (2, 1, 1, EndOfFlow)]).expect_stored(2);
    // Filled before the events were sent, read after them.
    bench.observe(&[dumped(1, 1), dumped(2, 1)]);
    bench.meter.dump_finished(ZONE, true);
    bench.wait(60).expect(&[]).expect_stored(0);
}

#[test]
fn a_dump_does_not_insert_the_dying() {
    let dying = Entry { status: status::DYING, ..dumped(1, 1) };
    Bench::new().dump(&[dying]).wait(5).expect(&[]).expect_stored(0);
}

#[test]
fn what_a_complete_dump_does_not_show_has_vanished() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1), dumped(2, 1)]).dump(&[dumped(2, 1)]);
    bench.expect(&[(1, 1, 1, EndOfFlow)]);
    assert_eq!(bench.meter.stats().vanished, 1);
    // Its place is kept for a DESTROY event that comes late, until the next dump has ended.
    bench.expect_stored(2).dump(&[dumped(2, 1)]).expect_stored(1);
}

#[test]
fn an_interrupted_dump_proves_nothing() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1)]);
    bench.meter.dump_started(ZONE);
    bench.meter.dump_finished(ZONE, false);
    bench.expect(&[]);
    assert_eq!(bench.meter.stats().vanished, 0);
}

#[test]
fn a_dump_of_one_zone_proves_nothing_about_another() {
    let mut bench = Bench::new();
    bench.observe(&[Entry { zone: 0, ..dumped(1, 1) }]).dump(&[]).expect(&[]);
    assert_eq!(bench.meter.stats().vanished, 0);
}

#[test]
fn a_connection_begun_during_a_dump_has_not_vanished() {
    let mut bench = Bench::new();
    bench.meter.dump_started(ZONE);
    bench.observe(&[new(1)]);
    bench.meter.dump_finished(ZONE, true);
    assert_eq!(bench.meter.stats().vanished, 0);
}

#[test]
fn dumps_of_several_zones_may_overlap() {
    let mut bench = Bench::new();
    bench.meter.dump_started(ZONE);
    bench.meter.dump_started(0);
    bench.observe(&[new(1), dumped(2, 1)]);
    bench.meter.dump_finished(ZONE, true);
    bench.meter.dump_finished(0, true);
    assert_eq!(bench.meter.stats().vanished, 0);
}

#[test]
fn a_late_destroy_event_adds_what_was_missing() {
    Bench::new()
        .dump(&[dumped(1, 1)])
        .dump(&[])
        .expect(&[(1, 1, 1, EndOfFlow)])
        .observe(&[destroyed(1, 3)])
        .expect(&[(1, 2, 3, EndOfFlow)])
        .expect_stored(0);
}

#[test]
fn the_vanished_may_reappear() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1), dumped(2, 1)]).dump(&[]);
    bench.dump(&[dumped(1, 1), dumped(2, 2)]);
    bench.wait(5).expect(&[(1, 1, 1, ActiveTimeout), (2, 2, 2, ActiveTimeout)]);
    let stats = bench.meter.stats();
    assert_eq!((stats.vanished, stats.reappeared, stats.live, stats.closed_waiting), (2, 2, 2, 0));
}

#[test]
fn counters_zeroed_by_others_lose_nothing_that_was_seen() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 10)]).wait(5).expect(&[(1, 10, 10, ActiveTimeout)]);
    bench.dump(&[dumped(1, 15)]).dump(&[dumped(1, 4)]).wait(5);
    bench.expect(&[(1, 9, 19, ActiveTimeout)]);
    bench.observe(&[destroyed(1, 6)]).expect(&[(1, 2, 21, EndOfFlow)]);
    assert_eq!(bench.meter.stats().counter_resets, 1);
}

#[test]
fn a_dump_from_before_the_last_counters_were_asked_for_changes_nothing() {
    let mut bench = Bench::new();
    let over = tcp(tcp_state::TIME_WAIT, dumped(1, 9));
    bench.observe(&[new(1), Entry { kind: Kind::Update, ..over }]);
    bench.dump(&[tcp(tcp_state::ESTABLISHED, dumped(1, 5))]);
    bench.wait(1).expect(&[(1, 9, 9, EndOfFlow)]);
    assert_eq!(bench.meter.stats().counter_resets, 0);
    bench.observe(&[tcp(tcp_state::TIME_WAIT, destroyed(1, 9))]).expect(&[]);
}

#[test]
fn a_destroy_event_without_labels_keeps_those_known() {
    let mut bench = Bench::new();
    let labels = Some([7; 16]);
    bench.observe(&[Entry { labels, mark: 3, ..new(1) }, destroyed(1, 1)]);
    bench.due(1, |due| assert_eq!(due.labels, labels));
}

#[test]
fn a_full_store_refuses_until_there_is_room() {
    let mut bench = Bench::with(5, 15, 2);
    bench.observe(&[new(1), new(2), new(3), destroyed(1, 1), destroyed(3, 9)]);
    assert_eq!(bench.meter.stats().refused, 2);
    bench.expect(&[(1, 1, 1, EndOfFlow)]);
    bench.observe(&[destroyed(4, 1), destroyed(2, 1)]);
    bench.expect(&[(2, 1, 1, EndOfFlow), (4, 1, 1, EndOfFlow)]).expect_stored(0);
}

#[test]
fn records_wait_and_grow_while_nobody_takes_them() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1)]).wait(20).dump(&[dumped(1, 2)]).wait(20).dump(&[dumped(1, 3)]);
    bench.expect(&[(1, 3, 3, ActiveTimeout)]);
}

#[test]
fn neither_the_living_nor_the_closed_starve() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1), dumped(2, 1), dumped(3, 1)]);
    bench.observe(&[destroyed(11, 1), destroyed(12, 1), destroyed(13, 1)]).wait(5);
    let mut closed = [0; 2];
    for count in &mut closed {
        let handed_out = bench.due(3, |due| {
            *count += usize::from(due.reason == EndOfFlow);
        });
        assert_eq!(handed_out, 3);
    }
    assert_eq!(closed, [2, 1]);
}

#[test]
fn a_flush_hands_out_all_that_is_left() {
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 1), dumped(2, 2), dumped(3, 3)]).observe(&[destroyed(2, 4)]);
    let mut got = Vec::new();
    let mut take = |due: &Due<'_>, _| {
        got.push(record(due));
        Set::EMPTY
    };
    while bench.meter.flush(1, Set::ALL, &mut take) > 0 {}
    got.sort_unstable_by_key(|&(id, ..)| id);
    assert_eq!(got, [(1, 1, 1, Forced), (2, 4, 4, EndOfFlow), (3, 3, 3, Forced)]);
}

#[test]
fn a_dump_finds_everyone_in_whatever_order_it_shows_them() {
    // Only the ids tell them apart.
    let begun = |id| Entry { start_ns: Some(SECOND), ..dumped(id, 1) };
    let all: Vec<Entry> = (0..300).map(begun).collect();
    let reversed: Vec<Entry> = all.iter().rev().copied().collect();
    let mut bench = Bench::with(5, 15, 1000);
    bench.dump(&all).dump(&all).dump(&reversed).dump(&all);
    assert_eq!(bench.meter.stats().inserted, 300);
    // More have gone in a row than a trail is followed over.
    let (few, more) = (&all[..10], &all[200..]);
    let late = [begun(999)];
    bench.dump(&[few, &late, more].concat()).dump(&[&late, few, more].concat());
    let stats = bench.meter.stats();
    assert_eq!((stats.inserted, stats.vanished, stats.live), (301, 190, 111));
}

#[test]
fn far_deadlines_share_buckets_with_near_ones() {
    let mut bench = Bench::with(3600, 7200, 100);
    bench.dump(&[dumped(1, 1)]);
    for _ in 0..35 {
        bench.wait(100).expect(&[]);
    }
    bench.wait(99).expect(&[]).wait(1).expect(&[(1, 1, 1, ActiveTimeout)]);
}

#[test]
fn what_began_before_us_is_told_once_and_counts_from_there() {
    let at = |start: u64, entry: Entry| Entry { start_ns: Some(start), ..entry };
    let mut bench = Bench::new();
    let began = bench.now;
    bench.meter.inherit_before(began, &ProtocolFilter::ALL);
    let (old, young) = (began - SECOND, began + SECOND);
    bench.wait(2).dump(&[at(old, dumped(1, 50)), at(young, dumped(2, 50))]);
    bench.wait(5).expect(&[(1, 0, 50, ActiveTimeout), (2, 50, 50, ActiveTimeout)]);
    bench.dump(&[at(old, dumped(1, 80)), at(young, dumped(2, 50))]);
    bench.wait(5).expect(&[(1, 30, 80, ActiveTimeout)]);
}

#[test]
fn what_began_before_us_and_ends_at_once_is_still_told() {
    let mut bench = Bench::new();
    let began = bench.now;
    bench.meter.inherit_before(began, &ProtocolFilter::ALL);
    let old = |entry: Entry| Entry { start_ns: Some(began - SECOND), ..entry };
    bench.dump(&[old(dumped(1, 50))]).observe(&[old(destroyed(1, 50))]);
    bench.expect(&[(1, 0, 50, EndOfFlow)]);
}

#[test]
fn what_began_before_us_is_counted_by_no_event_either() {
    let mut bench = Bench::new();
    let began = bench.now;
    bench.meter.inherit_before(began, &ProtocolFilter::ALL);
    let old = |entry: Entry| Entry { start_ns: Some(began - SECOND), ..entry };
    // Its end comes before a dump shows it.
    bench.observe(&[old(destroyed(1, 50))]).expect(&[(1, 0, 50, EndOfFlow)]);
    // News of it does, which has neither counters nor a start.
    bench.observe(&[entry(Kind::Update, 2)]).dump(&[old(dumped(2, 50))]);
    bench.wait(5).expect(&[(2, 0, 50, ActiveTimeout)]);
    bench.observe(&[old(destroyed(2, 60))]).expect(&[(2, 10, 60, EndOfFlow)]);
    // One whose beginning was told belongs to nobody else, whatever clocks say.
    bench.observe(&[new(3), old(destroyed(3, 7))]).expect(&[(3, 7, 7, EndOfFlow)]);
    // What began later was not there to be told.
    bench.observe(&[Entry { start_ns: Some(began), ..destroyed(4, 9) }]);
    bench.expect(&[(4, 9, 9, EndOfFlow)]);
}

#[test]
fn what_began_before_some_protocols_were_wanted_is_told_whole_for_the_others() {
    let mut bench = Bench::new();
    bench.meter.inherit_before(bench.now, &ProtocolFilter::only(&[6]));
    let (original, reply) = udp();
    let as_tcp = |tuple: Tuple| {
        let (source, port) = (tuple.source(), tuple.source_port());
        Tuple::new((source, port), (tuple.destination(), tuple.destination_port()), 6)
    };
    let over_tcp = Entry { original: as_tcp(original), reply: as_tcp(reply), ..dumped(2, 50) };
    bench.dump(&[dumped(1, 50), over_tcp]).wait(5);
    bench.expect(&[(1, 50, 50, ActiveTimeout), (2, 0, 50, ActiveTimeout)]);
}

#[test]
fn a_destination_that_comes_while_a_connection_seems_gone_counts_from_there() {
    let seconds = std::time::Duration::from_secs;
    let mut bench = Bench::new();
    bench.dump(&[dumped(1, 5)]).wait(5).expect(&[(1, 5, 5, ActiveTimeout)]);
    bench.dump(&[]).expect(&[]);
    let late = bench.meter.add(Timeouts::new(seconds(7), seconds(15)), bench.now).unwrap();
    bench.dump(&[dumped(1, 6)]).wait(7);
    let mut deltas = Vec::new();
    bench.meter.due(
        bench.now,
        10,
        Set::ALL,
        |_| false,
        |due, offer| {
            if offer.to.contains(late) {
                deltas.push((due.deltas.packets, due.totals.packets));
            }
            Set::EMPTY
        },
    );
    assert_eq!(deltas, [(1, 6)], "the first was told 5 of them");
}

/// Two destinations, of which the first alone takes records.
struct Pair {
    bench: Bench,
    quick: Id,
    away: Id,
}

impl Pair {
    fn new(connections: usize, quick: u64, away: u64) -> Self {
        let seconds = std::time::Duration::from_secs;
        let mut meter = Meter::new(Limits { connections });
        let mut add = |active| meter.add(Timeouts::new(seconds(active), seconds(15)), 0).unwrap();
        let (quick, away) = (add(quick), add(away));
        Self { bench: Bench { meter, now: 1000 * SECOND }, quick, away }
    }

    fn take(&mut self) -> Vec<Record> {
        let mut ready = Set::EMPTY;
        ready.insert(self.quick);
        let mut got = Vec::new();
        self.bench.meter.due(
            self.bench.now,
            1000,
            ready,
            |_| false,
            |due, offer| {
                assert!(offer.to.contains(self.quick) && !offer.to.contains(self.away));
                got.push(record(due));
                offer.late
            },
        );
        got
    }

    fn lag(&self) -> (u64, u64, u64) {
        let Lag { owed, coalesced, lost, .. } = self.bench.meter.lag(self.away);
        (owed, coalesced, lost)
    }

    /// What the other one is told once it is back.
    fn pay(&mut self) -> Vec<Record> {
        let (mut got, away) = (Vec::new(), self.away);
        self.bench.meter.pay(away, 1000, |due| got.push(record(due)));
        let mut ready = Set::EMPTY;
        ready.insert(away);
        self.bench.meter.due(
            self.bench.now,
            1000,
            ready,
            |_| false,
            |due, offer| {
                assert_eq!(offer.to, ready);
                got.push(record(due));
                Set::EMPTY
            },
        );
        got
    }
}

#[test]
fn closed_connections_that_wait_for_one_destination_leave_room_for_those_of_the_other() {
    // Sharing timeouts or not makes no difference.
    for away in [5, 6] {
        let mut pair = Pair::new(100, 5, away);
        for id in 0..1000 {
            pair.bench.observe(&[destroyed(id, 1)]);
            assert_eq!(pair.take(), [(id, 1, 1, EndOfFlow)], "{away}");
        }
        let stats = pair.bench.meter.stats();
        assert_eq!((stats.refused, stats.closed_waiting, stats.stored), (0, 75, 75));
        let (_, _, lost) = pair.lag();
        assert_eq!((lost, pair.bench.meter.untold(pair.away)), (925, 75));
        let told: Vec<u32> = pair.pay().iter().map(|&(id, ..)| id).collect();
        assert_eq!(told, (925..1000).collect::<Vec<_>>(), "the latest are left");
        assert_eq!(pair.bench.meter.lag(pair.quick), Lag { due: 1000, ..Lag::default() });
        pair.bench.expect_stored(0);
    }
}

#[test]
fn living_connections_are_owed_once_each_and_never_given_up() {
    let mut pair = Pair::new(100, 5, 5);
    for round in 1..=10 {
        let all: Vec<_> = (0..100).map(|id| dumped(id, round)).collect();
        pair.bench.dump(&all).wait(5);
        assert_eq!(pair.take().len(), 100);
    }
    assert_eq!(pair.lag(), (100, 900, 0));
    let told = pair.pay();
    assert_eq!(told.len(), 100);
    assert!(told.iter().all(|&(_, delta, total, _)| (delta, total) == (10, 10)));
}

#[test]
fn what_is_owed_of_a_connection_that_has_ended_says_so() {
    let mut pair = Pair::new(100, 5, 5);
    pair.bench.dump(&[dumped(1, 3)]).wait(5);
    assert_eq!(pair.take(), [(1, 3, 3, ActiveTimeout)]);
    // For the others there is nothing new about it.
    pair.bench.observe(&[destroyed(1, 3)]).expect_stored(1);
    assert_eq!(pair.pay(), [(1, 3, 3, EndOfFlow)]);
    pair.bench.expect_stored(0);
}

#[test]
fn timeouts_of_hours_lose_nothing() {
    let mut pair = Pair::new(100, 5, 3600);
    pair.bench.dump(&[dumped(1, 3), dumped(2, 3)]).wait(600).dump(&[dumped(1, 9), dumped(2, 9)]);
    assert_eq!(pair.take().len(), 2);
    pair.bench.observe(&[destroyed(1, 10)]);
    assert_eq!(pair.pay(), [(1, 10, 10, EndOfFlow)]);
    pair.bench.dump(&[dumped(2, 11)]).wait(3600);
    assert_eq!(pair.pay(), [(2, 11, 11, IdleTimeout)]);
}

#[test]
fn no_more_than_16_destinations_are_taken() {
    let mut meter = Meter::new(Limits { connections: 1 });
    let timeouts = Timeouts::new(std::time::Duration::from_secs(1), std::time::Duration::MAX);
    let ids: Vec<_> = (0..MAX_DESTINATIONS).map(|_| meter.add(timeouts, 0).unwrap()).collect();
    assert_eq!(meter.add(timeouts, 0), None);
    meter.remove(ids[7]);
    assert_eq!(meter.add(timeouts, 0), Some(ids[7]));
}
