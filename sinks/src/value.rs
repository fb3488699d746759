//! One value of a record as text, as Antrea has it in columns.

use std::io::Write;
use std::net::IpAddr;

use flow::{Access, FlowRecord};

/// Appends a value: numbers in digits, nothing for an address that is not there. What is text
/// already is given to `text`, which knows what may be in it.
pub(crate) fn put(
    access: Access,
    record: &FlowRecord,
    out: &mut Vec<u8>,
    text: impl FnOnce(&str, &mut Vec<u8>),
) {
    match access {
        Access::U8 { get, .. } => number(out, get(record).into()),
        Access::U16 { get, .. } => number(out, get(record).into()),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => number(out, get(record).into()),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => number(out, get(record)),
        Access::Name { get, .. } | Access::Labels { get, .. } => text(get(record), out),
        Access::Uuid { get, .. } => {
            text(&get(record).map(|uid| uid.to_string()).unwrap_or_default(), out);
        }
        Access::Ip { get, .. } => address(out, get(record)),
    }
}

// Writing to a vector cannot fail.
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").ok();
}

fn address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    if let Some(address) = address {
        // Go writes IPv4 addresses that are mapped to IPv6 like this.
        write!(out, "{}", address.to_canonical()).ok();
    }
}
