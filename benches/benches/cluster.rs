//! What it costs to know who owns an address.
//!
//! Look-ups are compared with those in a plain hash table that knows the present only, in turns in
//! the same process. A change is a Pod that goes or one that comes, with what it takes to publish
//! it; its cost must not grow with the cluster.
//!
//! `cargo bench -p benches --bench cluster` prints a table; with `-- --check` it fails if a goal is
//! missed.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

use std::hint::black_box;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use benches::{Counting, Goals, cpu_time, median};
use flow::Name;
use hashbrown::HashMap;
use k8s::objects::{Change, Kind, Labels, Object, Owner, Phase, Pod, Service, ServicePort};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};

const ROUNDS: usize = 9;
/// When everything was made, in milliseconds.
const MADE: u64 = 1_700_000_000_000;
const NOW: u64 = MADE + 600_000;
/// A moment when it was all there.
const ASKED: u64 = MADE + 300_000;

const MOST_MEGABYTES: f64 = 100.0;
const MOST_MICROSECONDS: f64 = 50.0;
/// Look-ups of 50,000 Pods miss the cache, and neighbours on the machine decide how dear that is.
const MOST_TIMES: f64 = 10.0;

#[global_allocator]
static HEAP: Counting = Counting::new();

fn main() -> ExitCode {
    let mut goals = Goals::default();
    memory(&mut goals);
    for pods in [1_000, 50_000, 200_000] {
        updates(pods, &mut goals);
    }
    lookups(&mut goals);
    goals.verdict()
}

fn memory(goals: &mut Goals) {
    let before = HEAP.bytes();
    let tracker = tracker_of(50_000);
    let cluster = tracker.cluster();
    let bytes = HEAP.bytes() - before;
    goals.result("MB, tracker and snapshot of 50,000 Pods", bytes as f64 / 1e6, MOST_MEGABYTES);
    drop((tracker, cluster));
}

/// Pods go, and others come that get their addresses.
fn updates(pods: u32, goals: &mut Goals) {
    const CHANGES: u32 = 500;
    let mut tracker = tracker_of(pods);
    tracker.publish();
    let (mut now, mut next) = (NOW, 0);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut changes = Vec::new();
        for _ in 0..CHANGES / 2 {
            // All over the cluster.
            let slot = next % pods * 7_919 % pods;
            let (old, new) = (pod(slot, next / pods), pod(slot, next / pods + 1));
            next += 1;
            let (kind, namespace, uid) = (Kind::Pod, old.namespace, old.uid);
            changes.push(Change::Deleted { kind, namespace, name: old.name, uid });
            changes.push(Change::Applied(Object::Pod(new)));
        }
        let start = cpu_time();
        for change in changes {
            now += 5;
            tracker.apply(change, now);
            tracker.publish();
        }
        times.push(cpu_time().saturating_sub(start));
    }
    let each = median(times).as_secs_f64() * 1e6 / f64::from(CHANGES);
    goals.result(&format!("µs per change and publish, {pods} Pods"), each, MOST_MICROSECONDS);
}

fn lookups(goals: &mut Goals) {
    const PODS: u32 = 50_000;
    const SERVICES: u32 = 5_000;
    let cluster = tracker_of(PODS).cluster();
    let addresses: Vec<IpAddr> =
        (0..100_000).map(|i: u32| v4(i.wrapping_mul(7_919) % PODS)).collect();
    let services: Vec<IpAddr> =
        (0..100_000).map(|i: u32| service_ip(i.wrapping_mul(7_919) % SERVICES)).collect();
    let plain: HashMap<IpAddr, Arc<k8s::Pod>> = addresses
        .iter()
        .filter_map(|&address| {
            Some((address, Arc::new(cluster.pod(address, ASKED).guess()?.clone())))
        })
        .collect();
    assert_eq!(plain.len(), PODS as usize, "every address is somebody's");
    let [mut least, mut found, mut served] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        least.push(timed(&addresses, |address| plain.get(&address).is_some()));
        found.push(timed(&addresses, |address| is_found(&cluster, address)));
        served.push(timed(&services, |address| {
            cluster.service(address, 80, 6, ASKED).guess().is_some()
        }));
    }
    let each = |times| median(times).as_secs_f64() * 1e9 / addresses.len() as f64;
    let [least, found, served] = [least, found, served].map(each);
    println!("{:<52} {least:>9.2}", "ns, plain hash table of 50,000 addresses");
    println!("{:<52} {found:>9.2}", "ns, Pod of an address and a time");
    println!("{:<52} {served:>9.2}", "ns, Service of an address, port and time");
    goals.result("Pod, times the plain table", found / least, MOST_TIMES);
    goals.result("Service, times the plain table", served / least, MOST_TIMES);
}

fn is_found(cluster: &Cluster, address: IpAddr) -> bool {
    black_box(cluster.pod(address, ASKED)).guess().is_some()
}

fn timed(addresses: &[IpAddr], mut is_found: impl FnMut(IpAddr) -> bool) -> Duration {
    let start = cpu_time();
    let found = addresses.iter().filter(|&&address| is_found(black_box(address))).count();
    let took = cpu_time().saturating_sub(start);
    assert_eq!(found, addresses.len());
    took
}

fn tracker_of(pods: u32) -> Tracker {
    let filter = LabelFilter::new(["*"]);
    let mut tracker = Tracker::new(Margins::default(), Limits::default(), filter);
    for kind in [Kind::Pod, Kind::Service, Kind::Node] {
        tracker.apply(Change::ListBegun(kind), NOW);
    }
    for index in 0..pods {
        tracker.apply(Change::Applied(Object::Pod(pod(index, 0))), NOW);
    }
    for index in 0..pods / 10 {
        tracker.apply(Change::Applied(Object::Service(service(index))), NOW);
    }
    for kind in [Kind::Pod, Kind::Service, Kind::Node] {
        tracker.apply(Change::ListEnded(kind), NOW);
    }
    tracker.advance(NOW);
    tracker
}

/// The Pod that has an address after so many others had it: dual stack, of a Deployment of 20,
/// five labels, 100 on a Node.
fn pod(slot: u32, earlier: u32) -> Pod {
    let (app, index) = (slot / 20, slot % 20);
    let [a, b, c, d] = slot.to_be_bytes();
    let low = u16::from_be_bytes([c, d]);
    let v6 = [0xfd00, 0x10, 0, 0, 0, 0, u16::from_be_bytes([a, b]), low];
    let labels: [(&str, String); 5] = [
        ("app.kubernetes.io/name", format!("application-{app}")),
        ("app.kubernetes.io/part-of", format!("product-{}", app % 100)),
        ("app.kubernetes.io/version", format!("1.{}.0", app % 20)),
        ("pod-template-hash", format!("{:08x}", app.wrapping_mul(2_654_435_761))),
        ("team", format!("team-{}", app % 40)),
    ];
    let labels: Labels =
        labels.iter().map(|(key, value)| (Name::from(*key), text(value))).collect();
    let made = MADE + u64::from(earlier) * 600_000;
    Pod {
        uid: text(&format!("{slot:08x}-aaaa-4bbb-8ccc-{earlier:012x}")),
        namespace: text(&format!("namespace-{}", app % 200)),
        name: text(&format!("application-{app}-5d8f7c9b6d-{index:02}{earlier:03}")),
        node: text(&format!("node-{}", slot / 100)),
        addresses: vec![v4(slot), v6.into()],
        created_ms: made,
        started_ms: made,
        network_ready_ms: made,
        phase: Phase::Running,
        owner: Some(Owner {
            kind: "ReplicaSet".into(),
            name: text(&format!("application-{app}-5d8f7c9b6d")),
            uid: text(&format!("{app:08x}-aaaa-4bbb-8ccc-000000000000")),
        }),
        labels,
        ..Pod::default()
    }
}

fn v4(slot: u32) -> IpAddr {
    let [a, b, c, d] = slot.to_be_bytes();
    IpAddr::from([10 + a, b, c, d])
}

fn service(index: u32) -> Service {
    let port =
        |name: &str, port| ServicePort { name: text(name), protocol: 6, port, node_port: None };
    Service {
        uid: text(&format!("{index:08x}-cccc-4bbb-8ccc-000000000000")),
        namespace: text(&format!("namespace-{}", index % 200)),
        name: text(&format!("service-{index}")),
        cluster_ips: vec![service_ip(index)],
        created_ms: MADE,
        ports: vec![port("http", 80), port("metrics", 9090)],
        ..Service::default()
    }
}

fn service_ip(index: u32) -> IpAddr {
    let [_, _, c, d] = index.to_be_bytes();
    IpAddr::from([10, 96, c, d])
}

fn text(text: &str) -> Name {
    Name::from(text)
}
