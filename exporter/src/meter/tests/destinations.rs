use super::*;

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

#[test]
fn more_timeouts_than_are_kept_apart_are_told_as_often_as_any_asks_for() {
    let seconds = |active| {
        let second = std::time::Duration::from_secs(1);
        Timeouts::new(second * active, 100 * second)
    };
    let mut bench = Bench::with(10, 100, 10);
    let ids: Vec<_> =
        (2..=8).map(|it| bench.meter.add(seconds(10 * it), bench.now).unwrap()).collect();
    let (late, early) = (seconds(89), seconds(79));
    let ninth = bench.meter.add(late, bench.now).unwrap();
    assert_eq!(bench.meter.timeouts(ninth), Some(seconds(80)), "the nearest");
    bench.meter.set_timeouts(ninth, early, bench.now);
    assert_eq!(bench.meter.timeouts(ids[6]), Some(early), "they are told together");
    bench.dump(&[dumped(1, 1)]);
    let mut told = 0;
    // They were to be told in 80 s.
    for _ in 0..790 {
        bench.now += SECOND / 10;
        bench.meter.due(
            bench.now,
            10,
            Set::ALL,
            |_| false,
            |_, offer| {
                told += u32::from(offer.to.contains(ninth));
                assert_eq!(offer.to.contains(ninth), offer.to.contains(ids[6]));
                Set::EMPTY
            },
        );
    }
    assert_eq!(told, 1);
    bench.meter.remove(ninth);
    assert_eq!(bench.meter.timeouts(ids[6]), Some(seconds(80)));
    let others = (1..=7).map(|it| seconds(10 * it));
    let kept = std::iter::once(Set::ALL.iter().next().unwrap()).chain(ids);
    assert!(kept.zip(others).all(|(id, asked)| bench.meter.timeouts(id) == Some(asked)));
}

#[test]
fn shorter_timeouts_hold_at_once() {
    let seconds = std::time::Duration::from_secs;
    let mut bench = Bench::with(3600, 7200, 10);
    bench.dump(&[dumped(1, 1)]).wait(10).expect(&[]);
    let alone = Set::ALL.iter().next().unwrap();
    bench.meter.set_timeouts(alone, Timeouts::new(seconds(5), seconds(15)), bench.now);
    bench.wait(4).expect(&[]).wait(1).expect(&[(1, 1, 1, ActiveTimeout)]);
}

#[test]
fn what_waits_for_one_that_is_away_takes_no_more_places_as_connections_come_and_go() {
    let mut pair = Pair::new(100, 5, 6);
    for round in 0..250 {
        let ids = round * 20..(round + 1) * 20;
        pair.bench.dump(&ids.clone().map(|id| dumped(id, 1)).collect::<Vec<_>>()).wait(10);
        assert_eq!(pair.take().len(), 20);
        pair.bench.observe(&ids.map(|id| destroyed(id, 2)).collect::<Vec<_>>());
        assert_eq!(pair.take().len(), 20);
    }
    let (_, _, lost) = pair.lag();
    assert_eq!(lost, 5000 - 75);
    for (_, track) in pair.bench.meter.tracks.iter() {
        assert!(track.living.places() <= 1224 && track.closed.places() <= 1224);
    }
    assert_eq!(pair.pay().len(), 75);
}
