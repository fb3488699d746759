use super::*;

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
