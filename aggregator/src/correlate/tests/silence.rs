use super::*;

#[test]
fn a_lost_record_is_made_good_and_counted() {
    let mut correlator = correlator();
    let records = [(0, whole(record(0, 10, 100, 100))), (9000, whole(record(0, 9000, 1000, 200)))];
    let told = tell(&mut correlator, records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1000);
    assert_eq!((correlator.stats().gaps, correlator.stats().gap_octets), (1, 700));
}

#[test]
fn an_exporter_that_starts_again_is_not_counted_twice() {
    // Its first delta is the connection's whole total.
    let records = [(0, whole(record(0, 10, 500, 500))), (9000, whole(record(0, 9000, 800, 800)))];
    let told = tell(&mut correlator(), records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 800);
}

#[test]
fn a_restarted_aggregator_continues_from_what_is_stored() {
    let first = tell(&mut correlator(), [(0, whole(record(1, 10, 500, 500)))], 10);
    let mut restarted = correlator();
    restarted.learn(&first[0]);
    // A record of 100 octets was lost with the old process.
    let told = tell(&mut restarted, [(0, whole(record(1, 900, 900, 300)))], 10);
    assert_eq!(told[0].flow_id, first[0].flow_id);
    assert_eq!(told[0].forward.octets_delta, 400);
    let stats = restarted.stats();
    assert_eq!((stats.resumed, stats.gaps, stats.gap_octets), (1, 1, 100));
}

#[test]
fn after_a_restart_either_half_alone_keeps_the_flows_id() {
    let halves = [
        source(ended(record(1000, 2000, 700, 700))),
        destination(ended(record(1003, 2001, 600, 600))),
    ];
    let first = tell(&mut correlator(), halves.map(|half| (10_000, half)), 1_000_000);
    for later in [source(record(1000, 9000, 750, 50)), destination(record(1003, 9000, 650, 50))] {
        let mut restarted = correlator();
        restarted.learn(&first[0]);
        let told = tell(&mut restarted, [(0, later)], 1_000_000);
        assert_eq!(told[0].flow_id, first[0].flow_id);
        let sides = [&told[0].joined.from_source, &told[0].joined.from_destination];
        assert_eq!(sides.map(|side| side.forward.octets_delta).iter().sum::<u64>(), 50);
    }
}

#[test]
fn a_quiet_flow_is_forgotten_but_not_what_was_told_of_it() {
    // Its exporter starts again in the silence and tells the whole total anew.
    let records =
        [(0, whole(record(1, 10, 500, 500))), (1_000_000, whole(record(1, 999_000, 800, 800)))];
    let mut correlator = correlator();
    let told = tell(&mut correlator, records, 1_060_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 800);
    assert_eq!(told[0].flow_id, told[1].flow_id);
    assert_eq!(correlator.stats().resumed, 1);
}

#[test]
fn a_quiet_flow_of_two_nodes_keeps_its_id_whoever_speaks_first() {
    let halves = [source(record(1000, 2000, 700, 700)), destination(record(1003, 2001, 600, 600))];
    let later =
        [destination(record(1003, 900_000, 650, 50)), source(record(1000, 900_000, 750, 50))];
    let records = halves.map(|half| (3000, half)).into_iter();
    let records = records.chain(later.map(|half| (1_000_000, half)));
    let told = tell(&mut correlator(), records, 2_000_000);
    assert!(told.iter().all(|flow| flow.flow_id == told[0].flow_id));
    let sum: u64 = told.iter().map(|flow| flow.joined.from_destination.forward.octets_delta).sum();
    assert_eq!(sum, 650);
}

#[test]
fn what_was_lost_before_a_silence_is_made_good_after_it() {
    let records =
        [(0, whole(record(1, 10, 100, 100))), (1_000_000, whole(record(1, 999_000, 1000, 600)))];
    let mut correlator = correlator();
    let told = tell(&mut correlator, records, 1_060_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 1000);
    assert_eq!(correlator.stats().gap_octets, 300);
}

#[test]
fn what_an_exporter_found_when_it_began_is_nobodys_traffic() {
    let mut correlator = correlator();
    let records = [(0, whole(record(1, 10, 500, 0))), (9000, whole(record(1, 9000, 800, 300)))];
    let told = tell(&mut correlator, records, 80_000);
    assert_eq!(told.iter().map(|flow| flow.forward.octets_delta).sum::<u64>(), 300);
    assert_eq!(correlator.stats().gaps, 0);
}

#[test]
fn the_past_of_a_late_half_is_counted_as_missing() {
    let early = (0, source(record(5, 10, 4000, 4000)));
    let late = (100_000, destination(record(7, 99_000, 4000, 100)));
    let records = [early, (80_000, source(record(5, 79_000, 4000, 0))), late];
    let mut correlator = correlator();
    tell(&mut correlator, records, 200_000);
    assert_eq!(correlator.stats().gap_octets, 3900);
}

#[test]
fn a_restarted_aggregator_without_a_store_tells_only_what_is_new() {
    let told = tell(&mut correlator(), [(0, whole(record(0, 900, 900, 300)))], 10);
    assert_eq!((told[0].forward.octets_delta, told[0].forward.octets_total), (300, 900));
}
