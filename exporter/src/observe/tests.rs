mod sources; // what becomes of entries before the meter sees them

use flow::FlowRecord;
use k8s::Cluster;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::conntrack::{Counters, Entry, Kind, Player, Recorded, Step, Tuple};
use crate::destination::{Filter, LabelSelector};
use crate::export::Batch;
use crate::meter::{Limits, Timeouts};
use crate::metrics::DestinationMetrics;

const INTERVAL: Duration = Duration::from_secs(5);
const CLUSTER: &str = "
nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]
pods: [{name: p, namespace: n, node: a, addresses: [10.0.0.2]}]
";

/// A destination, and what it has been handed.
struct Destination {
    target: Target,
    /// Keeps the queue open until it is told to an observer.
    _queue: Sender<Batch>,
    batches: Receiver<Batch>,
}

impl Destination {
    fn new(number: u64, room: usize) -> Self {
        let (queue, batches) = channel(room);
        let target = Target {
            name: format!("d{number}"),
            number,
            timeouts: Timeouts::new(INTERVAL, INTERVAL),
            filter: Filter::default(),
            queue: queue.downgrade(),
            spent: Arc::default(),
            metrics: Arc::new(DestinationMetrics::default()),
        };
        Self { target, _queue: queue, batches }
    }

    fn take(&mut self) -> Vec<Arc<FlowRecord>> {
        std::iter::from_fn(|| self.batches.try_recv().ok()).flatten().collect()
    }
}

fn orders(targets: &[Target], poll_interval: Duration) -> Orders {
    Orders { poll_interval, targets: targets.into(), name_wait: Duration::ZERO }
}

fn observer(zones: &[u16]) -> (Player, Observer<Recorded>) {
    let (player, source) = Recorded::new();
    let meter = Meter::new(Limits { connections: 200_000 });
    let cluster = Arc::new(Cluster::from_yaml(CLUSTER).unwrap());
    let enricher = Enricher::new(cluster, "a");
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
fn what_a_dump_shows_no_more_has_not_vanished_while_events_are_kept() {
    let (player, mut observer) = observer(&[0]);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::HoldBack);
    observer.observe(0).unwrap();
    // Two dumps: what vanished in the first could be forgotten after the second.
    let soon = nanoseconds(Duration::from_secs(1));
    for now in [0, soon] {
        observer.dumps.next_ns = 0;
        observer.observe(now).unwrap();
    }
    assert_eq!((observer.meter.stats().live, observer.meter.stats().vanished), (1, 0));
    player.play(Step::Event(entry(Kind::Destroy)));
    observer.observe(soon).unwrap();
    assert_eq!((observer.meter.stats().live, observer.meter.stats().vanished), (0, 0));

    player.play(Step::Event(Entry { id: 2, ..entry(Kind::New) }));
    observer.observe(soon).unwrap();
    observer.observe(2 * nanoseconds(INTERVAL)).unwrap();
    assert_eq!(observer.meter.stats().vanished, 1, "nothing is kept any more");
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
    let mut destination = Destination::new(0, 4);
    let told = watch::channel(orders(&[destination.target.clone()], INTERVAL)).1;
    let observer = observer.obeying(told, 0);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    let on_round = |rounds| {
        if rounds == 1 {
            player.play(Step::FailEvents);
        }
    };
    let ended = observer.run(|| false, || 1, on_round);
    assert!(matches!(ended, Err(SourceError::Events(_))), "{ended:?}");
    assert_eq!(destination.take().len(), 1);
}

const PROTOCOL: u8 = 17;

/// A destination of certain protocols.
fn filtered(protocols: &[u8]) -> Destination {
    let mut destination = Destination::new(0, 64);
    destination.target.filter.protocols = ProtocolFilter::only(protocols);
    destination
}

#[test]
fn what_no_destination_wants_is_neither_stored_nor_told_but_counted() {
    let (player, observer) = observer(&[0]);
    let mut destination = filtered(&[6]);
    let told = watch::channel(orders(&[destination.target.clone()], INTERVAL)).1;
    let mut observer = observer.obeying(told, 0);
    player.play(Step::Event(entry(Kind::New)));
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    player.play(Step::Event(entry(Kind::Destroy)));
    for now in 1..4 {
        observer.observe(now).unwrap();
    }
    observer.turn(u64::MAX / 2);
    assert_eq!(observer.metrics.entries_filtered.get(), 3);
    assert_eq!((observer.meter.stats().inserted, destination.take().len()), (0, 0));
}

#[test]
fn a_filter_that_comes_later_ends_the_telling() {
    let (player, observer) = observer(&[0]);
    let mut destination = filtered(&[PROTOCOL]);
    let (sender, receiver) = watch::channel(orders(&[destination.target.clone()], INTERVAL));
    let mut observer = observer.obeying(receiver, 0);
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    observer.observe(1).unwrap();
    assert_eq!(observer.meter.stats().live, 1);
    destination.target.filter.protocols = ProtocolFilter::only(&[6]);
    sender.send_replace(orders(&[destination.target.clone()], INTERVAL));
    observer.hear(0);
    let late = nanoseconds(2 * INTERVAL);
    player.play(Step::Table(vec![entry(Kind::Dump)]));
    for now in 0..3 {
        observer.observe(late + now).unwrap();
    }
    observer.turn(late + 10);
    assert_eq!(destination.take().len(), 0, "its end is not told either: it goes on");
    let filtered = destination.target.metrics.records_filtered.get();
    assert_eq!((observer.meter.stats().live, filtered), (0, 1));
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let (_, observer) = observer(&[0]);
    let (sender, receiver) = watch::channel(orders(&[], 10 * INTERVAL));
    let mut observer = observer.obeying(receiver, 0);
    let dumps = |observer: &mut Observer<Recorded>, now: u64| {
        observer.hear(0);
        observer.observe(now).unwrap();
        observer.source.tally().dumps
    };
    assert_eq!(dumps(&mut observer, 1), 1);
    assert_eq!(dumps(&mut observer, nanoseconds(INTERVAL) + 1), 1);
    sender.send_replace(orders(&[], INTERVAL));
    assert_eq!(dumps(&mut observer, nanoseconds(INTERVAL) + 1), 2);
    assert_eq!(dumps(&mut observer, nanoseconds(2 * INTERVAL) + 1), 3);
}

#[test]
fn what_was_told_before_the_filter_changed_is_not_told_again_when_it_changes_back() {
    let (player, observer) = observer(&[0]);
    let mut destination = filtered(&[PROTOCOL]);
    let (sender, receiver) = watch::channel(orders(&[destination.target.clone()], INTERVAL));
    let mut observer = observer.obeying(receiver, 0);
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
        destination.target.filter.protocols = ProtocolFilter::only(filter);
        sender.send_replace(orders(&[destination.target.clone()], INTERVAL));
        observer.hear(now);
        let counters = Some(Counters { octets, packets: 1, ..Counters::default() });
        player.play(Step::Table(vec![Entry { counters, ..began(Kind::Dump) }]));
        (0..3).for_each(|step| observer.observe(now + step).unwrap());
        observer.turn(now + nanoseconds(INTERVAL) + 9);
        let told: Vec<_> =
            destination.take().iter().map(|record| record.forward.octets_delta).collect();
        assert_eq!(told, expected, "in round {round}");
    }
}

/// `count` connections of the Pod, with these many packets each.
fn table(count: u32, packets: u64) -> Vec<Entry> {
    let one = |id: u32| {
        let port = u16::try_from(id % 50_000).unwrap();
        let outside = ([192, 0, 2, u8::try_from(id / 50_000).unwrap()].into(), 53);
        let pod = ([10, 0, 0, 2].into(), port);
        let counters = Counters { packets, octets: packets * 100, ..Counters::default() };
        Entry {
            id,
            start_ns: Some(1),
            counters: Some(counters),
            ..Entry::new(Kind::Dump, Tuple::new(pod, outside, 17), Tuple::new(outside, pod, 17))
        }
    };
    (0..count).map(one).collect()
}

/// In virtual time: a turn of the loop every 100 ms, as long as it waits where nothing happens.
/// What a turn hands over has left by the next.
#[test]
fn each_of_100_000_active_connections_is_told_in_every_interval_of_5_s() {
    const COUNT: u32 = 100_000;
    let (player, observer) = observer(&[0]);
    let mut destination = Destination::new(0, 16);
    let told = watch::channel(orders(&[destination.target.clone()], INTERVAL)).1;
    let mut observer = observer.obeying(told, 0);
    let mut now = nanoseconds(INTERVAL);
    let mut first_rounds = 0;
    for round in 1..=4 {
        player.play(Step::Table(table(COUNT, round)));
        let mut seen = vec![0_u32; COUNT as usize];
        let before = observer.rounds();
        while observer.rounds() == before {
            observer.observe(now).unwrap();
        }
        for _ in 0..INTERVAL.as_millis() / PATIENCE.as_millis() {
            observer.turn(now);
            for record in destination.take() {
                seen[usize::try_from(record.flow_id).unwrap()] += 1;
                assert_eq!(record.forward.packets_total, round);
            }
            now += nanoseconds(PATIENCE);
        }
        let told = seen.iter().filter(|count| **count == 1).count();
        // In the first interval no connection is due yet.
        if round == 1 {
            first_rounds = told;
        } else {
            assert_eq!(told, COUNT as usize, "in round {round}");
        }
    }
    assert_eq!(first_rounds, 0);
}

#[test]
fn a_destination_that_takes_nothing_slows_nobody_and_is_told_everything_later() {
    let (player, observer) = observer(&[0]);
    let (mut quick, mut stuck) = (Destination::new(0, 16), Destination::new(1, 1));
    let targets = [quick.target.clone(), stuck.target.clone()];
    let mut observer = observer.obeying(watch::channel(orders(&targets, INTERVAL)).1, 0);
    let mut told = [0; 2];
    let mut add = |index: usize, records: Vec<Arc<FlowRecord>>| {
        told[index] += records.iter().map(|it| it.forward.packets_delta).sum::<u64>();
        records.len()
    };
    for round in 1..=5 {
        let now = round * nanoseconds(INTERVAL);
        player.play(Step::Table(table(1000, round)));
        let before = observer.rounds();
        while observer.rounds() == before {
            observer.observe(now).unwrap();
        }
        observer.turn(now + nanoseconds(INTERVAL));
        assert_eq!(add(0, quick.take()), 1000, "in round {round}");
    }
    observer.count(1);
    // One batch has filled the queue; the other connections are owed once each.
    let metrics = &stuck.target.metrics;
    assert_eq!((metrics.records_lagging.get(), metrics.records_lost.get()), (1000, 0));
    assert_eq!(metrics.records_coalesced.get(), 4 * 1000 - 256);
    while add(1, stuck.take()) > 0 {
        observer.turn(6 * nanoseconds(INTERVAL));
    }
    assert_eq!(told, [5 * 1000, 5 * 1000]);
    observer.count(1);
    assert_eq!(stuck.target.metrics.records_lagging.get(), 0);
}

#[test]
fn each_destination_is_told_what_its_filter_lets_through() {
    let (player, observer) = observer(&[0]);
    let (mut all, mut none) = (Destination::new(0, 16), Destination::new(1, 16));
    none.target.filter.ports = vec![54];
    let targets = [all.target.clone(), none.target.clone()];
    let mut observer = observer.obeying(watch::channel(orders(&targets, INTERVAL)).1, 0);
    player.play(Step::Table(table(10, 1)));
    (1..4).for_each(|now| observer.observe(now).unwrap());
    observer.turn(2 * nanoseconds(INTERVAL));
    assert_eq!((all.take().len(), none.take().len()), (10, 0));
    assert_eq!(none.target.metrics.records_filtered.get(), 10);
}

/// The Pod's labels change while its connection goes on, and then a filter does.
#[test]
fn only_who_asks_for_labels_is_told_by_them() {
    let labelled = |app: &str| {
        let labels = format!("addresses: [10.0.0.2], labels: {{app: {app}}}");
        Cluster::from_yaml(&CLUSTER.replace("addresses: [10.0.0.2]", &labels)).unwrap()
    };
    let (player, mut observer) = observer(&[0]);
    let known = Arc::new(arc_swap::ArcSwap::from_pointee(labelled("web")));
    observer.enricher = Enricher::following(Arc::clone(&known), "a");
    let (mut all, mut web) = (Destination::new(0, 16), Destination::new(1, 16));
    let selector = |text| Some(LabelSelector::parse(text).unwrap());
    web.target.filter.pod_labels = selector("app=web");
    let targets = |all: &Destination, web: &Destination| {
        orders(&[all.target.clone(), web.target.clone()], INTERVAL)
    };
    let (sender, receiver) = watch::channel(targets(&all, &web));
    let mut observer = observer.obeying(receiver, 0);
    let unknown = || Cluster::from_yaml("nodes: [{name: a, podCIDRs: [10.0.0.0/24]}]").unwrap();
    let steps = [
        (labelled("web"), "app=web", (10, 10), 0),
        (labelled("db"), "app=web", (10, 0), 1),
        (labelled("web"), "app=web", (10, 10), 1),
        (labelled("web"), "app notin (web)", (10, 0), 2),
        (labelled("db"), "app notin (web)", (10, 10), 2),
        (unknown(), "app notin (web)", (10, 0), 3),
    ];
    for ((cluster, filter, expected, filtered), round) in steps.into_iter().zip(1..) {
        let now = round * nanoseconds(2 * INTERVAL);
        known.store(Arc::new(cluster));
        web.target.filter.pod_labels = selector(filter);
        sender.send_replace(targets(&all, &web));
        observer.hear(now);
        player.play(Step::Table(table(1, round * 10)));
        (0..3).for_each(|step| observer.observe(now + step).unwrap());
        observer.turn(now + nanoseconds(INTERVAL) + 9);
        let [told, by_labels] = [&mut all, &mut web].map(|destination| {
            destination.take().iter().map(|it| it.forward.packets_delta).sum::<u64>()
        });
        assert_eq!((told, by_labels), expected, "in round {round}");
        let counts = [&all, &web].map(|it| it.target.metrics.records_filtered.get());
        assert_eq!(counts, [0, filtered], "in round {round}");
    }
}

#[test]
fn destinations_come_and_go_while_connections_stay() {
    let (player, observer) = observer(&[0]);
    let (mut first, mut second) = (Destination::new(0, 16), Destination::new(1, 16));
    let (sender, receiver) = watch::channel(orders(&[first.target.clone()], INTERVAL));
    let mut observer = observer.obeying(receiver, 0);
    let mut round = 0;
    let mut next = |observer: &mut Observer<Recorded>| {
        round += 1;
        let now = round * nanoseconds(2 * INTERVAL);
        player.play(Step::Table(table(1, round * 10)));
        observer.hear(now);
        (0..3).for_each(|step| observer.observe(now + step).unwrap());
        observer.turn(now + nanoseconds(INTERVAL) + 9);
    };
    let deltas = |destination: &mut Destination| -> Vec<(u64, u64)> {
        let told = destination.take();
        told.iter().map(|it| (it.forward.packets_delta, it.forward.packets_total)).collect()
    };
    next(&mut observer);
    assert_eq!(deltas(&mut first), [(10, 10)]);
    sender.send_replace(orders(&[first.target.clone(), second.target.clone()], INTERVAL));
    next(&mut observer);
    assert_eq!(deltas(&mut first), [(10, 20)]);
    let told = deltas(&mut second);
    assert_eq!(told.first(), Some(&(0, 10)), "what the first had been told");
    assert_eq!(told.iter().map(|it| it.0).sum::<u64>(), 10);
    sender.send_replace(orders(&[second.target.clone()], INTERVAL));
    next(&mut observer);
    assert_eq!((deltas(&mut first), deltas(&mut second)), (vec![], vec![(10, 30)]));
    // Another one of the same name is another one.
    let mut again = Destination::new(7, 16);
    again.target.name.clone_from(&second.target.name);
    sender.send_replace(orders(&[again.target.clone()], INTERVAL));
    next(&mut observer);
    assert_eq!(deltas(&mut second), []);
    assert_eq!(deltas(&mut again), [(10, 40)], "from what the one before had been told");
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
}
