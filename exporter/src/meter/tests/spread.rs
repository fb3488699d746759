use super::*;

const FOUND: u32 = 20_000;
/// Milliseconds.
const STEP: u64 = 100;

/// When each of many is told that are found by one dump and always have news, in milliseconds
/// since the dump.
fn told(interval: u64, mut act: impl FnMut(&mut Bench)) -> Vec<Vec<u64>> {
    let mut bench = Bench::with(interval / 1000, 60, FOUND as usize);
    let begun = bench.now;
    act(&mut bench);
    let mut told = vec![Vec::new(); FOUND as usize];
    for round in 1..=3 * interval / STEP {
        bench.now = begun + round * STEP * 1_000_000;
        bench.meter.dump_started(ZONE);
        (0..FOUND).for_each(|id| bench.meter.observe(&dumped(id, round + 1), bench.now));
        bench.meter.dump_finished(ZONE, true);
        bench.due(usize::MAX, |due| told[due.id as usize].push(round * STEP));
    }
    told
}

#[track_caller]
fn is_spread(told: &[Vec<u64>], interval: u64) {
    let mut bursts = std::collections::BTreeMap::new();
    for times in told {
        assert!(times[0] <= interval, "{times:?}");
        for pair in times.windows(2) {
            assert_eq!(pair[1] - pair[0], interval, "{times:?}");
        }
        for time in times {
            *bursts.entry(*time).or_insert(0) += 1;
        }
    }
    // Evenly, 20,000 in 4 s would be 500 in each tenth of a second.
    let largest = bursts.values().max();
    assert!(largest.is_some_and(|&it| it <= 2048), "{bursts:?}");
}

#[test]
fn what_one_dump_finds_is_not_due_all_at_once() {
    let found = |bench: &mut Bench| {
        let all: Vec<_> = (0..FOUND).map(|id| dumped(id, 1)).collect();
        bench.dump(&all);
    };
    is_spread(&told(4000, found), 4000);
}

#[test]
fn what_is_there_when_a_destination_comes_is_not_due_all_at_once() {
    let found = |bench: &mut Bench| {
        let events: Vec<_> = (0..FOUND).map(new).collect();
        let alone = Set::ALL.iter().next().unwrap();
        bench.meter.remove(alone);
        bench.observe(&events);
        let seconds = std::time::Duration::from_secs;
        bench.meter.add(Timeouts::new(seconds(4), seconds(60)), bench.now).unwrap();
    };
    is_spread(&told(4000, found), 4000);
}
