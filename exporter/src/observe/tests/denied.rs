use super::*;
use crate::deny::{
    Action, CAPACITY, Counts, Denied, Direction, Reporter, RuleRef, Source, Table, channel,
};

fn denying() -> (Reporter, Observer<Recorded>) {
    let counts = Arc::new(Counts::default());
    let (reporter, denials) = channel(CAPACITY, Arc::clone(&counts));
    let table = Table::new(Table::LIMIT, INTERVAL, counts);
    (reporter, observer(&[0]).1.with_denied(denials, table))
}

fn packet(time_ns: u64) -> Denied {
    let (outside, pod) = (([192, 0, 2, 1].into(), 4000), ([10, 0, 0, 2].into(), 80));
    Denied {
        time_ns,
        original: Tuple::new(outside, pod, 6),
        service: Some(([10, 96, 0, 1].into(), 443)),
        octets: 60,
        packets: 1,
        direction: Some(Direction::Ingress),
        action: Action::Drop,
        rule: RuleRef::IsolationDrop,
        other_rule: None,
        mark: None,
        source: Source::Ovs,
    }
}

#[test]
fn a_denied_connection_is_told_with_who_denied_it() {
    let (reporter, observer) = denying();
    let second = 1_000_000_000;
    let start = 1_000 * second;
    let mut destination = Destination::new(1, 16);
    let targets = watch::Sender::new(orders(&[destination.target.clone()], INTERVAL));
    let mut observer = observer.obeying(targets.subscribe(), start);
    let mut told = Vec::new();
    for tick in 0..40 {
        let now = start + tick * second;
        // SYN, and what TCP sends when nobody answers.
        if matches!(tick, 0 | 1 | 3 | 7) {
            reporter.tell(packet(now));
        }
        observer.observe(now).unwrap();
        observer.hand_out(now);
        told.extend(destination.take().into_iter().map(|record| (tick, record)));
    }
    let counted: Vec<_> = told
        .iter()
        .map(|(tick, it)| (*tick, it.forward.packets_delta, it.forward.packets_total))
        .collect();
    assert_eq!(counted, [(5, 3, 3), (10, 1, 4)]);
    let record = &told[0].1;
    assert_eq!(record.ingress.action, 2);
    assert_eq!((record.ingress.policy_type, &*record.ingress.name), (1, ""));
    assert_eq!((&*record.destination.pod, record.service.port), ("p", 443));
    assert_eq!((record.reverse, &*record.tcp_state), (flow::Counters::default(), ""));
    assert_eq!(record.start_ms, 1_000_000);
    let stats = observer.meter.stats();
    assert_eq!((stats.vanished, stats.stored), (0, 0), "no dump shows it");
    assert!(observer.rounds() > 3);
}

#[test]
fn the_protocol_filter_is_for_denied_connections_too() {
    let (reporter, mut observer) = denying();
    observer.filter = ProtocolFilter::only(&[17]);
    reporter.tell(packet(1));
    observer.observe(1).unwrap();
    assert_eq!(observer.metrics.entries_filtered.get(), 1);
    assert_eq!(observer.meter.stats().stored, 0);
}

#[test]
fn a_denied_connection_that_nobody_wants_any_more_is_forgotten() {
    let (reporter, observer) = denying();
    let second = 1_000_000_000;
    let mut destination = Destination::new(1, 16);
    let targets = watch::Sender::new(orders(&[destination.target.clone()], INTERVAL));
    let mut observer = observer.obeying(targets.subscribe(), second);
    reporter.tell(packet(second));
    observer.observe(second).unwrap();
    observer.turn(7 * second);
    destination.target.filter.protocols = ProtocolFilter::only(&[17]);
    targets.send_replace(orders(&[destination.target.clone()], INTERVAL));
    observer.hear(second);
    for tick in 2..60 {
        observer.observe(tick * second).unwrap();
        observer.turn(tick * second);
    }
    assert_eq!(observer.meter.stats().stored, 0);
}
