//! Flow Records as IPFIX Data Records, in both directions, by the field table.
//!
//! Templates differ by address family only in the elements that carry addresses. A [`Plan`] is
//! compiled once per template: what the table says about each of its elements. Elements that the
//! table does not know are passed over, and missing ones leave their attribute unset, so that
//! exporters of every version can be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipfix::encode::RecordWriter;
use ipfix::registry::{self, InformationElement};
use ipfix::template::{FieldSpecifier, Template, TemplateId};
use ipfix::value;

use crate::{Access, Elements, Field, FlowRecord, Interner, Profile, Uid};

/// The address family of a flow, which decides its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// Antrea's choice: the family of the source address.
    pub fn of(record: &FlowRecord) -> Self {
        if record.key.source.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

pub(crate) fn element(field: &Field, family: Family) -> Option<InformationElement> {
    match (field.elements, family) {
        (Elements::One(element), _) => Some(element),
        (Elements::PerFamily { v4, .. }, Family::V4) => Some(v4),
        (Elements::PerFamily { v6, .. }, Family::V6) => Some(v6),
        (Elements::None, _) => None,
    }
}

/// The template of `profile` for one address family.
pub fn template(id: TemplateId, profile: Profile, family: Family) -> Template {
    Template::new(id, profile.fields().filter_map(|field| element(field, family)))
}

/// Writes `record` as a Data Record of [`template`].
pub fn encode(
    record: &FlowRecord,
    profile: Profile,
    family: Family,
    writer: &mut RecordWriter<'_>,
) {
    profile.encode(record, family, writer);
}

impl Access {
    /// Writes the attribute as its element has it.
    #[inline]
    pub(crate) fn write(&self, record: &FlowRecord, family: Family, writer: &mut RecordWriter<'_>) {
        match *self {
            Access::U8 { get, .. } => writer.u8(get(record)),
            Access::U16 { get, .. } => writer.u16(get(record)),
            Access::U32 { get, .. } | Access::Seconds { get, .. } => writer.u32(get(record)),
            Access::U64 { get, .. } | Access::Milliseconds { get, .. } => writer.u64(get(record)),
            Access::Name { get, .. } | Access::Labels { get, .. } => writer.string(get(record)),
            Access::Uuid { get, .. } => {
                writer.bytes(&get(record).map_or([0; 16], |uid| uid.0));
            }
            Access::Ip { get, .. } => write_address(writer, family, get(record)),
        }
    }
}

/// An address of the other family cannot be told in this template and is left unset.
fn write_address(writer: &mut RecordWriter<'_>, family: Family, address: Option<IpAddr>) {
    match (family, address) {
        (Family::V4, Some(IpAddr::V4(address))) => writer.ipv4(address),
        (Family::V4, _) => writer.ipv4(Ipv4Addr::UNSPECIFIED),
        (Family::V6, Some(IpAddr::V6(address))) => writer.ipv6(address),
        (Family::V6, _) => writer.ipv6(Ipv6Addr::UNSPECIFIED),
    }
}

/// How to read the Data Records of one template into [`FlowRecord`]s.
#[derive(Debug)]
pub struct Plan {
    /// One step per field of the template; `None` passes over it.
    steps: Vec<Option<Access>>,
    /// Whose fields these are, in the same order: most templates are Antrea's or ours.
    profile: Option<Profile>,
    is_flow: bool,
}

impl Plan {
    /// No record of a flow has fewer bytes: two IPv4 addresses.
    pub const SHORTEST_FLOW: usize = 8;

    pub fn compile(template: &Template) -> Self {
        Self::with(template, |specifier| access(specifier.pen, specifier.id))
    }

    /// As [`Self::compile`], where something else than the table says which attribute a field
    /// carries. Addresses have 4 or 16 bytes whatever the field.
    pub fn with(template: &Template, access: impl Fn(&FieldSpecifier) -> Option<Access>) -> Self {
        let steps: Vec<_> = template.fields.iter().map(access).collect();
        let is_flow = tells_both_ends(template, &steps);
        Self { steps, profile: profile(template), is_flow }
    }

    /// Whether records say between which addresses the flow is. Nobody can use those that do not.
    pub fn is_flow(&self) -> bool {
        self.is_flow
    }

    /// How many of the template's fields this side does not know.
    pub fn unknown_fields(&self) -> usize {
        self.steps.iter().filter(|step| step.is_none()).count()
    }

    /// Reads one record. A value that cannot be of its element's type leaves the attribute unset.
    pub fn decode<'a>(
        &self,
        values: impl Iterator<Item = &'a [u8]>,
        names: &mut Interner,
    ) -> FlowRecord {
        let mut record = FlowRecord::default();
        if let Some(profile) = self.profile {
            profile.decode(&mut record, values, names);
            return record;
        }
        for (step, bytes) in self.steps.iter().zip(values) {
            if let Some(access) = step {
                read(&mut record, access, bytes, names);
            }
        }
        record
    }
}

/// The profile that has the fields of `template`, of whatever length they are.
fn profile(template: &Template) -> Option<Profile> {
    [Profile::Antrea, Profile::Fyke].into_iter().find(|profile| {
        [Family::V4, Family::V6].into_iter().any(|family| {
            let elements = profile.fields().filter_map(|field| element(field, family));
            let expected = elements.map(|element| (element.pen, element.id));
            template.fields.iter().map(|field| (field.pen, field.id)).eq(expected)
        })
    })
}

/// Sets every address that has the length of one, and looks which attributes that changed.
fn tells_both_ends(template: &Template, steps: &[Option<Access>]) -> bool {
    let mut record = FlowRecord::default();
    for (specifier, step) in template.fields.iter().zip(steps) {
        if let (4 | 16, Some(Access::Ip { set, .. })) = (specifier.length, step) {
            set(&mut record, Some(Ipv4Addr::LOCALHOST.into()));
        }
    }
    !record.key.source.is_unspecified() && !record.key.destination.is_unspecified()
}

fn access(pen: u32, id: u16) -> Option<Access> {
    let (pen, id) = registry::current(pen, id);
    let carries = |element: InformationElement| element.pen == pen && element.id == id;
    Field::all()
        .find(|field| match field.elements {
            Elements::One(element) => carries(element),
            Elements::PerFamily { v4, v6 } => carries(v4) || carries(v6),
            Elements::None => false,
        })
        .map(|field| field.access)
}

#[inline]
pub(crate) fn read(record: &mut FlowRecord, access: &Access, bytes: &[u8], names: &mut Interner) {
    match access {
        Access::U8 { set, .. } => {
            if let Some(value) = narrow(bytes) {
                set(record, value);
            }
        }
        Access::U16 { set, .. } => {
            if let Some(value) = narrow(bytes) {
                set(record, value);
            }
        }
        Access::U32 { set, .. } | Access::Seconds { set, .. } => {
            if let Some(value) = narrow(bytes) {
                set(record, value);
            }
        }
        Access::U64 { set, .. } | Access::Milliseconds { set, .. } => {
            if let Some(value) = value::unsigned(bytes) {
                set(record, value);
            }
        }
        Access::Ip { set, .. } => {
            set(record, address(bytes).filter(|address| !address.is_unspecified()));
        }
        Access::Name { set, .. } => {
            if let Some(text) = value::string(bytes) {
                set(record, names.intern(text));
            }
        }
        Access::Labels { set, .. } => {
            if let Some(text) = value::string(bytes) {
                set(record, names.intern_labels(text));
            }
        }
        Access::Uuid { set, .. } => {
            if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
                set(record, (octets != [0; 16]).then_some(Uid(octets)));
            }
        }
    }
}

fn narrow<T: TryFrom<u64>>(bytes: &[u8]) -> Option<T> {
    T::try_from(value::unsigned(bytes)?).ok()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => value::ipv4(bytes).map(IpAddr::V4),
        _ => value::ipv6(bytes).map(IpAddr::V6),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
