//! What the cluster's Pods say to each other, as the exporters of their Nodes tell it.

use std::net::Ipv4Addr;

use super::{
    Counters, EXPORT_TIME, Record, Text,
    cluster::{Cluster, PodOnNode, Service},
    random::Random,
};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Returns `count` records of the flows of one cluster, in no order.
///
/// Of a hundred flows, 50 are between Pods of two Nodes and are told by both, 25 between Pods of
/// one Node, 15 leave the cluster and 10 come from outside.
pub fn records(count: usize) -> Vec<Record> {
    let mut random = Random::new(279);
    let cluster = Cluster::new(&mut random);
    let mut records = Vec::with_capacity(count + 1);
    while records.len() < count {
        match random.below(100) {
            0..50 => between_nodes(&cluster, &mut random, &mut records),
            50..75 => records.push(within_node(&cluster, &mut random)),
            75..90 => records.push(to_outside(&cluster, &mut random)),
            _ => records.push(from_outside(&cluster, &mut random)),
        }
    }
    records.truncate(count);
    random.shuffle(&mut records);
    records
}

/// The exporter at either end knows its own Pod, and the policy it enforced.
fn between_nodes(cluster: &Cluster, random: &mut Random, records: &mut Vec<Record>) {
    let from = random.below(cluster.pods.len());
    let to = (from + 1 + random.below(cluster.pods.len() - 1)) % cluster.pods.len();
    let (source, destination) =
        (random.one_of(&cluster.pods[from]), random.one_of(&cluster.pods[to]));
    let flow = flow(cluster, random, source.address, destination.address, 2);
    let mut told = Record { source: source.pod.clone(), ..flow.clone() };
    via_service(&mut told, cluster, random);
    egress_policy(&mut told, cluster, random);
    records.push(told);
    let mut told = Record { destination: destination.pod.clone(), ..flow };
    ingress_policy(&mut told, cluster, random);
    records.push(told);
}

fn within_node(cluster: &Cluster, random: &mut Random) -> Record {
    let pods = random.one_of(&cluster.pods);
    let (source, destination) = (random.one_of(pods), random.one_of(pods));
    let mut told = Record {
        source: source.pod.clone(),
        destination: destination.pod.clone(),
        ..flow(cluster, random, source.address, destination.address, 1)
    };
    via_service(&mut told, cluster, random);
    egress_policy(&mut told, cluster, random);
    ingress_policy(&mut told, cluster, random);
    told
}

fn to_outside(cluster: &Cluster, random: &mut Random) -> Record {
    let source = any_pod(cluster, random);
    let outside = outside(random);
    let mut told =
        Record { source: source.pod.clone(), ..flow(cluster, random, source.address, outside, 3) };
    egress_policy(&mut told, cluster, random);
    if random.percent(50) {
        let egress = random.one_of(&cluster.egresses);
        told.egress_name = Text::clone(&egress.name);
        told.egress_ip = Text::clone(&egress.address);
        told.egress_node = Text::clone(&egress.node);
    }
    told
}

fn from_outside(cluster: &Cluster, random: &mut Random) -> Record {
    let destination = any_pod(cluster, random);
    let outside = outside(random);
    let mut told = Record {
        destination: destination.pod.clone(),
        snat_port: random.u16(32_768, 61_000),
        snat_address: Ipv4Addr::new(10, 42, 2 * random.u8(0, 100), random.u8(100, 250)),
        ..flow(cluster, random, outside, destination.address, 4)
    };
    via_service(&mut told, cluster, random);
    ingress_policy(&mut told, cluster, random);
    told
}

fn any_pod<'a>(cluster: &'a Cluster, random: &mut Random) -> &'a PodOnNode {
    let pods = random.one_of(&cluster.pods);
    random.one_of(pods)
}

fn outside(random: &mut Random) -> Ipv4Addr {
    Ipv4Addr::new(203, random.u8(0, 114), random.u8(0, 250), random.u8(1, 250))
}

/// What every record of a flow says.
fn flow(
    cluster: &Cluster,
    random: &mut Random,
    source_address: Ipv4Addr,
    destination_address: Ipv4Addr,
    flow_type: u8,
) -> Record {
    let empty = || Text::clone(&cluster.empty);
    let protocol = if random.percent(25) { UDP } else { TCP };
    let tcp_state = match (protocol, random.below(4)) {
        (UDP, _) => empty(),
        (_, 0) => "TIME_WAIT".into(),
        (_, _) => "ESTABLISHED".into(),
    };
    let end = EXPORT_TIME - random.u32(60);
    Record {
        start: end - random.u32(3_600),
        end,
        end_reason: random.u8(1, 4),
        source_port: random.u16(32_768, 61_000),
        destination_port: *random.one_of(&[53, 80, 443, 5_432, 8_080, 8_443, 9_090]),
        protocol,
        forward: counters(random),
        source_address,
        destination_address,
        reverse: counters(random),
        source: cluster.no_pod(),
        destination: cluster.no_pod(),
        service_port: 0,
        service_port_name: empty(),
        ingress: cluster.no_policy(),
        egress: cluster.no_policy(),
        tcp_state,
        flow_type,
        egress_name: empty(),
        egress_ip: empty(),
        egress_node: empty(),
        snat_port: 0,
        snat_address: Ipv4Addr::UNSPECIFIED,
        service_address: Ipv4Addr::UNSPECIFIED,
    }
}

fn counters(random: &mut Random) -> Counters {
    let packets_delta = 1 + random.magnitude(14);
    let packets_total = packets_delta + random.magnitude(20);
    let octets_per_packet = 52 + random.below(1_400) as u64;
    Counters {
        packets_total,
        octets_total: packets_total * octets_per_packet,
        packets_delta,
        octets_delta: packets_delta * octets_per_packet,
    }
}

fn via_service(record: &mut Record, cluster: &Cluster, random: &mut Random) {
    if random.percent(60) {
        let Service { port_name, port, address } = random.one_of(&cluster.services);
        record.service_port_name = Text::clone(port_name);
        record.service_port = *port;
        record.service_address = *address;
    }
}

fn egress_policy(record: &mut Record, cluster: &Cluster, random: &mut Random) {
    if random.percent(40) {
        record.egress = random.one_of(&cluster.policies).clone();
    }
}

fn ingress_policy(record: &mut Record, cluster: &Cluster, random: &mut Random) {
    if random.percent(60) {
        record.ingress = random.one_of(&cluster.policies).clone();
    }
}
