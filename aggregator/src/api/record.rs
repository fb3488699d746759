//! A flow as Antrea's API tells it: elements by name, those of the flow's address family.

use flow::{Access, Elements, Family, Field, FlowRecord};
use ipfix::registry::{InformationElement, antrea};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// What Antrea's Agents send and its API does not tell.
const LEFT_OUT: [InformationElement; 5] = [
    antrea::INGRESS_NETWORK_POLICY_TYPE,
    antrea::EGRESS_NETWORK_POLICY_TYPE,
    antrea::PROXY_SNAT_PORT,
    antrea::PROXY_SNAT_IPV4,
    antrea::PROXY_SNAT_IPV6,
];
/// What it tells besides.
const ADDED: [InformationElement; 4] = [
    antrea::FLOW_END_SECONDS_FROM_SOURCE_NODE,
    antrea::FLOW_END_SECONDS_FROM_DESTINATION_NODE,
    antrea::THROUGHPUT,
    antrea::REVERSE_THROUGHPUT,
];

/// Shows a record as a JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a FlowRecord);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let family = Family::of(self.0);
        let common = flow::Profile::Antrea.fields().filter(|it| !is_among(it, &LEFT_OUT));
        let added = Field::all().filter(|it| is_among(it, &ADDED));
        for field in common.chain(added) {
            let element = match (field.elements, family) {
                (Elements::One(it), _) => it,
                (Elements::PerFamily { v4, .. }, Family::V4) => v4,
                (Elements::PerFamily { v6, .. }, Family::V6) => v6,
                (Elements::None, _) => continue,
            };
            member(&mut map, element.name, &field.access, self.0)?;
        }
        map.end()
    }
}

fn is_among(field: &Field, list: &[InformationElement]) -> bool {
    let is = |element: InformationElement| {
        list.iter().any(|it| (it.pen, it.id) == (element.pen, element.id))
    };
    match field.elements {
        Elements::One(element) => is(element),
        Elements::PerFamily { v4, .. } => is(v4),
        Elements::None => false,
    }
}

fn member<M: SerializeMap>(
    map: &mut M,
    name: &str,
    access: &Access,
    record: &FlowRecord,
) -> Result<(), M::Error> {
    match access {
        Access::U8 { get, .. } => map.serialize_entry(name, &get(record)),
        Access::U16 { get, .. } => map.serialize_entry(name, &get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => {
            map.serialize_entry(name, &get(record))
        }
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => {
            map.serialize_entry(name, &get(record))
        }
        // An unset address is the empty text.
        Access::Ip { get, .. } => {
            let text = get(record).map(|address| address.to_string()).unwrap_or_default();
            map.serialize_entry(name, &text)
        }
        Access::Name { get, .. } | Access::Labels { get, .. } => {
            map.serialize_entry(name, get(record).as_str())
        }
        Access::Uuid { .. } => Ok(()),
    }
}
