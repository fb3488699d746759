//! A message `Flow` as a Flow Record.
//!
//! As with IPFIX, what is unknown is passed over, what is missing leaves its attribute unset, and
//! so does a value that cannot be of its attribute's type.

use std::net::IpAddr;

use flow::{Access, Direction, FlowRecord, Interner};

use crate::Malformed;
use crate::labels;
use crate::layout::{FLOW, Layout, Meaning, Step};
use crate::wire::{Reader, Value};

/// What a `Flow` told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    pub(crate) record: FlowRecord,
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
    pub(crate) fn is_flow(&self) -> bool {
        self.has_source && self.has_destination
    }
}

pub(crate) fn decode(flow: &[u8], names: &mut Interner) -> Result<Told, Malformed> {
    let mut told = Told::default();
    told.read(&FLOW, flow, names)?;
    // Antrea's Agents tell no id. A port that is used again within a millisecond is told from its
    // first use by what their clocks tell beyond.
    if told.record.flow_id == 0 {
        told.record.flow_id = told.start_ns;
    }
    Ok(told)
}

impl Told {
    fn read(
        &mut self,
        layout: &Layout,
        message: &[u8],
        names: &mut Interner,
    ) -> Result<(), Malformed> {
        let mut fields = Reader(message);
        while let Some((number, value)) = fields.field()? {
            let step = usize::try_from(number).ok().and_then(|number| layout.steps.get(number));
            match (step, value) {
                (Some(Step::Message(message)), Value::Bytes(bytes)) => {
                    self.read(message, bytes, names)?;
                }
                (Some(Step::Value(meaning)), value) => {
                    self.set(*meaning, value, names)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        meaning: Meaning,
        value: Value<'_>,
        names: &mut Interner,
    ) -> Result<(), Malformed> {
        let record = &mut self.record;
        match (meaning, value) {
            (Meaning::Attribute(access), value) => set_attribute(record, access, value, names)?,
            (Meaning::Text { set, .. }, Value::Bytes(text)) => {
                set(record, number(text).unwrap_or(0));
            }
            (Meaning::Time { set, is_start, .. }, Value::Bytes(timestamp)) => {
                let (milliseconds, nanoseconds) = time(timestamp)?;
                set(record, milliseconds);
                if is_start {
                    self.start_ns = nanoseconds;
                }
            }
            (Meaning::End { set, is_source, .. }, Value::Bytes(bytes)) => {
                if let Some(address) = address(bytes) {
                    set(record, Some(address));
                    self.has_source |= is_source;
                    self.has_destination |= !is_source;
                }
            }
            (Meaning::AddressText { set, .. }, Value::Bytes(bytes)) => {
                if let Some(address) = address(bytes) {
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
                self.domain = u32::try_from(domain).unwrap_or(0);
            }
            // The family is that of the addresses, and what time it is we know.
            _ => {}
        }
        Ok(())
    }
}

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
            set(record, address(bytes).filter(|address| !address.is_unspecified()));
        }
        (Access::Uuid { set, .. }, Value::Bytes(text)) => {
            set(record, std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()));
        }
        (Access::Name { set, .. }, Value::Bytes(text)) => {
            if let Ok(text) = std::str::from_utf8(text) {
                set(record, names.intern(text));
            }
        }
        _ => {}
    }
    Ok(())
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
fn time(timestamp: &[u8]) -> Result<(u64, u64), Malformed> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    let mut fields = Reader(timestamp);
    while let Some((number, value)) = fields.field()? {
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
