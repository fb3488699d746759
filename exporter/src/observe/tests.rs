mod sources; // what becomes of entries before the meter sees them
mod flood; // more events than there is time for
mod destinations; // many connections, several destinations
mod denied; // packets that went nowhere

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
    observer.meter.inherit_before(1, &ProtocolFilter::ALL);
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

#[test]
fn a_protocol_that_is_wanted_anew_costs_no_other_what_was_counted() {
    let (player, observer) = observer(&[0]);
    let mut destination = filtered(&[6]);
    let (sender, receiver) = watch::channel(orders(&[destination.target.clone()], INTERVAL));
    let mut observer = observer.obeying(receiver, 0);
    observer.meter.inherit_before(1, &ProtocolFilter::ALL);
    destination.target.filter.protocols = ProtocolFilter::only(&[6, PROTOCOL]);
    sender.send_replace(orders(&[destination.target.clone()], INTERVAL));
    let now = nanoseconds(INTERVAL);
    observer.hear(now);
    // Both began before that, and no event told of either.
    let began = |entry: Entry| Entry { start_ns: Some(2), kind: Kind::Dump, ..entry };
    let (pod, outside) = (([10, 0, 0, 2].into(), 4001), ([192, 0, 2, 1].into(), 80));
    let (original, reply) = (Tuple::new(pod, outside, 6), Tuple::new(outside, pod, 6));
    let tcp = Entry { id: 2, original, reply, ..entry(Kind::Dump) };
    player.play(Step::Table(vec![began(entry(Kind::Dump)), began(tcp)]));
    (0..3).for_each(|step| observer.observe(now + step).unwrap());
    observer.turn(now + nanoseconds(INTERVAL) + 9);
    let told = destination.take();
    let mut told: Vec<_> =
        told.iter().map(|it| (it.key.protocol, it.forward.octets_delta)).collect();
    told.sort_unstable();
    assert_eq!(told, [(6, 100), (PROTOCOL, 0)]);
}
