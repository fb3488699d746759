use super::*;
use crate::meter::{Due, Set};
use crate::observe::dumps::LOOK_UPS_PER_TURN;
use crate::zones::{Part, Zones};

const ANTREA: u16 = 65520;

fn marked(kind: Kind, mark: u32) -> Entry {
    Entry { zone: ANTREA, mark, ..entry(kind) }
}

/// One whose meter has somebody to tell.
fn listened_to(zones: &[u16]) -> (Player, Observer<Recorded>) {
    let (player, mut observer) = observer(zones);
    observer.meter.add(Timeouts::new(INTERVAL, INTERVAL), 0).expect("it is the first");
    (player, observer)
}

fn tell(observer: &mut Observer<Recorded>, now: u64, mut see: impl FnMut(&Due<'_>)) {
    observer.meter.due(
        now,
        9,
        Set::ALL,
        |_| false,
        |due, _| {
            see(due);
            Set::EMPTY
        },
    );
}

fn antreas_observer() -> (Player, Observer<Recorded>) {
    let (player, mut observer) = listened_to(&[]);
    observer.intake = Intake::new(Zones::of(&[Part::Antrea]));
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
    tell(&mut observer, 20, |due| told.push((due.mark, due.labels, due.deltas.octets)));
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
    tell(&mut observer, 20, |due| told.push(due.labels.is_some()));
    assert_eq!(told, [false, true, true]);
}

#[test]
fn a_tcp_connection_that_is_over_is_told_before_the_kernel_forgets_it() {
    let (player, mut observer) = listened_to(&[0]);
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
    tell(&mut observer, 100_000_001, |due| told.push((due.id, due.reason, due.deltas.octets)));
    assert_eq!(told, [(5, crate::meter::EndReason::EndOfFlow, 100)]);
}

#[test]
fn what_is_left_of_a_dump_does_not_follow_upon_an_answer_that_is_newer() {
    let (player, mut observer) = listened_to(&[0]);
    let (pod, outside) = (([10, 0, 0, 2].into(), 4001), ([192, 0, 2, 1].into(), 80));
    let ours = |kind, counters| {
        let entry = Entry::new(kind, Tuple::new(pod, outside, 6), Tuple::new(outside, pod, 6));
        Entry { tcp_state: Some(7), counters, ..entry }
    };
    // It is in the second chunk of the dump.
    let table = |packets| {
        let counters = Counters { packets, octets: 100 * packets, ..Counters::default() };
        let others = (0..100).map(|id| Entry { id, ..entry(Kind::Dump) });
        others.chain([ours(Kind::Dump, Some(counters))]).collect()
    };
    player.play(Step::Table(table(5)));
    observer.observe(0).unwrap();
    player.play(Step::Table(table(8)));
    player.play(Step::Event(ours(Kind::Update, None)));
    (1..4).for_each(|now| observer.observe(now).unwrap());
    assert_eq!(observer.source.tally().look_ups, 1);
    assert_eq!(observer.meter.stats().counter_resets, 0);
}

#[test]
fn too_many_connections_that_end_at_once_are_told_later() {
    let (player, mut observer) = listened_to(&[0]);
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
    let (player, mut observer) = listened_to(&[1, 2]);
    player.play(Step::Table(vec![Entry { zone: 2, ..entry(Kind::Dump) }]));
    player.play(Step::FailDump);
    (0..9).for_each(|now| observer.observe(now).unwrap());
    assert_eq!((observer.metrics.dumps_failed.get(), observer.meter.stats().live), (1, 1));
}

#[test]
fn the_client_of_zone_0_is_told_with_antreas_connection() {
    let (player, observer) = antreas_observer();
    let mut destination = Destination::new(0, 16);
    let told = watch::channel(orders(&[destination.target.clone()], INTERVAL)).1;
    let mut observer = observer.obeying(told, 0);
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
    observer.turn(nanoseconds(INTERVAL) + 100_000_009);
    let records = destination.take();
    let [record] = &records[..] else { panic!("{records:#?}") };
    assert_eq!(record.flow_type, flow::FlowType::FromExternal);
    assert_eq!((record.key.source, record.key.source_port), client);
    assert_eq!((record.proxy_snat_ip, record.proxy_snat_port), (Some(gateway.0), gateway.1));
    assert_eq!((record.service.ip, record.service.port), (Some(node.0), node.1));
    assert_eq!(record.destination.pod.as_str(), "p");
    assert_eq!(observer.metrics.source.clients_found.get(), 1);
}
