//! A record with a value of its own in every attribute that counts, for tests of the wire.

use std::net::IpAddr;

use flow::{
    Counters, Direction, Endpoint, Exit, FlowEndReason, FlowKey, FlowRecord, FlowType, Joined,
    Origin, PolicyRule, Service, Side, Uid, Uids,
};

/// Four different numbers, from `base` on.
pub fn counters(base: u64) -> Counters {
    Counters {
        packets_total: base,
        octets_total: base + 1,
        packets_delta: base + 2,
        octets_delta: base + 3,
    }
}

fn end(pod: &str, namespace: &str, node: &str) -> Endpoint {
    let (pod, namespace, node) = (pod.into(), namespace.into(), node.into());
    Endpoint { pod, namespace, node, ..Endpoint::default() }
}

/// What the source's Node tells of a TCP connection between two addresses.
pub fn record(source: &str, destination: &str) -> FlowRecord {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    FlowRecord {
        key: FlowKey {
            source: address(source),
            destination: address(destination),
            source_port: 40_000,
            destination_port: 8080,
            protocol: 6,
            icmp_type_code: 0,
        },
        start_ms: 1_700_000_000_123,
        end_ms: 1_700_000_009_456,
        end_reason: FlowEndReason::EndOfFlow,
        forward: counters(1000),
        reverse: counters(1 << 33),
        source: end("web-0", "shop", "node-a").into(),
        tcp_state: "TIME_WAIT".into(),
        ..FlowRecord::default()
    }
}

/// What an aggregator tells of that connection: every attribute has a value of its own.
pub fn aggregated(source: &str, destination: &str, service: &str) -> FlowRecord {
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let rule = |direction: &str, policy_type, action| PolicyRule {
        name: format!("{direction}-policy").as_str().into(),
        namespace: format!("{direction}-space").as_str().into(),
        policy_type,
        rule: format!("{direction}-rule").as_str().into(),
        action,
    };
    let uid = |byte| Some(Uid([byte; 16]));
    let side = |end_ms, base| Side {
        end_ms,
        forward: counters(base),
        reverse: counters(base + 10),
        throughput: base + 20,
        reverse_throughput: base + 21,
        ..Side::default()
    };
    FlowRecord {
        source: Endpoint {
            labels: r#"{"app":"web","tier":"a<b"}"#.into(),
            pod_uid: uid(1),
            node_uid: uid(2),
            ..end("web-0", "shop", "node-a")
        }
        .into(),
        destination: Endpoint {
            labels: "{}".into(),
            pod_uid: uid(3),
            node_uid: uid(4),
            ..end("db-0", "data", "node-b")
        }
        .into(),
        service: Service { ip: address(service), port: 80, name: "data/db:sql".into() },
        ingress: rule("ingress", 4, 1).into(),
        egress: rule("egress", 2, 3).into(),
        flow_type: FlowType::InterNode,
        exit: Exit { name: "way-out".into(), ip: "192.0.2.7".into(), node: "node-c".into() }.into(),
        proxy_snat_ip: address(destination),
        proxy_snat_port: 52_391,
        joined: Joined {
            from_source: side(1_700_000_008_001, 2000),
            from_destination: side(1_700_000_009_002, 3000),
            throughput: 4000,
            reverse_throughput: 4001,
        }
        .into(),
        uids: Uids {
            service: uid(5),
            ingress_policy: uid(6),
            egress_policy: uid(7),
            egress: uid(8),
            egress_node: uid(9),
        }
        .into(),
        origin: Origin { exporter: address("198.51.100.9"), domain: 77 },
        direction: Direction::Egress,
        ..record(source, destination)
    }
}
