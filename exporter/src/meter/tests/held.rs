use super::*;

#[test]
fn what_tcp_has_ended_waits_as_what_the_kernel_has_forgotten_does() {
    let mut bench = Bench::new();
    let over = tcp(tcp_state::TIME_WAIT, dumped(1, 5));
    bench.observe(&[new(1), Entry { kind: Kind::Update, ..over }]);
    let mut told = Vec::new();
    for waits in [true, true, false, false] {
        bench.now += SECOND / 2;
        let held = |due: &Due<'_>| due.reason == EndOfFlow && waits;
        bench.meter.due(bench.now, 10, Set::ALL, held, |due, _| {
            told.push((waits, record(due)));
            Set::EMPTY
        });
    }
    assert_eq!(told, [(false, (1, 5, 5, EndOfFlow))]);
}

/// Hands out what is due and has ended to `ready`, holding all of it.
fn hold(bench: &mut Bench, ready: Set) {
    let told = bench.meter.due(bench.now, 1000, ready, |_| true, |_, _| Set::EMPTY);
    assert_eq!(told, 0);
}

#[test]
fn how_many_are_held_is_known_even_if_nobody_is_there_to_tell() {
    let mut bench = Bench::new();
    bench.observe(&[destroyed(1, 5), destroyed(2, 5)]);
    hold(&mut bench, Set::ALL);
    assert_eq!(bench.meter.stats().held, 2);
    // Nobody takes anything any more: they wait for that, and for no names.
    bench.wait(1);
    hold(&mut bench, Set::EMPTY);
    assert_eq!(bench.meter.stats().held, 0);
    bench.expect(&[(1, 5, 5, EndOfFlow), (2, 5, 5, EndOfFlow)]);
}

#[test]
fn the_oldest_end_is_given_up_first_whether_it_is_held_or_not() {
    let mut bench = Bench::with(5, 15, 100);
    let ends = |ids: std::ops::Range<u32>| ids.map(|id| destroyed(id, 1)).collect::<Vec<_>>();
    bench.observe(&ends(0..40));
    hold(&mut bench, Set::ALL);
    // 75 may wait.
    bench.observe(&ends(40..80));
    assert_eq!(bench.meter.stats().held, 35, "what was given up is not held");
    bench.wait(1);
    hold(&mut bench, Set::EMPTY);
    bench.observe(&ends(80..90));
    let mut told = Vec::new();
    bench.due(1000, |due| told.push(due.id));
    assert_eq!(told, (15..90).collect::<Vec<_>>());
}
