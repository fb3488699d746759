//! A Flow Record as a message `Flow`.
//!
//! What a record does not know is left out.

use std::net::IpAddr;

use flow::{Access, Direction, FlowRecord};

use crate::labels;
use crate::layout::{FLOW, Layout, Meaning, Step};
use crate::wire::{BYTES, put_bytes, put_key, put_number, set_length};

/// What all flows of a message have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// When the message is sent, in nanoseconds since 1970.
    pub export_time_ns: u64,
    /// The sender's Observation Domain.
    pub domain: u32,
    /// Whether flows tell their connection's id, as Antrea's Agents do not.
    pub with_ids: bool,
}

/// Appends `record` as one of the `flows` of an `ExportRequest`.
pub fn encode(record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    put_key(out, 1, BYTES);
    put_message(&FLOW, record, head, out);
}

/// Appends length and content.
fn put_message(layout: &Layout, record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    out.push(0);
    let body = out.len();
    for (number, step) in layout.steps.iter().enumerate() {
        match step {
            Step::Passed => {}
            Step::Value(meaning) => put_value(number, *meaning, record, head, out),
            Step::Message(message) => {
                let start = out.len();
                put_key(out, number, BYTES);
                let before = out.len();
                put_message(message, record, head, out);
                if out.len() == before + 1 && !message.is_required {
                    out.truncate(start);
                }
            }
        }
    }
    set_length(out, body);
}

fn put_value(number: usize, meaning: Meaning, record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    match meaning {
        Meaning::Attribute(access) => put_attribute(number, access, record, out),
        Meaning::Text { get, .. } => {
            let id = get(record);
            if head.with_ids && id != 0 {
                put_bytes(out, number, id.to_string().as_bytes());
            }
        }
        Meaning::Time { get, .. } => put_time(out, number, get(record), 0),
        Meaning::End { get, .. } => {
            if let Some(address) = get(record) {
                put_address(out, number, address);
            }
        }
        Meaning::AddressText { get, .. } => {
            if let Ok(address) = get(record).parse() {
                put_address(out, number, address);
            }
        }
        Meaning::Labels { get, .. } => labels::put(out, number, get(record)),
        Meaning::Direction { get } => {
            // Antrea sends none where it does not know, which reads as 0, ingress.
            let direction = get(record);
            if direction != Direction::Unspecified as u8 {
                put_number(out, number, direction.into());
            }
        }
        Meaning::Version => {
            put_number(out, number, if record.key.source.is_ipv4() { 4 } else { 6 });
        }
        Meaning::ExportTime => {
            let (ms, ns) = (head.export_time_ns / 1_000_000, head.export_time_ns % 1_000_000);
            put_time(out, number, ms, ns);
        }
        Meaning::Domain => put_number(out, number, head.domain.into()),
    }
}

fn put_attribute(number: usize, access: Access, record: &FlowRecord, out: &mut Vec<u8>) {
    match access {
        Access::U8 { get, .. } => put_number(out, number, get(record).into()),
        Access::U16 { get, .. } => put_number(out, number, get(record).into()),
        Access::U64 { get, .. } => put_number(out, number, get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => {
            put_number(out, number, get(record).into());
        }
        Access::Milliseconds { get, .. } => {
            if get(record) != 0 {
                put_time(out, number, get(record), 0);
            }
        }
        Access::Ip { get, .. } => {
            if let Some(address) = get(record).filter(|address| !address.is_unspecified()) {
                put_address(out, number, address);
            }
        }
        Access::Uuid { get, .. } => {
            if let Some(uid) = get(record) {
                put_bytes(out, number, uid.to_string().as_bytes());
            }
        }
        Access::Name { get, .. } | Access::Labels { get, .. } => {
            let name = get(record);
            if !name.is_empty() {
                put_bytes(out, number, name.as_bytes());
            }
        }
    }
}

fn put_address(out: &mut Vec<u8>, number: usize, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put_bytes(out, number, &address.octets()),
        IpAddr::V6(address) => put_bytes(out, number, &address.octets()),
    }
}

/// A `google.protobuf.Timestamp`.
fn put_time(out: &mut Vec<u8>, number: usize, milliseconds: u64, nanoseconds: u64) {
    put_key(out, number, BYTES);
    out.push(0);
    let body = out.len();
    put_number(out, 1, milliseconds / 1000);
    put_number(out, 2, milliseconds % 1000 * 1_000_000 + nanoseconds);
    set_length(out, body);
}
