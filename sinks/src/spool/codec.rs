//! Records as the bytes of a block, with nothing left out: IPFIX messages, with the Template in
//! front.
//!
//! Attributes go by the elements of the field table. What has none, or one per address family,
//! goes by an element of nobody's whose number is made of the attribute's name: names are
//! promises, so that a version that knows other attributes reads what it knows.

use std::net::IpAddr;
use std::sync::LazyLock;

use flow::{Access, Elements, Field, FlowRecord, Interner, Plan};
use ipfix::decode::{Limits, Session};
use ipfix::encode::{EncodeError, Encoder, MAX_STREAM_MESSAGE, Packing, RecordWriter};
use ipfix::file::Messages;
use ipfix::registry::VARIABLE;
use ipfix::template::{FieldSpecifier, Template, TemplateId};

/// The enterprise of elements that mean something in a spool and nowhere else.
const NOBODY: u32 = u32::MAX;

/// Distinct names that one reader shares among its records.
const NAMES: usize = 65_536;

/// What tells one part of a record is next to each other: it is read as a whole.
static FIELDS: LazyLock<Vec<&'static Field>> = LazyLock::new(|| {
    let mut fields: Vec<_> = Field::columns().collect();
    fields.sort_by_key(|field| field.group);
    fields
});

/// Writes the records of one block after the other.
#[derive(Debug)]
pub(super) struct Writer {
    encoder: Encoder,
    template: Template,
}

impl Writer {
    pub(super) fn new() -> Self {
        let fields = FIELDS.iter().map(|field| specifier(field)).collect();
        let template = Template { id: TemplateId::MIN, fields, scope_count: 0 };
        Self { encoder: Encoder::new(0, MAX_STREAM_MESSAGE, Packing::Full), template }
    }

    /// Begins a block at the end of `out`.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encoder.template(0, &self.template, out)
    }

    /// Adds one record, or leaves the block as it was.
    pub(super) fn record(
        &mut self,
        record: &FlowRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.encoder.record(0, self.template.id, out, |writer| {
            for field in FIELDS.iter() {
                write(record, &field.access, writer);
            }
        })
    }

    /// Ends the block.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.encoder.finish(out);
    }
}

/// Reads the records of one block after the other.
#[derive(Debug)]
pub(super) struct Reader {
    session: Session<Plan>,
    names: Interner,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { session: Session::new(Limits::default()), names: Interner::new(NAMES) }
    }

    /// Appends the records of a block to `records`; returns whether all of it could be read.
    pub(super) fn read(&mut self, block: &[u8], records: &mut Vec<FlowRecord>) -> bool {
        let Self { session, names } = self;
        let mut messages = Messages::new(block);
        loop {
            let message = match messages.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => return true,
                Err(_) => return false,
            };
            let read = session.decode(
                message,
                |template| Plan::with(template, |field| row(*field)),
                |plan, _, record| records.push(plan.decode(&record, names)),
            );
            if read.is_err() {
                return false;
            }
        }
    }
}

fn specifier(field: &Field) -> FieldSpecifier {
    let length = match field.access {
        Access::U8 { .. } => 1,
        Access::U16 { .. } => 2,
        Access::U32 { .. } | Access::Seconds { .. } => 4,
        Access::U64 { .. } | Access::Milliseconds { .. } => 8,
        // Of either family, or none.
        Access::Ip { .. } | Access::Name { .. } | Access::Labels { .. } | Access::Uuid { .. } => {
            VARIABLE
        }
    };
    match field.elements {
        Elements::One(element) => FieldSpecifier { pen: element.pen, id: element.id, length },
        Elements::PerFamily { .. } | Elements::None => {
            FieldSpecifier { pen: NOBODY, id: number(field.name), length }
        }
    }
}

fn row(told: FieldSpecifier) -> Option<&'static Field> {
    let same = |field: &&&Field| {
        let ours = specifier(field);
        (ours.pen, ours.id) == (told.pen, told.id)
    };
    FIELDS.iter().find(same).copied()
}

/// A number of 15 bits made of a name (FNV-1a, folded).
fn number(name: &str) -> u16 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let folded = (hash ^ (hash >> 15)) & 0x7fff;
    u16::try_from(folded).unwrap_or_default()
}

fn write(record: &FlowRecord, access: &Access, writer: &mut RecordWriter<'_>) {
    match access {
        Access::U8 { get, .. } => writer.u8(get(record)),
        Access::U16 { get, .. } => writer.u16(get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => writer.u32(get(record)),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => writer.u64(get(record)),
        Access::Name { get, .. } | Access::Labels { get, .. } => writer.string(get(record)),
        // Most flows have few.
        Access::Uuid { get, .. } => {
            writer.variable(get(record).as_ref().map_or(&[], |uid| &uid.0[..]));
        }
        Access::Ip { get, .. } => match get(record) {
            Some(IpAddr::V4(address)) => writer.variable(&address.octets()),
            Some(IpAddr::V6(address)) => writer.variable(&address.octets()),
            None => writer.variable(&[]),
        },
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
