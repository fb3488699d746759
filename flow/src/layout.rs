//! Records as an aggregator tells them: which elements, in which order, by the table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipfix::encode::RecordWriter;
use ipfix::registry::{IANA_PEN, InformationElement, REVERSE_PEN, antrea, iana};
use ipfix::template::{Template, TemplateId};

use crate::fields::mediator::{FINER, PLACES, Place, SPARED, is_reverse};
use crate::wire::element;
use crate::{Access, Contents, Family, Field, FlowRecord, Uid};

/// `biflowDirection` (RFC 5103, section 6.3) of flows whose source began the connection.
const INITIATOR: u8 = 1;

/// The elements of one template, and where the value of each comes from.
#[derive(Debug, Clone)]
pub struct Layout {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    element: InformationElement,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Attribute(Access),
    ClusterId,
    /// From the first packet to the last, in milliseconds.
    Duration,
    Initiator,
}

/// A value of a record, by what it is outside of IPFIX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    /// Unspecified if unset.
    Address(IpAddr),
    Text(&'a str),
    /// Nil if unset.
    Uuid(Uid),
}

impl Layout {
    /// What Antrea's Flow Aggregator sends.
    pub fn antrea(contents: Contents, family: Family) -> Self {
        let places = PLACES.iter().filter(|(_, when)| when.holds(contents));
        Self { steps: places.filter_map(|(place, _)| step(*place, family)).collect() }
    }

    /// What collectors of others make the most of: IANA's elements first, those of enterprises
    /// behind them, and Antrea's last; times in milliseconds too. What came back is told by reverse
    /// elements (RFC 5103) if `biflow`, else not at all.
    pub fn standard(contents: Contents, biflow: bool, family: Family) -> Self {
        let is_spared = |place: &Place| match place {
            Place::Attribute(name) | Place::V4(name) | Place::V6(name) => SPARED.contains(name),
            Place::ClusterId => false,
        };
        let places =
            PLACES.iter().filter(|(place, when)| when.holds(contents) && !is_spared(place));
        let places = places.filter_map(|(place, _)| step(*place, family));
        let finer = FINER.iter().filter_map(|name| step(Place::Attribute(name), family));
        let duration =
            [Step { element: iana::FLOW_DURATION_MILLISECONDS, source: Source::Duration }];
        let initiator =
            biflow.then_some(Step { element: iana::BIFLOW_DIRECTION, source: Source::Initiator });
        let mut steps: Vec<_> = places.chain(finer).chain(duration).chain(initiator).collect();
        steps.retain(|step| biflow || !is_reverse(step.element.name));
        // Stable: within each part the order is Antrea's.
        steps.sort_by_key(|step| match step.element.pen {
            IANA_PEN => 0,
            REVERSE_PEN => 1,
            _ => 2,
        });
        Self { steps }
    }

    /// As [`Self::standard`], of IANA's elements alone.
    pub fn iana(contents: Contents, family: Family) -> Self {
        let mut layout = Self::standard(contents, false, family);
        layout.steps.retain(|step| step.element.pen == IANA_PEN);
        layout
    }

    /// The elements, by name.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.steps.sort_by_key(|step| step.element.name);
        self
    }

    /// The elements, in order.
    pub fn elements(&self) -> impl Iterator<Item = InformationElement> {
        self.steps.iter().map(|step| step.element)
    }

    pub fn template(&self, id: TemplateId) -> Template {
        Template::new(id, self.elements())
    }

    /// Writes `record` as a Data Record of [`Self::template`].
    pub fn encode(&self, record: &FlowRecord, cluster_id: &str, writer: &mut RecordWriter<'_>) {
        for step in &self.steps {
            match step.source {
                Source::Attribute(access) => write(record, access, step.element, writer),
                Source::ClusterId => writer.string(cluster_id),
                Source::Duration => writer.u32(duration(record)),
                Source::Initiator => writer.u8(INITIATOR),
            }
        }
    }

    /// The values of `record`, each with the name of its element.
    pub fn values<'a>(
        &'a self,
        record: &'a FlowRecord,
        cluster_id: &'a str,
    ) -> impl Iterator<Item = (&'static str, Value<'a>)> {
        self.steps.iter().map(move |step| {
            let value = match step.source {
                Source::Attribute(access) => value(record, access, step.element),
                Source::ClusterId => Value::Text(cluster_id),
                Source::Duration => Value::Number(duration(record).into()),
                Source::Initiator => Value::Number(INITIATOR.into()),
            };
            (step.element.name, value)
        })
    }
}

fn step(place: Place, family: Family) -> Option<Step> {
    let (name, family) = match place {
        Place::Attribute(name) => (name, family),
        Place::V4(name) => (name, Family::V4),
        Place::V6(name) => (name, Family::V6),
        Place::ClusterId => {
            return Some(Step { element: antrea::CLUSTER_ID, source: Source::ClusterId });
        }
    };
    let field = Field::by_name(name)?;
    Some(Step { element: element(field, family)?, source: Source::Attribute(field.access) })
}

/// A clock that was set back between both makes no time of it.
fn duration(record: &FlowRecord) -> u32 {
    u32::try_from(record.end_ms.saturating_sub(record.start_ms)).unwrap_or(u32::MAX)
}

fn write(
    record: &FlowRecord,
    access: Access,
    element: InformationElement,
    writer: &mut RecordWriter<'_>,
) {
    match access {
        Access::U8 { get, .. } => writer.u8(get(record)),
        Access::U16 { get, .. } => writer.u16(get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => writer.u32(get(record)),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => writer.u64(get(record)),
        Access::Name { get, .. } | Access::Labels { get, .. } => writer.string(get(record)),
        Access::Uuid { get, .. } => writer.bytes(&uuid(get(record)).0),
        Access::Ip { get, .. } => match address(get(record), element) {
            IpAddr::V4(address) => writer.ipv4(address),
            IpAddr::V6(address) => writer.ipv6(address),
        },
    }
}

fn value(record: &FlowRecord, access: Access, element: InformationElement) -> Value<'_> {
    match access {
        Access::U8 { get, .. } => Value::Number(get(record).into()),
        Access::U16 { get, .. } => Value::Number(get(record).into()),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => Value::Number(get(record).into()),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => Value::Number(get(record)),
        Access::Name { get, .. } | Access::Labels { get, .. } => Value::Text(get(record)),
        Access::Uuid { get, .. } => Value::Uuid(uuid(get(record))),
        Access::Ip { get, .. } => Value::Address(address(get(record), element)),
    }
}

fn uuid(uid: Option<Uid>) -> Uid {
    uid.unwrap_or(Uid([0; 16]))
}

/// An element holds an address of its own family; one of the other is not told.
fn address(address: Option<IpAddr>, element: InformationElement) -> IpAddr {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let unset = if element.length == 4 { v4 } else { v6 };
    address.filter(|address| address.is_ipv4() == unset.is_ipv4()).unwrap_or(unset)
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
