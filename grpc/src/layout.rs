//! Which attribute is where in a `Flow`, from the field table of `flow`.
//!
//! Known when this is compiled: what reads and writes a field has it as a constant, and becomes
//! straight code where a walk over the table would call a function for each of its rows.

use std::net::IpAddr;

use flow::{Access, FIELDS, Field, FlowRecord, Name};

use crate::wire::{BYTES, Key, VARINT};

/// What a value is, where that is more than its attribute says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// As its attribute.
    Attribute(Access),
    /// A number as decimal text.
    Text { get: fn(&FlowRecord) -> u64, set: fn(&mut FlowRecord, u64) },
    /// A time in milliseconds that is sent even if it is 0.
    Time { get: fn(&FlowRecord) -> u64, set: fn(&mut FlowRecord, u64), is_start: bool },
    /// An address a flow cannot be without. On the wire, 0.0.0.0 is one as well.
    End {
        get: fn(&FlowRecord) -> Option<IpAddr>,
        set: fn(&mut FlowRecord, Option<IpAddr>),
        is_source: bool,
    },
    /// An address as bytes, which an attribute has as text.
    AddressText { get: fn(&FlowRecord) -> &Name, set: fn(&mut FlowRecord, Name) },
    /// A Pod's labels as a message.
    Labels { get: fn(&FlowRecord) -> &Name, set: fn(&mut FlowRecord, Name) },
    /// What is 0 means something, and what is not there nothing.
    Direction { get: fn(&FlowRecord) -> u8 },
    /// The address family of the flow.
    Version,
    /// When the record was sent.
    ExportTime,
    /// The sender's Observation Domain.
    Domain,
}

/// Expands to a block for each of some numbers of fields, where the number is a constant.
///
/// A macro, because a loop has no constants.
macro_rules! each_field {
    ($N:ident of $($number:literal)+ => $block:block) => {
        $({
            const $N: u8 = $number;
            $block
        })+
    };
    // Those of a message before, among and behind messages within it.
    ($N:ident first => $block:block) => { each_field!($N of 1 2 => $block) };
    ($N:ident middle => $block:block) => { each_field!($N of 3 4 5 6 => $block) };
    ($N:ident last => $block:block) => {
        each_field!($N of 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 => $block)
    };
}

pub(crate) use each_field;

/// What a field is.
#[derive(Clone, Copy)]
enum Place {
    /// Unknown, or of no use here.
    Nothing,
    Value(Key, Meaning),
    Message,
}

/// Each field of a `Flow`, of its messages, and of theirs, by number.
struct Layout {
    flow: [Place; 16],
    messages: [[Place; 41]; 16],
    inner: [[[Place; 5]; 41]; 16],
}

static LAYOUT: Layout = Layout::new();

impl Layout {
    /// A row that is out of reach fails the build.
    #[expect(clippy::large_stack_arrays, reason = "made by the compiler, and on no stack")]
    const fn new() -> Self {
        let nothing = Place::Nothing;
        let messages = [[nothing; 41]; 16];
        let mut layout = Self { flow: [nothing; 16], messages, inner: [[[nothing; 5]; 41]; 16] };
        let (mut part, mut row) = (0, 0);
        while part < FIELDS.len() {
            if row == FIELDS[part].len() {
                (part, row) = (part + 1, 0);
                continue;
            }
            let field = &FIELDS[part][row];
            if !field.path.is_empty() {
                layout.put(field.path, meaning(field));
            }
            row += 1;
        }
        layout.put(&[2, 1], Meaning::ExportTime);
        layout.put(&[2, 3], Meaning::Domain);
        layout.put(&[6, 1], Meaning::Version);
        layout
    }

    const fn put(&mut self, path: &[u8], meaning: Meaning) {
        let [.., number] = path else { return };
        let value = Place::Value(Key::new(*number, wire_type(meaning)), meaning);
        match *path {
            [a @ (1 | 3..=5 | 12 | 14 | 15)] => self.flow[a as usize] = value,
            [a @ (2 | 6..=10 | 13), b] => self.messages[a as usize][b as usize] = value,
            [a @ (7 | 13), b @ 3..=6, c] => {
                self.messages[a as usize][b as usize] = Place::Message;
                self.inner[a as usize][b as usize][c as usize] = value;
            }
            _ => panic!("`encode` and `decode` know of no such place"),
        }
    }

    const fn at(&self, path: &[u8]) -> Place {
        match *path {
            [a] => self.flow[a as usize],
            [a, b] => self.messages[a as usize][b as usize],
            [a, b, c] => self.inner[a as usize][b as usize][c as usize],
            _ => Place::Nothing,
        }
    }
}

/// What the value at `path` is, and its key: field numbers from the outermost message in. `None` if
/// it is unknown, of no use here, or a message.
pub(crate) const fn value(path: &[u8]) -> Option<(Key, Meaning)> {
    match LAYOUT.at(path) {
        Place::Value(key, meaning) => Some((key, meaning)),
        Place::Message | Place::Nothing => None,
    }
}

/// Says whether the field at `path`, which is not of a `Flow` itself, is a message with fields of
/// use.
pub(crate) const fn is_message(path: &[u8]) -> bool {
    matches!(LAYOUT.at(path), Place::Message)
}

/// Says whether a message of a `Flow` is sent even if it is empty: `ipfix`, `ip`, `transport`,
/// `k8s`, `stats`, `reverse_stats`. Antrea's collector falls over one that is not there.
pub(crate) const fn is_required(number: u8) -> bool {
    matches!(number, 2 | 6 | 7 | 8 | 9 | 10)
}

/// Says whether a message of a `Flow` most likely has 128 bytes or more: `k8s`.
pub(crate) const fn is_long(number: u8) -> bool {
    number == 8
}

const fn meaning(field: &Field) -> Meaning {
    match (field.path, field.access) {
        // The connection's own id on its Node. Antrea leaves the text empty.
        ([1], Access::U64 { get, set }) => Meaning::Text { get, set },
        ([number], Access::Milliseconds { get, set }) => {
            Meaning::Time { get, set, is_start: *number == 3 }
        }
        ([6, number @ (2 | 3)], Access::Ip { get, set }) => {
            Meaning::End { get, set, is_source: *number == 2 }
        }
        ([8, 31], Access::Name { get, set }) => Meaning::AddressText { get, set },
        ([12], Access::U8 { get, .. }) => Meaning::Direction { get },
        (_, Access::Labels { get, set }) => Meaning::Labels { get, set },
        (_, access) => Meaning::Attribute(access),
    }
}

const fn wire_type(meaning: Meaning) -> u8 {
    use Access::{Ip, Labels, Milliseconds, Name, Seconds, U8, U16, U32, U64, Uuid};
    match meaning {
        Meaning::Attribute(U8 { .. } | U16 { .. } | U32 { .. } | U64 { .. } | Seconds { .. })
        | Meaning::Direction { .. }
        | Meaning::Version
        | Meaning::Domain => VARINT,
        Meaning::Attribute(
            Milliseconds { .. } | Ip { .. } | Name { .. } | Labels { .. } | Uuid { .. },
        )
        | Meaning::Text { .. }
        | Meaning::Time { .. }
        | Meaning::End { .. }
        | Meaning::AddressText { .. }
        | Meaning::Labels { .. }
        | Meaning::ExportTime => BYTES,
    }
}
