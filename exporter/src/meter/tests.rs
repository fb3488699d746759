mod bench; // a meter, a clock, and what a kernel could say
mod antreas; // what Antrea's tests expect
mod dumps; // what a dump shows, and no longer
mod inherited; // what began before us
mod destinations; // several, of which some are away
mod held; // what has ended and waits
mod spread; // many that are found at once

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::conntrack::{Counters, Icmp, Tuple, tcp_state};
use EndReason::{ActiveTimeout, EndOfFlow, Forced, IdleTimeout};
use bench::{Bench, Record, SECOND, ZONE, destroyed, dumped, entry, new, record, tcp, udp};

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
fn far_deadlines_share_buckets_with_near_ones() {
    let mut bench = Bench::with(3600, 7200, 100);
    bench.dump(&[dumped(1, 1)]);
    for _ in 0..35 {
        bench.wait(100).expect(&[]);
    }
    bench.wait(99).expect(&[]).wait(1).expect(&[(1, 1, 1, ActiveTimeout)]);
}
