//! Every value of a record, typed.
//!
//! [`Types`] has what can be decided once for a Template: its fields in groups that are read alike,
//! so that little is left to decide for each record.
//!
//! Text must be UTF-8, and most texts are too short for that to be checked fast. But texts are
//! next to each other in a record, with nothing in between but the length of the next and perhaps
//! a small number, and both look like letters. So a whole [stretch](How::Stretch) of them is
//! checked at once, and the texts are cut out of it. Where that does not work out, each text is
//! checked by itself.

use std::time::Duration;

use super::{layout::value_length, record::DataRecord};
use crate::{
    reader::Reader,
    registry::{self, DataType, Registry},
    template::{FieldSpecifier, Template, VARIABLE},
    value::{self, Value},
};

/// How the values of a Template's records are to be read: the data types of its elements, looked
/// up once.
///
/// Made where a [`Session`](super::Session) compiles a Template, and used with each of its records;
/// see [`DataRecord::typed`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types {
    groups: Vec<Group>,
    /// The fields of all stretches.
    parts: Vec<Part>,
}

/// Fields next to each other that are read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    how: How,
    fields: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Unsigned8,
    Unsigned16,
    Unsigned32,
    Unsigned64,
    Ipv4,
    Seconds,
    Milliseconds,
    /// Strings of variable length, perhaps with bytes in between. The last of them is so manieth of
    /// the fields of variable length.
    Stretch {
        last: u16,
    },
    /// One field of whatever type and length.
    Any {
        data_type: DataType,
        length: u16,
    },
}

/// A field in a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Text,
    /// An unsigned8.
    Byte,
}

impl Types {
    /// Looks the elements of `template` up in the built-in registry. Values of elements that are
    /// not in there are octets.
    pub fn of(template: &Template) -> Self {
        Self::by(template, |field| {
            registry::element(field.pen, field.id).map(|element| element.data_type)
        })
    }

    /// Looks the elements of `template` up in `registry`.
    pub fn in_registry(template: &Template, registry: &Registry) -> Self {
        Self::by(template, |field| {
            registry.element(field.pen, field.id).map(|element| element.data_type)
        })
    }

    fn by(template: &Template, data_type: impl Fn(&FieldSpecifier) -> Option<DataType>) -> Self {
        let (mut types, mut variable) = (Self::default(), 0);
        for field in &template.fields {
            let data_type = data_type(field).unwrap_or(DataType::OctetArray);
            variable += u16::from(field.length == VARIABLE);
            let how = match (data_type, field.length) {
                (DataType::Unsigned8, 1) => How::Unsigned8,
                (DataType::Unsigned16, 2) => How::Unsigned16,
                (DataType::Unsigned32, 4) => How::Unsigned32,
                (DataType::Unsigned64, 8) => How::Unsigned64,
                (DataType::Ipv4Address, 4) => How::Ipv4,
                (DataType::DateTimeSeconds, 4) => How::Seconds,
                (DataType::DateTimeMilliseconds, 8) => How::Milliseconds,
                (DataType::String, VARIABLE) => How::Stretch { last: variable },
                (_, length) => How::Any { data_type, length },
            };
            types.push(how);
        }
        types
    }

    fn push(&mut self, how: How) {
        if let How::Stretch { .. } = how {
            self.lengthen_stretch();
            self.parts.push(Part::Text);
        }
        let is_alone = matches!(how, How::Any { .. });
        match (self.groups.last_mut(), how) {
            (Some(Group { how: How::Stretch { last }, fields }), How::Stretch { last: now }) => {
                (*last, *fields) = (now, *fields + 1);
            }
            (Some(group), _) if group.how == how && !is_alone => group.fields += 1,
            _ => self.groups.push(Group { how, fields: 1 }),
        }
    }

    /// Makes bytes behind a stretch a part of it.
    fn lengthen_stretch(&mut self) {
        if let [.., Group { how: How::Stretch { .. }, fields }, bytes] = &mut self.groups[..]
            && bytes.how == How::Unsigned8
        {
            self.parts.extend((0..bytes.fields).map(|_| Part::Byte));
            *fields += bytes.fields;
            self.groups.pop();
        }
    }

    /// Visits the values of a record, in the order of its Template.
    ///
    /// Stops where the record is not as the Template says that the types are of.
    #[inline(never)] // In the midst of what surrounds it, too much is kept in memory.
    pub(super) fn read<'a>(
        &self,
        record: &DataRecord<'a>,
        mut visit: impl FnMut(Value<'a>),
    ) -> Option<()> {
        let DataRecord { message, anchors, .. } = *record;
        let mut rest = message.get(anchors.first()?.end()..)?;
        let mut parts = &self.parts[..];
        for Group { how, fields } in &self.groups {
            let bytes = &mut rest;
            let visit = &mut visit;
            match *how {
                How::Unsigned8 => {
                    each(bytes, *fields, |[byte]| visit(Value::Unsigned(byte.into())))
                }
                How::Unsigned16 => each(bytes, *fields, |bytes| {
                    visit(Value::Unsigned(u16::from_be_bytes(bytes).into()));
                }),
                How::Unsigned32 => each(bytes, *fields, |bytes| {
                    visit(Value::Unsigned(u32::from_be_bytes(bytes).into()));
                }),
                How::Unsigned64 => {
                    each(bytes, *fields, |bytes| visit(Value::Unsigned(u64::from_be_bytes(bytes))))
                }
                How::Ipv4 => {
                    each(bytes, *fields, |bytes: [u8; 4]| visit(Value::Ipv4(bytes.into())))
                }
                How::Seconds => each(bytes, *fields, |bytes| {
                    visit(Value::Time(Duration::from_secs(u32::from_be_bytes(bytes).into())));
                }),
                How::Milliseconds => each(bytes, *fields, |bytes| {
                    visit(Value::Time(Duration::from_millis(u64::from_be_bytes(bytes))));
                }),
                How::Stretch { last } => {
                    let start = message.len() - bytes.len();
                    let length = anchors.get(usize::from(last))?.end().checked_sub(start)?;
                    let parts = parts.split_off(..usize::from(*fields))?;
                    stretch(bytes.split_off(..length)?, parts, visit)
                }
                How::Any { data_type, length } => {
                    let length = length_of(length, bytes)?;
                    visit(Value::decode(data_type, bytes.split_off(..length)?));
                    Some(())
                }
            }?;
        }
        Some(())
    }
}

/// Reads fields of `N` bytes each.
#[inline]
fn each<const N: usize>(
    rest: &mut &[u8],
    fields: u16,
    mut read: impl FnMut([u8; N]),
) -> Option<()> {
    let (values, _) = rest.split_off(..N * usize::from(fields))?.as_chunks();
    for value in values {
        read(*value);
    }
    Some(())
}

/// Reads strings and bytes that are likely to be text as a whole, with the lengths in between.
#[inline]
fn stretch<'a>(
    mut bytes: &'a [u8],
    mut parts: &[Part],
    visit: &mut impl FnMut(Value<'a>),
) -> Option<()> {
    if let Some(mut text) = value::string(bytes) {
        while let Some((part, more)) = parts.split_first()
            && let Some(rest) = cut(*part, text, visit)
        {
            (parts, text) = (more, rest);
        }
        bytes = bytes.get(bytes.len() - text.len()..)?;
    }
    if parts.is_empty() { Some(()) } else { one_by_one(bytes, parts, visit) }
}

/// Reads what is not text as a whole, or where a field tears a character apart.
#[inline(never)]
fn one_by_one<'a>(
    mut bytes: &'a [u8],
    parts: &[Part],
    visit: &mut impl FnMut(Value<'a>),
) -> Option<()> {
    for part in parts {
        visit(match part {
            Part::Text => {
                let length = length_of(VARIABLE, &mut bytes)?;
                Value::decode(DataType::String, bytes.split_off(..length)?)
            }
            Part::Byte => Value::Unsigned((*bytes.split_off_first()?).into()),
        });
    }
    Some(())
}

/// Visits the field at the beginning of `text` and returns what is behind it, unless that tears a
/// character apart.
#[inline]
fn cut<'a>(part: Part, text: &'a str, visit: &mut impl FnMut(Value<'a>)) -> Option<&'a str> {
    // No text begins with 255, so this is not a length of three bytes.
    let first = *text.as_bytes().first()?;
    let rest = text.get(1..)?;
    match part {
        Part::Text => {
            let (text, rest) = rest.split_at_checked(usize::from(first))?;
            visit(Value::String(text));
            Some(rest)
        }
        Part::Byte => {
            visit(Value::Unsigned(first.into()));
            Some(rest)
        }
    }
}

/// Returns how long the value at the beginning of `bytes` is, and goes to where it begins.
fn length_of(length: u16, bytes: &mut &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    let length = value_length(length, &mut reader).ok()?;
    *bytes = reader.rest();
    Some(length)
}
