use super::*;

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
