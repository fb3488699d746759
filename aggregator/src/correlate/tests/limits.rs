use super::*;

#[test]
fn flows_beyond_the_limit_are_told_together_and_counted() {
    let mut correlator = Correlator::new(TIMEOUTS, 10);
    let records = (0..25).map(|port| (0, with_port(port, whole(record(0, 10, 100, 100)))));
    // What comes twice is counted once, and growth from where it was.
    let again = (10..25).map(|port| (0, with_port(port, whole(record(0, 10, 100, 100)))));
    let more = (10..25).map(|port| (1, with_port(port, whole(record(0, 20, 250, 100)))));
    let told = tell(&mut correlator, records.chain(again).chain(more), 60_000);
    let (overflow, flows): (Vec<_>, Vec<_>) =
        told.iter().partition(|flow| flow.correlation == Correlation::Overflow);
    assert_eq!((correlator.len(), flows.len(), overflow.len()), (10, 10, 1));
    let [overflow] = overflow.as_slice() else { panic!("{overflow:?}") };
    assert_eq!(overflow.forward.octets_delta, 15 * 250);
    assert_eq!(overflow.end_reason, FlowEndReason::LackOfResources);
    assert_eq!((overflow.source.node.as_str(), overflow.joined.from_source.domain), ("node-a", 1));
    let stats = correlator.stats();
    assert_eq!((stats.folded, stats.folded_octets), (45, 15 * 250));
}

#[test]
fn halves_without_room_do_not_count_twice_among_the_sources() {
    let mut correlator = Correlator::new(TIMEOUTS, 0);
    let halves =
        [(0, source(record(1000, 2000, 700, 700))), (0, destination(record(1003, 2001, 600, 600)))];
    let told = tell(&mut correlator, halves, 60_000);
    let common: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    let sides: Vec<_> = told
        .iter()
        .map(|flow| {
            (
                flow.joined.from_source.forward.octets_delta,
                flow.joined.from_destination.forward.octets_delta,
            )
        })
        .collect();
    assert_eq!(common, 700);
    assert!(sides.contains(&(700, 0)) && sides.contains(&(0, 600)), "{sides:?}");
}

#[test]
fn a_flow_that_finds_room_later_goes_on_from_what_was_told() {
    let mut correlator = Correlator::new(TIMEOUTS, 1);
    let records = [
        (0, with_port(1, whole(record(0, 10, 100, 100)))),
        (1, with_port(2, whole(record(0, 10, 100, 100)))),
        // The first is forgotten by now.
        (100_000, with_port(2, whole(record(0, 99_000, 900, 300)))),
    ];
    let told = tell(&mut correlator, records, 200_000);
    let sum: u64 = told.iter().map(|flow| flow.forward.octets_delta).sum();
    assert_eq!(sum, 100 + 900);
    assert_eq!((correlator.stats().gap_octets, correlator.stats().resumed), (500, 0));
    assert!(told.iter().all(|flow| flow.flow_id != 0));
}

/// Told by the destination's Node: its rule rejected the connection.
#[test]
fn one_5_tuple_cannot_pile_up_without_limit() {
    let mut correlator = Correlator::new(TIMEOUTS, 1_000_000);
    for start in 0..1000 {
        let (record, domain) = whole(record(start, start, 100, 100));
        correlator.receive(&record, domain, 0);
    }
    assert_eq!(correlator.len(), MAX_FLOWS_PER_KEY);
}
