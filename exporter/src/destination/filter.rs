use std::net::IpAddr;

use flow::{FlowRecord, FlowType, Name, PolicyRule};
use ipnet::IpNet;

use super::LabelSelector;
use crate::enrich::PodLabels;
use crate::filter::ProtocolFilter;

/// Which records a destination is sent. A record passes if it meets every criterion; one that is
/// left empty is met by all records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub protocols: ProtocolFilter,
    /// One end is a Pod in one of these namespaces, as far as this Node can name it.
    pub namespaces: Vec<Name>,
    /// One end is a Pod of this Node with such labels, as far as they are known.
    pub pod_labels: Option<LabelSelector>,
    /// One end's address is in one of these networks.
    pub networks: Vec<IpNet>,
    /// The connection is to one of these ports, before or after destination NAT.
    pub ports: Vec<u16>,
    pub directions: Directions,
    pub flow_types: Vec<FlowType>,
    /// A NetworkPolicy has dropped or rejected it.
    pub denied_only: bool,
}

/// Which way a connection goes, seen from the Pods of this Node. One between two of them goes
/// both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directions {
    /// To a Pod of this Node.
    pub ingress: bool,
    /// From a Pod of this Node.
    pub egress: bool,
}

impl Default for Directions {
    fn default() -> Self {
        Self { ingress: true, egress: true }
    }
}

impl Filter {
    /// Lets everything pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `record` passes, of whose Pods these are the labels.
    pub fn allows(&self, record: &FlowRecord, labels: &PodLabels) -> bool {
        self.protocols.allows(record.key.protocol)
            && any(&self.namespaces, |it| is_in_namespace(record, it))
            && self.pod_labels.as_ref().is_none_or(|it| is_selected(labels, it))
            && any(&self.networks, |it| is_in_network(record, it))
            && any(&self.ports, |it| is_to_port(record, *it))
            && any(&self.flow_types, |it| record.flow_type == *it)
            && self.directions.allow(record)
            && (!self.denied_only || is_denied(record))
    }
}

impl Directions {
    fn allow(self, record: &FlowRecord) -> bool {
        // Only a local Pod's Node is named.
        let (egress, ingress) = (is_named(&record.source.node), is_named(&record.destination.node));
        self == Self::default() || self.egress && egress || self.ingress && ingress
    }
}

fn any<T>(wanted: &[T], is_met: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is_met)
}

fn is_named(name: &Name) -> bool {
    !name.is_empty()
}

fn is_in_namespace(record: &FlowRecord, namespace: &Name) -> bool {
    [&record.source, &record.destination].iter().any(|end| end.namespace == *namespace)
}

fn is_selected(PodLabels(ends): &PodLabels, selector: &LabelSelector) -> bool {
    ends.iter().flatten().any(|labels| selector.matches(labels))
}

fn is_in_network(record: &FlowRecord, network: &IpNet) -> bool {
    let ends = [Some(record.key.source), Some(record.key.destination), record.service.ip];
    ends.iter().flatten().any(|address: &IpAddr| network.contains(address))
}

/// A connection to a Service has two: its own, and that of the Pod behind it.
fn is_to_port(record: &FlowRecord, port: u16) -> bool {
    record.key.destination_port == port
        || record.service.ip.is_some() && record.service.port == port
}

fn is_denied(record: &FlowRecord) -> bool {
    let denies = |rule: &PolicyRule| matches!(rule.action, PolicyRule::DROP | PolicyRule::REJECT);
    denies(&record.ingress) || denies(&record.egress)
}

#[cfg(test)]
mod tests {
    use flow::{Endpoint, FlowKey, Service};

    use super::*;

    fn record() -> FlowRecord {
        FlowRecord {
            key: FlowKey {
                source: [10, 0, 0, 2].into(),
                destination: [10, 0, 1, 3].into(),
                source_port: 40_000,
                destination_port: 8080,
                protocol: 6,
                icmp_type_code: 0,
            },
            source: Endpoint {
                pod: "web".into(),
                namespace: "shop".into(),
                node: "a".into(),
                ..Endpoint::default()
            }
            .into(),
            service: Service { ip: Some([10, 96, 0, 1].into()), port: 80, name: "".into() },
            flow_type: FlowType::InterNode,
            ..FlowRecord::default()
        }
    }

    fn labels() -> PodLabels {
        let of = |value: &str| Some([("app".into(), value.into())].into());
        PodLabels([None, of("web")])
    }

    fn all() -> Filter {
        Filter::default()
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "made where they are passed")]
    fn check(passing: Filter, kept_out: Filter) {
        assert!(passing.allows(&record(), &labels()), "{passing:?}");
        assert!(!kept_out.allows(&record(), &labels()), "{kept_out:?}");
    }

    #[test]
    fn what_is_not_asked_for_is_met_by_all() {
        assert!(all().is_empty() && all().allows(&record(), &labels()));
        assert!(all().allows(&FlowRecord::default(), &PodLabels::default()));
    }

    #[test]
    fn each_criterion_looks_at_its_attributes() {
        let protocols = |number| Filter { protocols: ProtocolFilter::only(&[number]), ..all() };
        check(protocols(6), protocols(17));
        let namespaces = |name: &str| Filter { namespaces: vec![name.into()], ..all() };
        check(namespaces("shop"), namespaces("sho"));
        let selector = |text| Some(LabelSelector::parse(text).unwrap());
        let pods = |text| Filter { pod_labels: selector(text), ..all() };
        check(pods("app=web"), pods("app=db"));
        // Who has no known labels has not none.
        check(pods("!tier"), pods("!app"));
        assert!(!pods("!tier").allows(&record(), &PodLabels::default()));
        let networks = |text: &str| Filter { networks: vec![text.parse().unwrap()], ..all() };
        for end in ["10.0.0.2/32", "10.0.1.0/24", "10.96.0.0/16"] {
            check(networks(end), networks("10.0.2.0/24"));
        }
        check(networks("10.0.0.0/8"), networks("::/0"));
        for port in [80, 8080] {
            check(
                Filter { ports: vec![1, port], ..all() },
                Filter { ports: vec![40_000], ..all() },
            );
        }
        let types = |flow_type| Filter { flow_types: vec![flow_type], ..all() };
        check(types(FlowType::InterNode), types(FlowType::IntraNode));
        let way = |ingress, egress| Filter { directions: Directions { ingress, egress }, ..all() };
        check(way(false, true), way(true, false));
    }

    #[test]
    fn criteria_are_met_together() {
        let both = |port| Filter { namespaces: vec!["shop".into()], ports: vec![port], ..all() };
        check(both(80), both(443));
    }

    #[test]
    fn denied_is_what_either_direction_says() {
        let denied = Filter { denied_only: true, ..all() };
        assert!(!denied.allows(&record(), &labels()));
        for action in 0..=3 {
            let mut record = record();
            record.egress.action = action;
            assert_eq!(denied.allows(&record, &labels()), action >= 2, "{action}");
        }
    }
}
