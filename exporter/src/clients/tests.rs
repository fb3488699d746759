use std::net::SocketAddr;

use super::*;
use crate::conntrack::{Counters, Entry};
use crate::meter::EndReason;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_700_000_000 * SECOND;
const CLUSTER: &str = "
nodes: [{name: a, addresses: [192.168.77.1], podCIDRs: [10.10.0.0/24]}]
pods: [{name: far, namespace: n, node: a, addresses: [172.20.0.5]}]
";

fn at(text: &str) -> (IpAddr, u16) {
    let address: SocketAddr = text.parse().unwrap();
    (address.ip(), address.port())
}

fn tuple([source, destination]: [&str; 2]) -> Tuple {
    Tuple::new(at(source), at(destination), protocol::TCP)
}

/// Source and destination of what the client sends and of what answers.
type Ends = ([&'static str; 2], [&'static str; 2]);

const CLIENT: &str = "192.0.2.9:6000";
const NODE_PORT: &str = "192.168.77.1:30080";
const POD: &str = "10.10.0.2:8080";
/// Masqueraded behind the gateway, as kube-proxy does.
const MASQUERADED: Ends = ([CLIENT, NODE_PORT], [POD, "10.10.0.1:40000"]);
/// With `externalTrafficPolicy: Local`, and by Antrea's own `NodePortLocal`.
const LOCAL: Ends = ([CLIENT, NODE_PORT], [POD, CLIENT]);

fn entry(kind: Kind, (original, reply): Ends) -> Entry {
    Entry { id: 7, ..Entry::new(kind, tuple(original), tuple(reply)) }
}

struct Bench {
    clients: Clients,
    cluster: Cluster,
}

impl Bench {
    fn with(limit: usize, entries: &[Entry]) -> Self {
        let cluster = Cluster::from_yaml(CLUSTER).unwrap();
        let mut bench = Self { clients: Clients::new(limit), cluster };
        for entry in entries {
            bench.observe(entry, NOW);
        }
        bench
    }

    fn observe(&mut self, entry: &Entry, now: u64) {
        self.clients.observe(entry, &self.cluster, now);
    }

    fn find(&self, (original, reply): Ends) -> Option<ExternalClient> {
        self.find_from((original, reply), NOW)
    }

    /// Of a connection in Antrea's zone that began at `start_ns`.
    fn find_from(&self, (original, reply): Ends, start_ns: u64) -> Option<ExternalClient> {
        let (original, reply) = (tuple(original), tuple(reply));
        self.clients.find(&due(&original, &reply, start_ns))
    }
}

fn due<'a>(original: &'a Tuple, reply: &'a Tuple, start_ns: u64) -> Due<'a> {
    Due {
        original,
        reply,
        zone: 65520,
        id: 1,
        mark: 2,
        labels: None,
        status: 0,
        tcp_state: None,
        denied: None,
        start_ns,
        end_ns: start_ns + SECOND,
        totals: Counters::default(),
        deltas: Counters::default(),
        reason: EndReason::ActiveTimeout,
    }
}

/// What is told of the connection in Antrea's zone: what zone 0 said of the same packets.
#[track_caller]
fn check(host: Ends, antrea: Ends, expected: Ends) {
    let bench = Bench::with(10, &[entry(Kind::New, host)]);
    let found = bench.find(antrea).expect("a client");
    let (original, reply) = (tuple(antrea.0), tuple(antrea.1));
    let told = found.connection(&due(&original, &reply, NOW));
    assert_eq!(told, (tuple(expected.0), tuple(expected.1)));
}

#[test]
fn a_client_behind_the_gateways_address_is_found() {
    let antrea = (["10.10.0.1:40000", POD], [POD, "10.10.0.1:40000"]);
    check(MASQUERADED, antrea, MASQUERADED);
}

#[test]
fn what_a_client_asked_for_is_found_where_its_address_was_kept() {
    check(LOCAL, ([CLIENT, POD], [POD, CLIENT]), LOCAL);
}

/// Antrea itself chooses the Pod, so the host's half ends at a virtual address.
#[test]
fn a_node_port_that_antrea_serves_is_found() {
    let host = ([CLIENT, NODE_PORT], ["169.254.0.252:30080", CLIENT]);
    let antrea = ([CLIENT, "169.254.0.252:30080"], [POD, CLIENT]);
    check(host, antrea, LOCAL);
}

/// What Antrea shows of the client decides; that the host changed nothing clears it.
#[test]
fn an_address_that_the_host_kept_is_no_translation() {
    let antrea = ([CLIENT, POD], [POD, "192.0.2.9:7000"]);
    check(LOCAL, antrea, LOCAL);
}

#[test]
fn clients_that_share_a_port_are_kept_apart() {
    let other = (["192.0.2.10:6000", NODE_PORT], [POD, "10.10.0.1:40001"]);
    let entries = [entry(Kind::New, MASQUERADED), Entry { id: 8, ..entry(Kind::New, other) }];
    let bench = Bench::with(10, &entries);
    let client = |port: &'static str| bench.find(([port, POD], [POD, port])).unwrap().address;
    assert_eq!(client("10.10.0.1:40000"), at(CLIENT).0);
    assert_eq!(client("10.10.0.1:40001"), at("192.0.2.10:1").0);
}

#[test]
fn what_cannot_be_half_of_a_pods_connection_is_not_remembered() {
    for (ends, known) in [
        (MASQUERADED, 1),
        // A Pod without a Pod network, as in policy-only mode.
        (([CLIENT, NODE_PORT], ["172.20.0.5:80", CLIENT]), 1),
        // Nothing was changed, so Antrea's zone tells as much.
        (([CLIENT, POD], [POD, CLIENT]), 0),
        // To a Service on the host's network, and to the internet.
        (([CLIENT, NODE_PORT], ["192.168.77.1:6443", CLIENT]), 0),
        ((["10.10.0.2:5", "192.0.2.1:53"], ["192.0.2.1:53", "192.168.77.1:5"]), 0),
    ] {
        let bench = Bench::with(10, &[entry(Kind::New, ends)]);
        assert_eq!(bench.clients.tally().known, known, "{ends:?}");
    }
}

#[test]
fn a_client_is_remembered_for_a_while_after_its_end() {
    let end = Entry { stop_ns: Some(NOW + SECOND), ..entry(Kind::Destroy, LOCAL) };
    let mut bench = Bench::with(10, &[entry(Kind::New, LOCAL), end]);
    let antrea = ([CLIENT, POD], [POD, CLIENT]);
    // An entry of a dump that the end has overtaken.
    bench.observe(&entry(Kind::Dump, LOCAL), NOW + SECOND);
    assert_eq!((bench.clients.tally().known, bench.clients.tally().live), (2, 1));
    bench.clients.dump_started();
    bench.clients.dump_finished(true, NOW + SECOND);
    assert_eq!(bench.clients.tally().live, 0);
    bench.clients.forget(NOW + 299 * SECOND);
    assert!(bench.find(antrea).is_some());
    assert_eq!(bench.find_from(antrea, NOW + 60 * SECOND), None, "another's by then");
    bench.clients.forget(NOW + 400 * SECOND);
    assert_eq!((bench.find(antrea), bench.clients.tally().known), (None, 0));
    assert_eq!(bench.clients.tally().forgotten_early, 0);
}

#[test]
fn ports_used_again_lead_to_who_used_them_then() {
    let used = |client: &'static str, start: u64, kind| {
        let ends = ([client, NODE_PORT], [POD, "10.10.0.1:40000"]);
        Entry { start_ns: Some(start), stop_ns: Some(start + 5 * SECOND), ..entry(kind, ends) }
    };
    let later = NOW + 30 * SECOND;
    let mut bench = Bench::with(10, &[used(CLIENT, NOW, Kind::Destroy)]);
    bench.observe(&used("192.0.2.10:1", later, Kind::Dump), later);
    let antrea = (["10.10.0.1:40000", POD], [POD, "10.10.0.1:40000"]);
    let client = |start_ns| bench.find_from(antrea, start_ns).unwrap().address;
    assert_eq!(client(NOW), at(CLIENT).0);
    assert_eq!(client(later), at("192.0.2.10:1").0);
}

#[test]
fn what_a_whole_dump_does_not_show_has_ended() {
    let mut bench = Bench::with(10, &[entry(Kind::New, LOCAL)]);
    bench.clients.dump_started();
    bench.clients.dump_finished(false, NOW);
    assert_eq!(bench.clients.tally().live, 1, "it may have been missed");
    bench.clients.dump_started();
    bench.clients.dump_finished(true, NOW);
    assert_eq!(bench.clients.tally().live, 0);
    bench.observe(&entry(Kind::Dump, LOCAL), NOW);
    assert_eq!((bench.clients.tally().live, bench.clients.tally().known), (1, 1), "after all");
}

#[test]
fn there_is_a_limit_which_the_ended_make_room_for() {
    let from = |last: u8, kind| {
        let client = (IpAddr::from([192, 0, 2, last]), 6000);
        let original = Tuple::new(client, at(NODE_PORT), protocol::TCP);
        Entry::new(kind, original, Tuple::new(at(POD), client, protocol::TCP))
    };
    let mut bench = Bench::with(2, &[1, 2, 3].map(|last| from(last, Kind::New)));
    let tally = bench.clients.tally();
    assert_eq!((tally.known, tally.live, tally.refused), (2, 2, 1));
    bench.observe(&from(1, Kind::Destroy), NOW);
    bench.observe(&from(3, Kind::Dump), NOW);
    let tally = bench.clients.tally();
    assert_eq!((tally.known, tally.live, tally.forgotten_early), (2, 2, 1));
}

#[test]
fn a_client_takes_the_memory_it_is_said_to() {
    let bench = Bench::with(2, &[entry(Kind::New, LOCAL)]);
    assert_eq!(bench.clients.index.room(), 1);
    let place = size_of::<(Tuple, Vec<Client>)>();
    // A table of places is half empty when it has just grown, and an end is noted for each.
    let each = size_of::<Client>() + 2 * place + size_of::<(u64, Tuple, u32)>();
    assert!(each <= 350, "{each}");
}
