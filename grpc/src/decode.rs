//! A message `Flow` as a Flow Record.
//!
//! As with IPFIX, what is unknown is passed over, what is missing leaves its attribute unset, and
//! so does a value that cannot be of its attribute's type.

use std::net::IpAddr;

use flow::{Access, Direction, FlowRecord, Interner, Name};

use crate::Malformed;
use crate::labels;
use crate::layout::{Meaning, each_field, is_message, value};
use crate::wire::{Key, Reader, Value};

/// What a `Flow` told beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// The sender's Observation Domain; 0 if it said none.
    pub(crate) domain: u32,
    has_source: bool,
    has_destination: bool,
    /// Of the start, what is finer than a millisecond.
    start_ns: u64,
}

impl Told {
    /// Whether the record says between which addresses the flow is. Nobody can use one that does
    /// not.
    pub(crate) fn is_flow(self) -> bool {
        self.has_source && self.has_destination
    }
}

/// Fills in a record, which was empty.
pub(crate) fn decode(
    flow: Reader<'_>,
    record: &mut FlowRecord,
    names: &mut Interner,
) -> Result<Told, Malformed> {
    let mut decoder = Decoder { told: Told::default(), record, names };
    decoder.flow(flow)?;
    // Antrea's Agents tell no id. A port that is used again within a millisecond is told from its
    // first use by what their clocks tell beyond.
    if decoder.record.flow_id == 0 {
        decoder.record.flow_id = decoder.told.start_ns;
    }
    Ok(decoder.told)
}

struct Decoder<'a> {
    told: Told,
    record: &'a mut FlowRecord,
    names: &'a mut Interner,
}

impl Decoder<'_> {
    #[expect(clippy::needless_continue, reason = "one number is like the others")]
    fn flow(&mut self, mut flow: Reader<'_>) -> Result<(), Malformed> {
        while let Some((number, told)) = flow.field()? {
            each_field!(A of 1 3 4 5 12 14 15 => {
                if number == u64::from(A) {
                    self.place(const { value(&[A]) }, told)?;
                    continue;
                }
            });
            each_field!(A of 2 6 7 8 9 10 13 => {
                if let (true, Value::Bytes(message)) = (number == u64::from(A), told) {
                    self.message::<A>(message)?;
                    continue;
                }
            });
        }
        Ok(())
    }

    /// Reads message `A` of a `Flow`.
    #[expect(clippy::needless_continue, reason = "one number is like the others")]
    fn message<const A: u8>(&mut self, mut message: Reader<'_>) -> Result<(), Malformed> {
        while let Some((number, told)) = message.field()? {
            each_field!(B first => {
                if number == u64::from(B) {
                    self.place(const { value(&[A, B]) }, told)?;
                    continue;
                }
            });
            each_field!(B middle => {
                if number == u64::from(B) {
                    self.place(const { value(&[A, B]) }, told)?;
                    if let (true, Value::Bytes(message)) = (const { is_message(&[A, B]) }, told) {
                        self.inner_message::<A, B>(message)?;
                    }
                    continue;
                }
            });
            each_field!(B last => {
                if number == u64::from(B) {
                    self.place(const { value(&[A, B]) }, told)?;
                    continue;
                }
            });
        }
        Ok(())
    }

    /// Reads message `B` of message `A` of a `Flow`.
    #[expect(clippy::needless_continue, reason = "one number is like the others")]
    fn inner_message<const A: u8, const B: u8>(
        &mut self,
        mut message: Reader<'_>,
    ) -> Result<(), Malformed> {
        while let Some((number, told)) = message.field()? {
            each_field!(C of 1 2 3 4 => {
                if number == u64::from(C) {
                    self.place(const { value(&[A, B, C]) }, told)?;
                    continue;
                }
            });
        }
        Ok(())
    }

    #[expect(
        clippy::inline_always,
        reason = "what is constant here is not in a function of its own"
    )]
    #[inline(always)]
    fn place(&mut self, place: Option<(Key, Meaning)>, told: Value<'_>) -> Result<(), Malformed> {
        match place {
            Some((_, meaning)) => self.set(meaning, told),
            None => Ok(()),
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "what is constant here is not in a function of its own"
    )]
    #[inline(always)]
    fn set(&mut self, meaning: Meaning, value: Value<'_>) -> Result<(), Malformed> {
        let Self { told, record, names } = self;
        match (meaning, value) {
            (Meaning::Attribute(access), value) => set_attribute(record, access, value, names)?,
            (Meaning::Text { set, .. }, Value::Bytes(text)) => {
                set(record, number(text.rest()).unwrap_or(0));
            }
            (Meaning::Time { set, is_start, .. }, Value::Bytes(timestamp)) => {
                let (milliseconds, nanoseconds) = time(timestamp)?;
                set(record, milliseconds);
                if is_start {
                    told.start_ns = nanoseconds;
                }
            }
            (Meaning::End { set, is_source, .. }, Value::Bytes(bytes)) => {
                if let Some(address) = address(bytes.rest()) {
                    set(record, Some(address));
                    told.has_source |= is_source;
                    told.has_destination |= !is_source;
                }
            }
            (Meaning::AddressText { set, .. }, Value::Bytes(bytes)) => {
                if let Some(address) = address(bytes.rest()) {
                    set(record, names.intern(&address.to_string()));
                }
            }
            (Meaning::Labels { set, .. }, Value::Bytes(message)) => {
                if let Some(text) = labels::read(message)? {
                    set(record, names.intern_labels(&text));
                }
            }
            (Meaning::Direction { .. }, Value::Number(number)) => {
                record.direction = u8::try_from(number).map(Direction::from_u8).unwrap_or_default();
            }
            (Meaning::Domain, Value::Number(domain)) => {
                told.domain = u32::try_from(domain).unwrap_or(0);
            }
            // The family is that of the addresses, and what time it is we know.
            _ => {}
        }
        Ok(())
    }
}

#[expect(clippy::inline_always, reason = "what is constant here is not in a function of its own")]
#[inline(always)]
fn set_attribute(
    record: &mut FlowRecord,
    access: Access,
    value: Value<'_>,
    names: &mut Interner,
) -> Result<(), Malformed> {
    match (access, value) {
        (Access::U8 { set, .. }, Value::Number(number)) => {
            if let Ok(number) = u8::try_from(number) {
                set(record, number);
            }
        }
        (Access::U16 { set, .. }, Value::Number(number)) => {
            if let Ok(number) = u16::try_from(number) {
                set(record, number);
            }
        }
        (Access::U32 { set, .. } | Access::Seconds { set, .. }, Value::Number(number)) => {
            if let Ok(number) = u32::try_from(number) {
                set(record, number);
            }
        }
        (Access::U64 { set, .. }, Value::Number(number)) => set(record, number),
        (Access::Milliseconds { set, .. }, Value::Bytes(timestamp)) => {
            set(record, time(timestamp)?.0);
        }
        (Access::Ip { set, .. }, Value::Bytes(bytes)) => {
            set(record, address(bytes.rest()).filter(|address| !address.is_unspecified()));
        }
        (Access::Uuid { set, .. }, Value::Bytes(text)) => {
            set(record, std::str::from_utf8(text.rest()).ok().and_then(|text| text.parse().ok()));
        }
        (Access::Name { set, .. }, Value::Bytes(text)) => {
            if let Some(name) = name(text, names) {
                set(record, name);
            }
        }
        _ => {}
    }
    Ok(())
}

fn name(text: Reader<'_>, names: &mut Interner) -> Option<Name> {
    Some(names.intern(std::str::from_utf8(text.rest()).ok()?))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A `google.protobuf.Timestamp`: milliseconds since 1970, and nanoseconds beyond. Times before
/// that are 0.
fn time(mut timestamp: Reader<'_>) -> Result<(u64, u64), Malformed> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    while let Some((number, value)) = timestamp.field()? {
        match (number, value) {
            (1, Value::Number(value)) => seconds = u64::try_from(value.cast_signed()).unwrap_or(0),
            (2, Value::Number(value)) => {
                nanoseconds = value;
            }
            _ => {}
        }
    }
    let nanoseconds = if nanoseconds < 1_000_000_000 { nanoseconds } else { 0 };
    let milliseconds = seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000);
    Ok((milliseconds, nanoseconds % 1_000_000))
}
