//! Whom a session may speak for, who is heard, and who is heard twice.

use flow::observation_domain;

use super::world::World;
use super::*;

/// This machine is node-a, as far as its address says.
const CLUSTER: &str = "
nodes:
  - {name: node-a, addresses: [127.0.0.1], podCIDRs: [10.10.0.0/24]}
  - {name: node-b, addresses: [192.168.1.11], podCIDRs: [10.10.1.0/24]}
";

/// A session's messages for `domain`, each with one record that names these Nodes.
fn naming(domain: u32, nodes: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let id = TemplateId::MIN;
    let mut encoder = Encoder::new(domain, u16::MAX, Packing::Full);
    let mut messages = vec![Vec::new()];
    encoder.template(0, &template(id, Profile::Fyke, Family::V4), &mut messages[0]).unwrap();
    for (port, (source, destination)) in (1..).zip(nodes) {
        let mut record = FlowRecord {
            key: FlowKey { source_port: port, ..FlowKey::default() },
            end_ms: 1_699_999_990_000,
            ..FlowRecord::default()
        };
        record.source.node = (*source).into();
        record.destination.node = (*destination).into();
        let mut message = Vec::new();
        let write = |writer: &mut ipfix::encode::RecordWriter<'_>| {
            encode(&record, Profile::Fyke, Family::V4, writer);
        };
        encoder.record(0, id, &mut message, write).unwrap();
        encoder.finish(&mut message);
        messages.push(message);
    }
    messages
}

fn options(claims: Claims) -> CollectOptions {
    CollectOptions { claims, silent_after: Duration::ZERO, ..CollectOptions::default() }
}

fn judged(world: &World) -> Vec<(&'static str, u64)> {
    let of = |verdict: Verdict| {
        (verdict.name(), world.collecting.shared.seen.counters.of_verdict(verdict))
    };
    Verdict::ALL.map(of).into_iter().filter(|(_, records)| *records > 0).collect()
}

#[tokio::test]
async fn claims_are_counted_and_taken_or_refused() {
    let a = observation_domain("node-a");
    let told =
        [("node-a", ""), ("", "node-a"), ("node-a", "node-a"), ("node-b", "node-a"), ("", "")];
    let lies = [("node-b", ""), ("", "nobody"), ("node-b", "nobody")];
    let expected = [("own", 5), ("other_node", 2), ("no_such_node", 1), ("other_domain", 1)];
    for claims in [Claims::Count, Claims::Refuse] {
        let mut world = World::start(options(claims), Some(CLUSTER)).await;
        let _session = world.send(&naming(a, &[told.as_slice(), &lies].concat())).await;
        let _other = world.send(&naming(7, &[("node-a", "")])).await;
        let refuses = claims == Claims::Refuse;
        world.records(if refuses { 5 } else { 9 }).await;
        world.until("all of it", || world.metrics.records_received.get() == 9).await;
        let count = || judged(&world).iter().map(|(_, records)| records).sum::<u64>();
        world.until("judged", || count() == 9).await;
        assert_eq!(judged(&world), expected, "{claims:?}");
        assert_eq!(world.value("claims_refused_total"), if refuses { 4 } else { 0 });
        let (sessions, _) = world.collecting.connected().sessions(9);
        let dropped: u64 = sessions.iter().map(|session| session.counters.refused).sum();
        assert_eq!(dropped, if refuses { 4 } else { 0 });
    }
}

#[tokio::test]
async fn without_a_cluster_nobody_is_doubted() {
    let mut world = World::start(options(Claims::Refuse), None).await;
    let _session = world.send(&naming(7, &[("node-a", ""), ("nobody", "")])).await;
    world.records(2).await;
    assert_eq!(judged(&world), [("unknown", 2)]);
    // Nor is a NetFlow router asked whom it speaks for; see there.
    world.goes_on_refusing_nothing().await;
}

impl World {
    async fn goes_on_refusing_nothing(self) {
        assert_eq!(self.value("claims_refused_total"), 0);
        self.goes_on().await;
    }
}

#[tokio::test]
async fn of_more_nodes_than_are_remembered_each_is_counted() {
    let mut world = World::start(options(Claims::Count), None).await;
    let names: Vec<String> = (0..600).map(|number| format!("node-{number}")).collect();
    let told: Vec<_> = names.iter().chain(&names).map(|name| (name.as_str(), "")).collect();
    let _session = world.send(&naming(7, &told)).await;
    world.records(1_200).await;
    assert_eq!(judged(&world), [("unknown", 1_200)]);
    let nodes = world.collecting.connected().nodes(Instant::now());
    assert_eq!(nodes.len(), 600);
    assert!(nodes.iter().all(|node| node.records == 2));
}

#[tokio::test]
async fn who_is_connected_and_who_is_silent_is_known() {
    let a = observation_domain("node-a");
    let mut world = World::start(options(Claims::Count), Some(CLUSTER)).await;
    let messages = naming(a, &[("node-a", ""), ("", "node-a")]);
    let tcp = world.send(&messages).await;
    world.records(2).await;
    let udp = world.send_to(world.udp, &naming(8, &[("gone", "")])).await;
    world.records(1).await;

    let (sessions, all) = world.collecting.connected().sessions(9);
    assert_eq!(all, 2);
    let [first, second] = sessions.as_slice() else { panic!("{sessions:?}") };
    assert_eq!((first.peer, second.peer), (tcp.local_addr().unwrap(), udp.local_addr().unwrap()));
    assert_eq!((first.transport, second.transport), (Transport::Tcp, Transport::Udp));
    assert_eq!((first.domains.as_slice(), second.domains.as_slice()), (&[a][..], &[8][..]));
    assert_eq!(first.nodes, ["node-a".into()]);
    let octets = messages.iter().map(|message| message.len() as u64).sum();
    let counters = SessionCounters {
        messages: 3,
        octets,
        records: 2,
        templates: 1,
        ..SessionCounters::default()
    };
    assert_eq!(first.counters, counters);
    assert!(first.since_ms >= 1_700_000_000_000 && first.last_message_ms >= first.since_ms);
    let (limited, all) = world.collecting.connected().sessions(1);
    assert_eq!((limited.len(), limited[0].id, all), (1, 1, 2));

    let nodes = world.collecting.connected().nodes(Instant::now());
    let told: Vec<_> = nodes
        .iter()
        .map(|it| (it.name.as_str(), it.in_cluster, it.records, it.last_record_ms.is_some()))
        .collect();
    // One that the cluster does not have is nobody.
    assert_eq!(told, [("node-a", true, 2, true), ("node-b", true, 0, false)]);
    assert!(nodes[0].lag_ms >= 10_000, "{nodes:?}");
    assert_eq!(world.value("nodes_silent"), 2);
    assert_eq!(world.value("node_records_total{node=\"node-a\"}"), 2);
    assert_eq!(world.value("sessions_open{transport=\"udp\"}"), 1);
    assert_eq!(world.value("datagrams_dropped_total{listener=\"udp\"}"), 0);
    drop((tcp, udp));
}

#[tokio::test]
async fn a_node_with_two_sessions_at_once_is_noticed_and_one_that_connects_anew_is_not() {
    let a = observation_domain("node-a");
    let mut world = World::start(options(Claims::Count), Some(CLUSTER)).await;
    let messages = naming(a, &[("node-a", ""); 4]);
    let double = |world: &World| world.value("double_exports_total");
    for _ in 0..3 {
        let session = world.send(&messages).await;
        world.records(4).await;
        drop(session);
    }
    assert_eq!(double(&world), 0);
    let mut sessions = [world.connect().await, world.connect().await];
    for message in &messages {
        for session in &mut sessions {
            session.write_all(message).await.unwrap();
            if !std::ptr::eq(message, &raw const messages[0]) {
                world.records(1).await;
            }
        }
    }
    // Each but the first two: what a session says after another has said something.
    assert_eq!(double(&world), 6);

    // The same Node by name, for another domain.
    let other = world.send(&naming(9, &[("node-a", ""); 1])).await;
    world.records(1).await;
    assert_eq!(double(&world), 6, "it might be the session that follows");
    sessions[0].write_all(&messages[1]).await.unwrap();
    world.records(1).await;
    assert!(double(&world) > 6);
    drop((other, sessions));
}

/// Over TLS it is another certificate, and nothing else: see the tests of `ipfix` and those with
/// foreign programs.
#[tokio::test]
async fn made_up_nodes_take_no_more_than_their_room() {
    let mut world = World::start(options(Claims::Count), None).await;
    let names: Vec<_> = (0..100).map(|number| format!("node-{number}")).collect();
    let nodes: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let _session = world.send(&naming(7, &nodes)).await;
    world.records(100).await;
    let (sessions, _) = world.collecting.connected().sessions(9);
    assert_eq!(sessions[0].nodes.len(), 16);
    let told: u64 =
        world.collecting.connected().nodes(Instant::now()).iter().map(|node| node.records).sum();
    assert_eq!(told, 100, "each is counted all the same");
    world.goes_on().await;
}
