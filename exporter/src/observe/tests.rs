use k8s::Cluster;

use super::*;
use crate::conntrack::{Counters, Entry, Kind, Player, Recorded, Step, Tuple};
use crate::meter::{Limits, Timeouts};

const INTERVAL: Duration = Duration::from_secs(5);
const CLUSTER: &str = "
nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]
pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]
";

fn observer(zones: &[u16]) -> (Player, Observer<Recorded>) {
    let (player, source) = Recorded::new();
    let meter = Meter::new(Timeouts::new(INTERVAL, INTERVAL), Limits { connections: 10 });
    let cluster = Arc::new(Cluster::from_yaml(CLUSTER).unwrap());
    let enricher = Enricher::new(cluster, "a", flow::Profile::Fyke);
    (player, Observer::new(source, meter, enricher, Zones::plain(zones), INTERVAL, Arc::default()))
}

fn entry(kind: Kind) -> Entry {
    let (pod, outside) = (([10, 0, 0, 2].into(), 4000), ([192, 0, 2, 1].into(), 53));
    let entry = Entry::new(kind, Tuple::new(pod, outside, 17), Tuple::new(outside, pod, 17));
    Entry { counters: Some(Counters { packets: 1, octets: 100, ..Counters::default() }), ..entry }
}

#[test]
fn a_dump_that_fails_is_tried_again_after_the_interval() {
    let (player, mut observer) = observer(&[0]);
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
    let (player, mut observer) = observer(&[1, 2]);
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
    let (_, mut observer) = observer(&[0]);
    let error = SourceError::NoDump;
    let told: Vec<_> = [0, 1, nanoseconds(INTERVAL)]
        .map(|now| {
            observer.note_failure(&error, now);
            observer.dumps.warn_ns
        })
        .into();
    let interval = nanoseconds(INTERVAL);
    assert_eq!(told, [interval, interval, 2 * interval]);
    assert_eq!(observer.metrics.dumps_failed.get(), 3);
}

#[test]
fn what_a_source_told_before_it_failed_is_handed_out() {
    let (player, observer) = observer(&[0]);
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
    let (player, observer) = observer(&[0]);
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
    let (player, observer) = observer(&[0]);
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
    let (_, observer) = observer(&[0]);
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
    let (player, observer) = observer(&[0]);
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

const ANTREA: u16 = 65520;

fn marked(kind: Kind, mark: u32) -> Entry {
    Entry { zone: ANTREA, mark, ..entry(kind) }
}

fn antreas_observer() -> (Player, Observer<Recorded>) {
    let (player, mut observer) = observer(&[]);
    observer.intake = Intake::new(Zones::of(&[crate::zones::Part::Antrea]));
    (player, observer)
}

#[test]
fn what_no_policy_let_pass_is_counted_and_told_once_it_may_pass() {
    let (player, mut observer) = antreas_observer();
    let labels = Some([1; 16]);
    player.play(Step::Event(Entry { labels, counters: None, ..marked(Kind::New, 0x10) }));
    player.play(Step::Table(vec![marked(Kind::Dump, 0x10)]));
    (1..9).for_each(|now| observer.observe(now).unwrap());
    assert_eq!(observer.metrics.source.not_allowed.get(), 2);
    assert_eq!(observer.meter.stats().inserted, 0);
    // The event of the mark tells no labels, nor does that of the end.
    player.play(Step::Event(Entry { counters: None, ..marked(Kind::Update, 0x13) }));
    player.play(Step::Event(marked(Kind::Destroy, 0x13)));
    observer.observe(10).unwrap();
    let mut told = Vec::new();
    observer.meter.due(20, 9, |due| told.push((due.mark, due.labels, due.deltas.octets)));
    assert_eq!(told, [(0x13, labels, 100)]);
}

#[test]
fn labels_of_what_never_may_pass_are_given_up_in_time() {
    let (player, mut observer) = antreas_observer();
    for id in 0..3 * 8192 {
        let labelled = Entry { id, labels: Some([1; 16]), ..marked(Kind::New, 0) };
        player.play(Step::Event(labelled));
    }
    observer.observe(1).unwrap();
    assert_eq!(observer.metrics.source.label_generations.get(), 2);
    for id in [0, 8192, 2 * 8192] {
        player.play(Step::Event(Entry { id, ..marked(Kind::Destroy, 1) }));
    }
    observer.observe(2).unwrap();
    let mut told = Vec::new();
    observer.meter.due(20, 9, |due| told.push(due.labels.is_some()));
    assert_eq!(told, [false, true, true]);
}

#[test]
fn a_tcp_connection_that_is_over_is_told_before_the_kernel_forgets_it() {
    let (player, mut observer) = observer(&[0]);
    let state = |kind, state| {
        let (original, reply) = (entry(kind).original, entry(kind).reply);
        let tcp = |it: &Tuple| {
            Tuple::new(
                (it.source(), it.source_port()),
                (it.destination(), it.destination_port()),
                6,
            )
        };
        let counters = entry(kind).counters.filter(|_| kind != Kind::Update);
        let entry = Entry::new(kind, tcp(&original), tcp(&reply));
        Entry { tcp_state: Some(state), counters, id: 5, ..entry }
    };
    player.play(Step::Table(vec![state(Kind::Dump, 7)]));
    player.play(Step::Event(state(Kind::New, 1)));
    player.play(Step::Event(state(Kind::Update, 3)));
    player.play(Step::Event(state(Kind::Update, 7)));
    // Another one that has the tuple by the time of the question.
    player.play(Step::Event(Entry { id: 6, ..state(Kind::Update, 8) }));
    observer.dumps.next_ns = u64::MAX;
    observer.observe(1).unwrap();
    assert_eq!(observer.source.tally().look_ups, 2);
    let mut told = Vec::new();
    observer.meter.due(100_000_001, 9, |due| told.push((due.id, due.reason, due.deltas.octets)));
    assert_eq!(told, [(5, crate::meter::EndReason::EndOfFlow, 100)]);
}

#[test]
fn too_many_connections_that_end_at_once_are_told_later() {
    let (player, mut observer) = observer(&[0]);
    for id in 0..16_384 + 100 {
        player.play(Step::Event(Entry {
            id,
            counters: None,
            tcp_state: Some(8),
            ..entry(Kind::Update)
        }));
    }
    observer.dumps.next_ns = u64::MAX;
    observer.observe(1).unwrap();
    assert_eq!(observer.metrics.source.look_ups_skipped.get(), 100);
    assert_eq!(observer.source.tally().look_ups, LOOK_UPS_PER_TURN as u64);
}

#[test]
fn a_zone_that_fails_costs_no_other_its_dump() {
    let (player, mut observer) = observer(&[1, 2]);
    player.play(Step::Table(vec![Entry { zone: 2, ..entry(Kind::Dump) }]));
    player.play(Step::FailDump);
    (0..9).for_each(|now| observer.observe(now).unwrap());
    assert_eq!((observer.metrics.dumps_failed.get(), observer.meter.stats().live), (1, 1));
}

#[test]
fn the_client_of_zone_0_is_told_with_antreas_connection() {
    let (player, mut observer) = antreas_observer();
    let (client, node) = (([192, 0, 2, 9].into(), 6000), ([192, 168, 77, 1].into(), 30080));
    let (pod, gateway) = (([10, 0, 0, 2].into(), 80), ([10, 0, 0, 1].into(), 40_000));
    let host = Entry::new(Kind::Dump, Tuple::new(client, node, 17), Tuple::new(pod, gateway, 17));
    let antrea = Entry {
        original: Tuple::new(gateway, pod, 17),
        reply: Tuple::new(pod, gateway, 17),
        ..marked(Kind::Dump, 2)
    };
    player.play(Step::Table(vec![antrea, host]));
    (1..9).for_each(|now| observer.observe(now).unwrap());
    let mut records = Vec::new();
    while observer.due(nanoseconds(INTERVAL) + 100_000_009, |batch| records.extend(batch)) {}
    let [record] = &records[..] else { panic!("{records:#?}") };
    assert_eq!(record.flow_type, flow::FlowType::FromExternal);
    assert_eq!((record.key.source, record.key.source_port), client);
    assert_eq!((record.proxy_snat_ip, record.proxy_snat_port), (Some(gateway.0), gateway.1));
    assert_eq!((record.service.ip, record.service.port), (Some(node.0), node.1));
    assert_eq!(record.destination.pod.as_str(), "p");
    assert_eq!(observer.metrics.source.clients_found.get(), 1);
}
