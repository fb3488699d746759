//! What is stored, in the words of scenarios.

use std::net::{IpAddr, SocketAddr};

use flow::{Endpoint, FlowRecord, PolicyRule, Side};

use super::text::Expected;

pub(super) fn flow(flow: &store::Flow) -> Expected {
    let record = &flow.record;
    let side = |side: &Side| {
        let (forward, reverse) = (&side.forward, &side.reverse);
        let reversed = [reverse.packets_delta, reverse.octets_delta];
        [forward.packets_delta, forward.octets_delta, reversed[0], reversed[1]]
    };
    let at = |address: Option<IpAddr>, port| address.map(|ip| SocketAddr::new(ip, port));
    Expected {
        r#type: record.flow_type.name().to_owned(),
        source: end(&record.source, record.key.source),
        destination: end(&record.destination, record.key.destination),
        service: record.service.name.to_string(),
        dialled: at(record.service.ip, record.service.port),
        proxy_snat: at(record.proxy_snat_ip, record.proxy_snat_port),
        ingress: rule(&record.ingress),
        egress: rule(&record.egress),
        leaves: leaves(record),
        reason: Some(record.end_reason as u8),
        records: flow.records,
        from_source: side(&record.joined.from_source),
        from_destination: side(&record.joined.from_destination),
    }
}

fn leaves(record: &FlowRecord) -> Vec<String> {
    let told = [&record.exit.name, &record.exit.ip, &record.exit.node];
    if told.iter().all(|it| it.is_empty()) {
        return Vec::new();
    }
    told.map(ToString::to_string).into()
}

fn end(end: &Endpoint, address: IpAddr) -> String {
    if end.pod.is_empty() {
        return address.to_string();
    }
    format!("{}/{}@{}", end.namespace, end.pod, end.node)
}

/// `k8s shop/web allow`, `antrea shop/web:rule reject`, `antrea-cluster web:rule drop`; `k8s drop`
/// where no rule is named, and nothing where nothing is known.
fn rule(rule: &PolicyRule) -> String {
    const TYPES: [&str; 5] = ["", "k8s", "antrea", "antrea-cluster", "k8s-cluster"];
    const ACTIONS: [&str; 4] = ["", "allow", "drop", "reject"];
    let word = |words: &[&str], number: u8| {
        words.get(usize::from(number)).map_or_else(|| number.to_string(), ToString::to_string)
    };
    let slash = if rule.namespace.is_empty() { "" } else { "/" };
    let colon = if rule.rule.is_empty() { "" } else { ":" };
    let name = format!("{}{slash}{}{colon}{}", rule.namespace, rule.name, rule.rule);
    let words = [word(&TYPES, rule.policy_type), name, word(&ACTIONS, rule.action)];
    let said: Vec<_> = words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect();
    said.join(" ")
}
