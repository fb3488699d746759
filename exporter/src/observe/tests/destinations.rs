use super::*;

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
        // The first time most are told earlier than others, so that not all come at once.
        assert!(seen.iter().all(|count| *count <= 1), "in round {round}");
        let told = seen.iter().filter(|count| **count == 1).count();
        assert!(round == 1 || told == COUNT as usize, "{told} in round {round}");
    }
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
