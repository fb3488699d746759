use k8s::Cluster;

use super::*;
use crate::conntrack::{Counters, Kind, Player, Recorded, Step, Tuple};
use crate::meter::{Limits, Timeouts};

const INTERVAL: Duration = Duration::from_secs(5);
const CLUSTER: &str = "
nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]
pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]
";

fn observer(zones: Vec<u16>) -> (Player, Observer<Recorded>) {
    let (player, source) = Recorded::new();
    let meter = Meter::new(Timeouts::new(INTERVAL, INTERVAL), Limits { connections: 10 });
    let cluster = Arc::new(Cluster::from_yaml(CLUSTER).unwrap());
    let enricher = Enricher::new(cluster, "a", flow::Profile::Fyke);
    (player, Observer::new(source, meter, enricher, zones, INTERVAL, Arc::default()))
}

fn entry(kind: Kind) -> Entry {
    let (pod, outside) = (([10, 0, 0, 2].into(), 4000), ([192, 0, 2, 1].into(), 53));
    let entry = Entry::new(kind, Tuple::new(pod, outside, 17), Tuple::new(outside, pod, 17));
    Entry { counters: Some(Counters { packets: 1, octets: 100, ..Counters::default() }), ..entry }
}

#[test]
fn a_dump_that_fails_is_tried_again_after_the_interval() {
    let (player, mut observer) = observer(vec![0]);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::FailDump);
    for now in 0..3 {
        observer.observe(now).unwrap();
    }
    assert_eq!((observer.metrics.dumps_failed.get(), observer.rounds()), (1, 0));
    assert_eq!(observer.meter.stats().live, 1, "nothing is taken for vanished");
    assert!(observer.is_quiet(), "it waits");
    observer.observe(nanoseconds(INTERVAL)).unwrap();
    assert_eq!((observer.metrics.dumps_failed.get(), observer.rounds()), (1, 1));
    assert_eq!(observer.meter.stats().vanished, 1, "this dump is believed");
}

#[test]
fn a_round_with_a_failed_dump_is_none() {
    let (player, mut observer) = observer(vec![1, 2]);
    player.play(Step::FailDump);
    for now in 0..3 {
        observer.observe(now).unwrap();
    }
    assert_eq!((observer.source.tally().dumps, observer.rounds()), (1, 0));
    for now in 0..2 {
        observer.observe(nanoseconds(INTERVAL) + now).unwrap();
    }
    assert_eq!((observer.source.tally().dumps, observer.rounds()), (3, 1));
}

#[test]
fn a_failure_is_told_once_per_interval() {
    let (_, mut observer) = observer(vec![0]);
    let error = SourceError::NoDump;
    let told: Vec<_> = [0, 1, nanoseconds(INTERVAL)]
        .map(|now| {
            observer.note_failure(0, &error, now);
            observer.dumps.warn_ns
        })
        .into();
    let interval = nanoseconds(INTERVAL);
    assert_eq!(told, [interval, interval, 2 * interval]);
    assert_eq!(observer.metrics.dumps_failed.get(), 3);
}

#[test]
fn what_a_source_told_before_it_failed_is_handed_out() {
    let (player, observer) = observer(vec![0]);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    let (queue, mut batches) = tokio::sync::mpsc::channel(4);
    let on_round = |rounds| {
        if rounds == 1 {
            player.play(Step::FailEvents);
        }
    };
    let ended = observer.run(&queue, || false, || 1, on_round);
    assert!(matches!(ended, Err(SourceError::Events(_))), "{ended:?}");
    assert_eq!(batches.try_recv().unwrap().len(), 1);
}

const PROTOCOL: u8 = 17;

fn orders(protocols: &[u8], poll_interval: Duration) -> Orders {
    let timeouts = Timeouts::new(INTERVAL, INTERVAL);
    Orders { timeouts, poll_interval, filter: ProtocolFilter::only(protocols) }
}

fn due(observer: &mut Observer<Recorded>, now: u64) -> usize {
    let mut records = 0;
    while observer.due(now, |batch| records += batch.len()) {}
    records
}

#[test]
fn what_the_filter_keeps_out_is_neither_stored_nor_told_but_counted() {
    let (player, observer) = observer(vec![0]);
    let mut observer = observer.obeying(watch::channel(orders(&[6], INTERVAL)).1);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    player.play(Step::Event(entry(Kind::Destroy)));
    for now in 1..4 {
        observer.observe(now).unwrap();
    }
    assert_eq!(observer.metrics.entries_filtered.get(), 3);
    assert_eq!((observer.meter.stats().inserted, due(&mut observer, u64::MAX / 2)), (0, 0));
}

#[test]
fn a_filter_that_comes_later_ends_the_telling() {
    let (player, observer) = observer(vec![0]);
    let (sender, receiver) = watch::channel(orders(&[PROTOCOL], INTERVAL));
    let mut observer = observer.obeying(receiver);
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    observer.observe(1).unwrap();
    assert_eq!(observer.meter.stats().live, 1);
    sender.send_replace(orders(&[6], INTERVAL));
    observer.hear(0);
    let late = nanoseconds(2 * INTERVAL);
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    for now in 0..3 {
        observer.observe(late + now).unwrap();
    }
    assert_eq!(due(&mut observer, late + 10), 0, "its end is not told either: it goes on");
    assert_eq!((observer.meter.stats().live, observer.metrics.records_filtered.get()), (0, 1));
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let (_, observer) = observer(vec![0]);
    let (sender, receiver) = watch::channel(orders(&[PROTOCOL], 10 * INTERVAL));
    let mut observer = observer.obeying(receiver);
    let dumps = |observer: &mut Observer<Recorded>, now: u64| {
        observer.hear(0);
        observer.observe(now).unwrap();
        observer.source.tally().dumps
    };
    assert_eq!(dumps(&mut observer, 1), 1);
    assert_eq!(dumps(&mut observer, nanoseconds(INTERVAL) + 1), 1);
    sender.send_replace(orders(&[PROTOCOL], INTERVAL));
    assert_eq!(dumps(&mut observer, nanoseconds(INTERVAL) + 1), 2);
    assert_eq!(dumps(&mut observer, nanoseconds(2 * INTERVAL) + 1), 3);
}

#[test]
fn what_was_told_before_the_filter_changed_is_not_told_again_when_it_changes_back() {
    let (player, observer) = observer(vec![0]);
    let (sender, receiver) = watch::channel(orders(&[PROTOCOL], INTERVAL));
    let mut observer = observer.obeying(receiver);
    observer.meter.inherit_before(1);
    let began = |kind| Entry { start_ns: Some(2), ..entry(kind) };
    let filters: [(&[u8], _, _); 5] = [
        (&[PROTOCOL], 100, vec![100]),
        (&[6], 100, vec![]),
        // By now the meter knows nothing of it.
        (&[6], 100, vec![]),
        (&[6, PROTOCOL], 100, vec![0]),
        (&[6, PROTOCOL], 130, vec![30]),
    ];
    player.play(Step::Event(began(Kind::New)));
    for ((filter, octets, expected), round) in filters.into_iter().zip(1..) {
        let now = round * nanoseconds(2 * INTERVAL);
        sender.send_replace(orders(filter, INTERVAL));
        observer.hear(now);
        let counters = Some(Counters { octets, packets: 1, ..Counters::default() });
        player.play(Step::Table(vec![Entry { counters, ..began(Kind::Dump) }]));
        (0..3).for_each(|step| observer.observe(now + step).unwrap());
        let mut told = Vec::new();
        let deltas = |batch: Vec<FlowRecord>| batch.into_iter().map(|it| it.forward.octets_delta);
        while observer.due(now + nanoseconds(INTERVAL) + 9, |batch| told.extend(deltas(batch))) {}
        assert_eq!(told, expected, "in round {round}");
    }
}

mod denied {
    use super::*;
    use crate::deny::{
        Action, CAPACITY, Counts, Denied, Direction, Reporter, RuleRef, Source, Table, channel,
    };

    fn denying() -> (Reporter, Observer<Recorded>) {
        let counts = Arc::new(Counts::default());
        let (reporter, denials) = channel(CAPACITY, Arc::clone(&counts));
        let table = Table::new(Table::LIMIT, INTERVAL, counts);
        (reporter, observer(vec![0]).1.with_denied(denials, table))
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

    fn records(observer: &mut Observer<Recorded>, now: u64) -> Vec<FlowRecord> {
        let mut records = Vec::new();
        observer.observe(now).unwrap();
        while observer.due(now, |batch| records.extend(batch)) {}
        records
    }

    #[test]
    fn a_denied_connection_is_told_with_who_denied_it() {
        let (reporter, mut observer) = denying();
        let second = 1_000_000_000;
        let start = 1_000 * second;
        let mut told = Vec::new();
        for tick in 0..40 {
            let now = start + tick * second;
            // SYN, and what TCP sends when nobody answers.
            if matches!(tick, 0 | 1 | 3 | 7) {
                reporter.tell(packet(now));
            }
            told.extend(records(&mut observer, now).into_iter().map(|record| (tick, record)));
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
}
