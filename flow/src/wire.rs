//! Flow Records as IPFIX Data Records, in both directions, by the field table.
//!
//! Templates differ by address family only in the elements that carry addresses. A [`Plan`] is
//! compiled once per template: what the table says about each of its elements. Elements that the
//! table does not know are passed over, and missing ones leave their attribute unset, so that
//! exporters of every version can be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use ipfix::decode::DataRecord;
use ipfix::encode::RecordWriter;
use ipfix::registry::{self, InformationElement};
use ipfix::template::{FieldSpecifier, Template, TemplateId, VARIABLE};
use ipfix::value;

use crate::told::{Shape, Told};
use crate::{Access, Elements, Field, FlowRecord, Group, Interner, Profile, Uid};

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
    /// Fields that tell a shared part together.
    runs: Vec<Run>,
    /// Whose fields these are, in the same order: most templates are Antrea's or ours.
    profile: Option<Profile>,
    is_flow: bool,
    unknown: usize,
}

/// All fields of a template that tell of one part of a record, where they are next to each other.
#[derive(Debug)]
struct Run {
    group: Group,
    shape: Shape,
    fields: Range<usize>,
    /// What each of them is.
    steps: Vec<Access>,
    /// Whether zeros alone tell nothing.
    may_be_blank: bool,
}

impl Plan {
    /// No record of a flow has fewer bytes: two IPv4 addresses.
    pub const SHORTEST_FLOW: usize = 8;

    pub fn compile(template: &Template) -> Self {
        Self::with(template, |specifier| row(specifier.pen, specifier.id))
    }

    /// As [`Self::compile`], where something else than the table's elements says which attribute a
    /// field carries. Addresses have 4 or 16 bytes whatever the field.
    pub fn with(
        template: &Template,
        row: impl Fn(&FieldSpecifier) -> Option<&'static Field>,
    ) -> Self {
        let rows: Vec<_> = template.fields.iter().map(row).collect();
        let mut steps: Vec<_> = rows.iter().map(|row| row.map(|row| row.access)).collect();
        let is_flow = tells_both_ends(template, &steps);
        let runs = runs(template, &rows);
        for run in &runs {
            steps.get_mut(run.fields.clone()).unwrap_or_default().fill(None);
        }
        let unknown = rows.iter().filter(|row| row.is_none()).count();
        Self { steps, runs, profile: profile(template), is_flow, unknown }
    }

    /// Whether records say between which addresses the flow is. Nobody can use those that do not.
    pub fn is_flow(&self) -> bool {
        self.is_flow
    }

    /// How many of the template's fields this side does not know.
    pub fn unknown_fields(&self) -> usize {
        self.unknown
    }

    /// Reads one record. A value that cannot be of its element's type leaves the attribute unset.
    pub fn decode(&self, data: &DataRecord<'_>, names: &mut Interner) -> FlowRecord {
        let mut record = FlowRecord::default();
        self.decode_into(&mut record, data, names);
        record
    }

    /// As [`Self::decode`], into a record of which nothing is set: it is large, and stays where it
    /// is.
    #[inline]
    pub fn decode_into(
        &self,
        record: &mut FlowRecord,
        data: &DataRecord<'_>,
        names: &mut Interner,
    ) {
        for run in &self.runs {
            run.read(record, data, names);
        }
        match self.profile {
            Some(profile) => profile.decode(record, data.values(), names),
            None => self.read_others(record, data.values(), names),
        }
    }

    /// As [`Self::decode`], of a record that somebody else has taken apart: its values, in the order
    /// of the template.
    pub fn decode_values(&self, values: &[&[u8]], names: &mut Interner) -> FlowRecord {
        let mut record = FlowRecord::default();
        for run in &self.runs {
            let values = values.get(run.fields.clone()).unwrap_or_default();
            for (access, bytes) in run.steps.iter().zip(values) {
                read(&mut record, access, bytes, names);
            }
        }
        self.read_others(&mut record, values.iter().copied(), names);
        record
    }

    fn read_others<'a>(
        &self,
        record: &mut FlowRecord,
        values: impl Iterator<Item = &'a [u8]>,
        names: &mut Interner,
    ) {
        for (step, bytes) in self.steps.iter().zip(values) {
            if let Some(access) = step {
                read(record, access, bytes, names);
            }
        }
    }
}

impl Run {
    #[inline]
    fn read(&self, record: &mut FlowRecord, data: &DataRecord<'_>, names: &mut Interner) {
        let octets = data.octets(self.fields.clone());
        if self.may_be_blank && octets.iter().all(|octet| *octet == 0) {
            return;
        }
        match names.part(self.shape, octets) {
            Some(told) => told.put(record, self.group),
            None => self.read_anew(record, octets, data, names),
        }
    }

    #[cold]
    fn read_anew(
        &self,
        record: &mut FlowRecord,
        octets: &[u8],
        data: &DataRecord<'_>,
        names: &mut Interner,
    ) {
        let cut = names.cut();
        for (index, access) in self.fields.clone().zip(&self.steps) {
            read(record, access, data.value(index).unwrap_or_default(), names);
        }
        // What had to be cut is counted each time it comes.
        if names.cut() == cut {
            names.keep_part(self.shape, octets, Told::of(record, self.group));
        }
    }
}

/// The parts of which a template has all fields in one place.
fn runs(template: &Template, rows: &[Option<&'static Field>]) -> Vec<Run> {
    let group = |row: Option<&'static Field>| row.and_then(|row| row.group);
    let mut runs: Vec<Run> = Vec::new();
    let mut scattered = Vec::new();
    let mut at = 0;
    for same in rows.chunk_by(|one, next| group(*one) == group(*next)) {
        let fields = at..at + same.len();
        at = fields.end;
        let Some(group) = same.first().copied().and_then(group) else { continue };
        if runs.iter().any(|run| run.group == group) {
            scattered.push(group);
        }
        let lengths = template.fields.get(fields.clone()).unwrap_or_default();
        let lengths = lengths.iter().map(|field| field.length);
        let told: Vec<_> = same.iter().copied().flatten().zip(lengths).collect();
        let steps = same.iter().flatten().map(|row| row.access).collect();
        // A text of fixed length has its zeros in it.
        let may_be_blank = told.iter().all(|(field, length)| match field.access {
            Access::Name { .. } | Access::Labels { .. } => *length == VARIABLE,
            _ => true,
        });
        runs.push(Run { group, shape: Shape::of(&told), fields, steps, may_be_blank });
    }
    runs.retain(|run| !scattered.contains(&run.group));
    runs
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

fn row(pen: u32, id: u16) -> Option<&'static Field> {
    let (pen, id) = registry::current(pen, id);
    let carries = |element: InformationElement| element.pen == pen && element.id == id;
    Field::all().find(|field| match field.elements {
        Elements::One(element) => carries(element),
        Elements::PerFamily { v4, v6 } => carries(v4) || carries(v6),
        Elements::None => false,
    })
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
