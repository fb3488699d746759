//! A record with a value of its own in every attribute, and the same as a message.

use super::*;

fn stats(base: u64) -> messages::Stats {
    messages::Stats {
        packet_total_count: base,
        octet_total_count: base + 1,
        packet_delta_count: base + 2,
        octet_delta_count: base + 3,
    }
}

fn side(base: u64) -> Side {
    Side {
        end_ms: 1_700_000_000_000 + base,
        forward: counters(base),
        reverse: counters(base + 10),
        throughput: base + 20,
        reverse_throughput: base + 21,
        ..Side::default()
    }
}

const fn uid(n: u8) -> Uid {
    Uid([n; 16])
}

fn uids() -> Uids {
    let uid = |n| Some(uid(n));
    Uids {
        service: uid(5),
        ingress_policy: uid(6),
        egress_policy: uid(7),
        egress: uid(8),
        egress_node: uid(9),
    }
}

fn uid_text(n: u8) -> String {
    let groups = [4, 2, 2, 2, 6].map(|bytes| format!("0{n}").repeat(bytes));
    groups.join("-")
}

/// A value of its own in every attribute that the message has.
pub(super) fn full() -> FlowRecord {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let end = |n: u8, labels: &str| Endpoint {
        pod: format!("pod-{n}").as_str().into(),
        namespace: format!("namespace-{n}").as_str().into(),
        node: format!("node-{n}").as_str().into(),
        labels: labels.into(),
        pod_uid: Some(uid(2 * n - 1)),
        node_uid: Some(uid(2 * n)),
        ..Endpoint::default()
    };
    let rule = |n: u8| PolicyRule {
        name: format!("policy-{n}").as_str().into(),
        namespace: format!("policies-{n}").as_str().into(),
        policy_type: n,
        rule: format!("rule-{n}").as_str().into(),
        action: n + 1,
    };
    FlowRecord {
        flow_id: u64::MAX,
        key: FlowKey {
            source: address("10.10.0.2"),
            destination: address("10.10.1.2"),
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
        source: end(1, r#"{"app":"web"}"#).into(),
        destination: end(2, "{}").into(),
        service: Service {
            ip: Some(address("10.96.0.10")),
            port: 443,
            name: "shop/front:https".into(),
        },
        ingress: rule(1).into(),
        egress: rule(2).into(),
        tcp_state: "TIME_WAIT".into(),
        flow_type: FlowType::InterNode,
        exit: Exit { name: "way-out".into(), ip: "fd00::7".into(), node: "node-3".into() }.into(),
        proxy_snat_ip: Some(address("10.10.0.1")),
        proxy_snat_port: 50_000,
        joined: Joined {
            from_source: side(100),
            from_destination: side(200),
            throughput: 301,
            reverse_throughput: 302,
        }
        .into(),
        uids: uids().into(),
        direction: Direction::Egress,
        ..FlowRecord::default()
    }
}

/// The same, spelled by the names of the `.proto` file.
#[allow(deprecated, reason = "Antrea sends it, and so do we")]
fn full_names() -> messages::Kubernetes {
    messages::Kubernetes {
        flow_type: messages::FlowType::InterNode.into(),
        source_pod_namespace: "namespace-1".into(),
        source_pod_name: "pod-1".into(),
        source_node_name: "node-1".into(),
        destination_pod_namespace: "namespace-2".into(),
        destination_pod_name: "pod-2".into(),
        destination_node_name: "node-2".into(),
        destination_cluster_ip: vec![10, 96, 0, 10],
        destination_service_ip: vec![10, 96, 0, 10],
        destination_service_port: 443,
        destination_service_port_name: "shop/front:https".into(),
        ingress_network_policy_type: messages::NetworkPolicyType::K8s.into(),
        ingress_network_policy_namespace: "policies-1".into(),
        ingress_network_policy_name: "policy-1".into(),
        ingress_network_policy_rule_name: "rule-1".into(),
        ingress_network_policy_rule_action: messages::NetworkPolicyRuleAction::Drop.into(),
        egress_network_policy_type: messages::NetworkPolicyType::Anp.into(),
        egress_network_policy_namespace: "policies-2".into(),
        egress_network_policy_name: "policy-2".into(),
        egress_network_policy_rule_name: "rule-2".into(),
        egress_network_policy_rule_action: messages::NetworkPolicyRuleAction::Reject.into(),
        egress_name: "way-out".into(),
        egress_ip: vec![0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        egress_node_name: "node-3".into(),
        source_pod_labels: Some(labels(&[("app", "web")])),
        destination_pod_labels: Some(labels(&[])),
        source_pod_uid: uid_text(1),
        source_node_uid: uid_text(2),
        destination_pod_uid: uid_text(3),
        destination_node_uid: uid_text(4),
        destination_service_uid: uid_text(5),
        ingress_network_policy_uid: uid_text(6),
        egress_network_policy_uid: uid_text(7),
        egress_uid: uid_text(8),
        egress_node_uid: uid_text(9),
    }
}

pub(super) fn full_message() -> Flow {
    Flow {
        id: "18446744073709551615".into(),
        ipfix: Some(messages::Ipfix {
            export_time: Some(time(1_700_000_010, 123_456_789)),
            observation_domain_id: 912_985_946,
            ..messages::Ipfix::default()
        }),
        start_ts: Some(time(1_700_000_000, 123_000_000)),
        end_ts: Some(time(1_700_000_009, 456_000_000)),
        end_reason: messages::FlowEndReason::EndOfFlow.into(),
        ip: Some(messages::Ip {
            version: messages::IpVersion::IpVersion4.into(),
            source: vec![10, 10, 0, 2],
            destination: vec![10, 10, 1, 2],
        }),
        transport: Some(messages::Transport {
            protocol_number: 6,
            source_port: 40_000,
            destination_port: 8080,
            protocol: Some(Protocol::Tcp(messages::Tcp { state_name: "TIME_WAIT".into() })),
        }),
        k8s: Some(full_names()),
        stats: Some(stats(1000)),
        reverse_stats: Some(stats(1 << 33)),
        proxy_snat_ip: vec![10, 10, 0, 1],
        proxy_snat_port: 50_000,
        flow_direction: messages::FlowDirection::Egress.into(),
        aggregation: Some(messages::Aggregation {
            end_ts_from_source: Some(time(1_700_000_000, 100_000_000)),
            end_ts_from_destination: Some(time(1_700_000_000, 200_000_000)),
            stats_from_source: Some(stats(100)),
            reverse_stats_from_source: Some(stats(110)),
            stats_from_destination: Some(stats(200)),
            reverse_stats_from_destination: Some(stats(210)),
            throughput_from_source: 120,
            reverse_throughput_from_source: 121,
            throughput_from_destination: 220,
            reverse_throughput_from_destination: 221,
            throughput: 301,
            reverse_throughput: 302,
        }),
        ..Flow::default()
    }
}
