use super::*;

fn rejected(record: FlowRecord) -> (FlowRecord, u32) {
    let (mut record, domain) = destination(record);
    record.ingress.action = flow::PolicyRule::REJECT;
    record.ingress.name = "keep-out".into();
    (record, domain)
}

#[test]
fn a_refusal_is_told_without_the_other_half_and_soon() {
    let mut correlator = correlator();
    let told = tell(&mut correlator, [(0, rejected(record(0, 10, 60, 60)))], 6000);
    assert_eq!(told[0].correlation, Correlation::NotNeeded);
    assert_eq!(told[0].ingress.action, flow::PolicyRule::REJECT);
    assert_eq!((told[0].forward.octets_delta, correlator.stats().unpaired), (60, 0));
}

#[test]
fn what_one_node_let_out_and_the_other_refused_is_one_flow_in_either_order() {
    let halves = [source(record(1000, 2000, 180, 180)), rejected(record(1002, 1002, 60, 60))];
    let reversed = [halves[1].clone(), halves[0].clone()];
    for order in [halves, reversed] {
        let told = tell(&mut correlator(), order.map(|half| (10_000, half)), 1_000_000);
        let [flow] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(flow.correlation, Correlation::Complete);
        assert_eq!((flow.source.pod.as_str(), flow.destination.pod.as_str()), ("a", "b"));
        assert_eq!(flow.ingress.name.as_str(), "keep-out");
        assert_eq!(flow.joined.from_source.forward.octets_total, 180);
        assert_eq!(flow.joined.from_destination.forward.octets_total, 60);
    }
}

#[test]
fn what_comes_after_a_refusal_was_told_is_a_flow_of_its_own() {
    let halves = [
        (0, rejected(record(1000, 1002, 60, 60))),
        (10_000, source(ended(record(1000, 2000, 180, 180)))),
    ];
    let told = tell(&mut correlator(), halves, 1_000_000);
    let sums: Vec<_> =
        told.iter().map(|flow| (flow.correlation, flow.forward.octets_delta)).collect();
    assert_eq!(sums, [(Correlation::NotNeeded, 60), (Correlation::SourceOnly, 180)]);
    assert_ne!(told[0].flow_id, told[1].flow_id);
}
