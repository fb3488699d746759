//! One filter: what is said in it must all hold, and of each list one entry.

use std::net::IpAddr;

use flow::{FlowRecord, Name};
use grpc::v1alpha1::{FlowFilter, FlowFilterDirection};
use ipnet::IpNet;
use k8s::LabelSelector;

use super::labels::Labels;

/// Entries of all lists of a filter together.
const MOST_ENTRIES: usize = 256;

/// Which end a filter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Each criterion by itself, at either end.
    Both,
    From,
    To,
}

#[derive(Debug)]
pub(super) struct Selection {
    side: Side,
    namespaces: Vec<String>,
    pods: Vec<String>,
    labels: Option<LabelSelector>,
    services: Vec<String>,
    flow_types: Vec<u8>,
    networks: Vec<IpNet>,
    ports: Vec<u16>,
    protocols: Vec<u8>,
    verdicts: Vec<u8>,
    policies: Vec<String>,
}

/// One end of a flow.
struct End<'a> {
    namespace: &'a str,
    pod: &'a str,
    labels: &'a Name,
    address: IpAddr,
}

impl Selection {
    pub(super) fn read(filter: &FlowFilter) -> Result<Self, String> {
        let entries = [
            filter.namespaces.len(),
            filter.pod_names.len(),
            filter.service_names.len(),
            filter.flow_types.len(),
            filter.ips.len(),
            filter.ports.len(),
            filter.protocols.len(),
            filter.verdicts.len(),
            filter.policies.len(),
        ];
        let entries: usize = entries.iter().sum();
        if entries > MOST_ENTRIES {
            return Err(format!("{entries} entries; {MOST_ENTRIES} are possible"));
        }
        let side = match FlowFilterDirection::try_from(filter.direction) {
            Ok(FlowFilterDirection::Both) => Side::Both,
            Ok(FlowFilterDirection::From) => Side::From,
            Ok(FlowFilterDirection::To) => Side::To,
            Err(_) => return Err(format!("{} is no direction", filter.direction)),
        };
        if side == Side::From && !filter.service_names.is_empty() {
            return Err("a flow never comes from a Service; leave out its name or FROM".to_owned());
        }
        let selector = filter.pod_label_selector.trim();
        let labels = (!selector.is_empty()).then(|| LabelSelector::parse(selector)).transpose();
        Ok(Self {
            side,
            namespaces: filter.namespaces.clone(),
            pods: filter.pod_names.clone(),
            labels: labels.map_err(|why| format!("label selector: {why}"))?,
            services: filter.service_names.clone(),
            flow_types: numbers(&filter.flow_types, "flow type")?,
            networks: filter.ips.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            ports: numbers(&filter.ports, "port")?,
            protocols: numbers(&filter.protocols, "protocol")?,
            verdicts: numbers(&filter.verdicts, "verdict")?,
            policies: filter.policies.clone(),
        })
    }

    /// Whether `record` is what is asked for. `labels` are those that were read before.
    pub(super) fn wants(&self, record: &FlowRecord, labels: &mut Labels) -> bool {
        let (source, destination) = ends(record);
        let at_an_end = |holds: &mut dyn FnMut(&End<'_>) -> bool| match self.side {
            Side::Both => holds(&source) || holds(&destination),
            Side::From => holds(&source),
            Side::To => holds(&destination),
        };
        let policies = [&record.ingress, &record.egress];
        let key = &record.key;
        let one_of = |list: &[String], text: &str| list.iter().any(|entry| entry == text);
        let holds = |list_is_empty: bool, holds: &dyn Fn() -> bool| list_is_empty || holds();
        holds(self.flow_types.is_empty(), &|| self.flow_types.contains(&(record.flow_type as u8)))
            && holds(self.protocols.is_empty(), &|| self.protocols.contains(&key.protocol))
            && holds(self.ports.is_empty(), &|| {
                [key.source_port, key.destination_port, record.service.port]
                    .iter()
                    .any(|port| self.ports.contains(port))
            })
            && holds(self.verdicts.is_empty(), &|| {
                policies.iter().any(|policy| self.verdicts.contains(&policy.action))
            })
            && holds(self.policies.is_empty(), &|| {
                policies.iter().any(|it| self.policies.iter().any(|name| is_policy(it, name)))
            })
            && holds(self.services.is_empty(), &|| {
                service_name(&record.service.name).is_some_and(|it| one_of(&self.services, it))
            })
            && holds(self.networks.is_empty(), &|| {
                at_an_end(&mut |end| self.networks.iter().any(|it| it.contains(&end.address)))
            })
            && holds(self.namespaces.is_empty(), &|| {
                at_an_end(&mut |end| one_of(&self.namespaces, end.namespace))
            })
            && holds(self.pods.is_empty(), &|| at_an_end(&mut |end| one_of(&self.pods, end.pod)))
            && self.labels.as_ref().is_none_or(|selector| {
                at_an_end(&mut |end| {
                    let labels = labels.of(end.labels);
                    selector.matches_by(|key| labels.get(key).map(String::as_str))
                })
            })
    }
}

fn ends(record: &FlowRecord) -> (End<'_>, End<'_>) {
    let source = End {
        namespace: &record.source.namespace,
        pod: &record.source.pod,
        labels: &record.source.labels,
        address: record.key.source.to_canonical(),
    };
    let destination = End {
        namespace: &record.destination.namespace,
        pod: &record.destination.pod,
        labels: &record.destination.labels,
        address: record.key.destination.to_canonical(),
    };
    (source, destination)
}

/// Of `namespace/name:port` or `namespace/name`, the name.
fn service_name(told: &str) -> Option<&str> {
    let (_, name) = told.split_once('/')?;
    Some(name.split_once(':').map_or(name, |(name, _)| name))
}

fn is_policy(policy: &flow::PolicyRule, wanted: &str) -> bool {
    match wanted.split_once('/') {
        Some((namespace, name)) => *policy.namespace == *namespace && *policy.name == *name,
        None => !policy.name.is_empty() && *policy.name == *wanted,
    }
}

fn numbers<T, U>(list: &[T], what: &str) -> Result<Vec<U>, String>
where
    T: Copy + std::fmt::Display,
    U: TryFrom<T>,
{
    let number = |&it: &T| U::try_from(it).map_err(|_| format!("{it} is no {what}"));
    list.iter().map(number).collect()
}

/// An address, or a network.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| format!("{text:?} is no address or network"))
}

#[cfg(test)]
mod tests;
