//! A Flow Record as a message `Flow`.
//!
//! What a record does not know is left out.

use std::net::IpAddr;

use flow::{Access, Direction, FlowRecord};

use crate::labels;
use crate::layout::{Meaning, each_field, is_long, is_message, is_required, value};
use crate::wire::{BYTES, Key, VARINT, begin, begin_long, put_bytes, put_number};

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

/// `flows` of an `ExportRequest`.
const FLOWS: Key = Key::new(1, BYTES);
/// Of a `google.protobuf.Timestamp`.
const SECONDS: Key = Key::new(1, VARINT);
const NANOSECONDS: Key = Key::new(2, VARINT);

/// Appends `record` as one of the `flows` of an `ExportRequest`.
pub fn encode(record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    let flow = begin_long(out, FLOWS);
    put_flow(record, head, out);
    flow.end(out);
}

fn put_flow(record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    each_field!(A of 1 => { put_place(const { value(&[A]) }, record, head, out); });
    put_message::<2>(record, head, out);
    each_field!(A of 3 4 5 => { put_place(const { value(&[A]) }, record, head, out); });
    each_field!(A of 6 7 8 9 10 => { put_message::<A>(record, head, out); });
    each_field!(A of 12 => { put_place(const { value(&[A]) }, record, head, out); });
    put_message::<13>(record, head, out);
    each_field!(A of 14 15 => { put_place(const { value(&[A]) }, record, head, out); });
}

/// Appends message `A` of a `Flow`.
fn put_message<const A: u8>(record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    let key = const { Key::new(A, BYTES) };
    let message = if const { is_long(A) } { begin_long(out, key) } else { begin(out, key) };
    each_field!(B first => { put_place(const { value(&[A, B]) }, record, head, out); });
    each_field!(B middle => {
        put_place(const { value(&[A, B]) }, record, head, out);
        if const { is_message(&[A, B]) } {
            put_inner_message::<A, B>(record, head, out);
        }
    });
    each_field!(B last => { put_place(const { value(&[A, B]) }, record, head, out); });
    if const { !is_required(A) } && message.is_empty(out) {
        message.cancel(out);
    } else {
        message.end(out);
    }
}

/// Appends message `B` of message `A` of a `Flow`.
fn put_inner_message<const A: u8, const B: u8>(
    record: &FlowRecord,
    head: &Head,
    out: &mut Vec<u8>,
) {
    let message = begin(out, const { Key::new(B, BYTES) });
    each_field!(C of 1 2 3 4 => { put_place(const { value(&[A, B, C]) }, record, head, out); });
    if message.is_empty(out) {
        message.cancel(out);
    } else {
        message.end(out);
    }
}

#[expect(clippy::inline_always, reason = "what is constant here is not in a function of its own")]
#[inline(always)]
fn put_place(place: Option<(Key, Meaning)>, record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    if let Some((key, meaning)) = place {
        put_value(key, meaning, record, head, out);
    }
}

#[expect(clippy::inline_always, reason = "what is constant here is not in a function of its own")]
#[inline(always)]
fn put_value(key: Key, meaning: Meaning, record: &FlowRecord, head: &Head, out: &mut Vec<u8>) {
    match meaning {
        Meaning::Attribute(access) => put_attribute(key, access, record, out),
        Meaning::Text { get, .. } => {
            let id = get(record);
            if head.with_ids && id != 0 {
                put_bytes(out, key, id.to_string().as_bytes());
            }
        }
        Meaning::Time { get, .. } => put_time(out, key, get(record), 0),
        Meaning::End { get, .. } => {
            if let Some(address) = get(record) {
                put_address(out, key, address);
            }
        }
        Meaning::AddressText { get, .. } => {
            let text = get(record);
            if !text.is_empty()
                && let Ok(address) = text.parse()
            {
                put_address(out, key, address);
            }
        }
        Meaning::Labels { get, .. } => labels::put(out, key, get(record)),
        Meaning::Direction { get } => {
            // Antrea sends none where it does not know, which reads as 0, ingress.
            let direction = get(record);
            if direction != Direction::Unspecified as u8 {
                put_number(out, key, direction.into());
            }
        }
        Meaning::Version => {
            put_number(out, key, if record.key.source.is_ipv4() { 4 } else { 6 });
        }
        Meaning::ExportTime => {
            let (ms, ns) = (head.export_time_ns / 1_000_000, head.export_time_ns % 1_000_000);
            put_time(out, key, ms, ns);
        }
        Meaning::Domain => put_number(out, key, head.domain.into()),
    }
}

#[expect(clippy::inline_always, reason = "what is constant here is not in a function of its own")]
#[inline(always)]
fn put_attribute(key: Key, access: Access, record: &FlowRecord, out: &mut Vec<u8>) {
    match access {
        Access::U8 { get, .. } => put_number(out, key, get(record).into()),
        Access::U16 { get, .. } => put_number(out, key, get(record).into()),
        Access::U64 { get, .. } => put_number(out, key, get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => {
            put_number(out, key, get(record).into());
        }
        Access::Milliseconds { get, .. } => {
            if get(record) != 0 {
                put_time(out, key, get(record), 0);
            }
        }
        Access::Ip { get, .. } => {
            if let Some(address) = get(record).filter(|address| !address.is_unspecified()) {
                put_address(out, key, address);
            }
        }
        Access::Uuid { get, .. } => {
            if let Some(uid) = get(record) {
                put_bytes(out, key, uid.to_string().as_bytes());
            }
        }
        Access::Name { get, .. } | Access::Labels { get, .. } => {
            let name = get(record);
            if !name.is_empty() {
                put_bytes(out, key, name.as_bytes());
            }
        }
    }
}

fn put_address(out: &mut Vec<u8>, key: Key, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put_bytes(out, key, &address.octets()),
        IpAddr::V6(address) => put_bytes(out, key, &address.octets()),
    }
}

/// A `google.protobuf.Timestamp`.
fn put_time(out: &mut Vec<u8>, key: Key, milliseconds: u64, nanoseconds: u64) {
    let timestamp = begin(out, key);
    put_number(out, SECONDS, milliseconds / 1000);
    put_number(out, NANOSECONDS, milliseconds % 1000 * 1_000_000 + nanoseconds);
    timestamp.end(out);
}
