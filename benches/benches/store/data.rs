//! Ten hours of a cluster with 5,000 Pods in 60 Namespaces, in which some talk far more than others.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use flow::{Counters, FlowEndReason, FlowRecord, FlowType, Name};
use store::{Writer, WriterOptions};

pub(crate) const PODS: u64 = 5_000;
pub(crate) const NAMESPACES: u64 = 60;
/// Pods of one application, which have the same labels but one.
pub(crate) const PODS_PER_APP: u64 = 10;
const PORTS: [u16; 8] = [80, 443, 8080, 9090, 5432, 6379, 53, 3306];
pub(crate) const HOURS: u64 = 10;
const HOUR_MS: u64 = 3_600_000;
/// 2026-11-21T00:00:00Z.
pub(crate) const BEGIN_MS: u64 = 1_795_219_200_000;

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small numbers are far more frequent: the square of an even distribution.
    fn skewed(&mut self, limit: u64) -> u64 {
        let even = self.below(1 << 20);
        (even * even * limit) >> 40
    }
}

struct Pod {
    name: Name,
    namespace: Name,
    node: Name,
    labels: Name,
    service: Name,
    policy: Name,
    address: IpAddr,
}

fn pod(number: u64) -> Pod {
    let app = number / PODS_PER_APP;
    let text = |text: String| Name::from(text.as_str());
    let namespace = format!("team-{:02}", app % NAMESPACES);
    Pod {
        name: text(format!("app-{app}-{:08x}-{number}", app.wrapping_mul(2_654_435_761) as u32)),
        service: text(format!("{namespace}/app-{app}:http")),
        labels: text(format!(
            r#"{{"app.kubernetes.io/name":"app-{app}","tier":"{}","version":"v{}"}}"#,
            ["front", "middle", "back"][(app % 3) as usize],
            app % 7
        )),
        namespace: text(namespace),
        node: text(format!("node-{:03}", number % 200)),
        policy: text(format!("allow-app-{}", app % 100)),
        address: Ipv4Addr::from_bits(0x0a00_0000 | number as u32).into(),
    }
}

pub(crate) fn write(dir: &Path, records: usize) {
    let pods: Vec<Pod> = (0..PODS).map(pod).collect();
    let cluster = Name::from("ESTABLISHED");
    let mut random = Random(7);
    let options = WriterOptions { max_rows: 4_000_000, ..WriterOptions::default() };
    let mut writer = Writer::with_options(dir, options).unwrap();
    let total = records as u64;
    let mut batch = Vec::with_capacity(1024);
    for number in 0..total {
        let now_ms = BEGIN_MS + number * HOURS * HOUR_MS / total;
        batch.push(record(number, now_ms, &pods, &cluster, &mut random));
        if batch.len() == 1024 || number + 1 == total {
            let newest_ms = now_ms;
            writer.append(&batch, newest_ms).unwrap();
            batch.clear();
        }
        if writer.rows() >= options.flush_rows || number + 1 == total {
            writer.flush().unwrap();
        }
    }
}

fn record(number: u64, now_ms: u64, pods: &[Pod], state: &Name, random: &mut Random) -> FlowRecord {
    let from = random.skewed(PODS);
    // Each Pod talks to some 66 others, to few of them often.
    let to = (from * 7 + random.skewed(66) * 13) % PODS;
    let (source, destination) = (&pods[from as usize], &pods[to as usize]);
    let mut record = FlowRecord {
        flow_id: number,
        end_ms: now_ms.saturating_sub(random.below(1000)).max(BEGIN_MS),
        start_ms: now_ms.saturating_sub(random.below(60_000) + 1000),
        end_reason: FlowEndReason::ActiveTimeout,
        flow_type: if from % 200 == to % 200 { FlowType::IntraNode } else { FlowType::InterNode },
        tcp_state: state.clone(),
        ..FlowRecord::default()
    };
    record.key.source = source.address;
    record.key.destination = destination.address;
    record.key.source_port = 32_768 + random.below(28_000) as u16;
    // Each application listens on two ports.
    let app = to / PODS_PER_APP;
    record.key.destination_port = PORTS[((2 * app + random.below(2)) % 8) as usize];
    record.key.protocol = if record.key.destination_port == 53 { 17 } else { 6 };
    for (end, pod) in [(&mut record.source, source), (&mut record.destination, destination)] {
        end.pod = pod.name.clone();
        end.namespace = pod.namespace.clone();
        end.node = pod.node.clone();
    }
    record.source.labels = source.labels.clone();
    record.destination.labels = destination.labels.clone();
    record.service.name = destination.service.clone();
    record.service.port = record.key.destination_port;
    record.service.ip = Some(Ipv4Addr::from_bits(0x0a60_0000 | app as u32).into());
    for (rule, end) in [(&mut record.ingress, destination), (&mut record.egress, source)] {
        rule.name = end.policy.clone();
        rule.namespace = end.namespace.clone();
        rule.policy_type = 1;
        rule.action = if random.below(100) == 0 { 2 } else { 1 };
    }
    record.forward = counters(random);
    record.reverse = counters(random);
    record.joined.throughput = record.forward.octets_delta * 8 / 60;
    record.joined.reverse_throughput = record.reverse.octets_delta * 8 / 60;
    record
}

fn counters(random: &mut Random) -> Counters {
    let packets = 1 + random.skewed(2000);
    let octets = packets * (60 + random.below(1200));
    Counters {
        packets_delta: packets,
        octets_delta: octets,
        packets_total: packets * (1 + random.below(20)),
        octets_total: octets * (1 + random.below(20)),
    }
}
