//! Records as one block of ClickHouse's `Native` format: for each column its name, its type and its
//! values, numbers in little-endian order and texts behind their lengths.
//!
//! Rows become columns as they come, a few at a time, so that a record is read while it is near.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use flow::{Access, FlowRecord, TIME_INSERTED};

use super::columns::{Column, Columns, Form, Value};

/// Records whose columns are written at once: they fit the nearest cache of a core.
const NEAR: usize = 32;

/// Rows that are inserted together, or not at all.
#[derive(Debug, Default)]
pub struct Block {
    columns: Vec<Filled>,
    /// As many times as there are near records.
    cluster_uuids: Vec<u8>,
    /// Seconds since 1970, of rows whose time of insertion the server must not set.
    inserted: Vec<u8>,
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Filled {
    column: Column,
    values: Vec<u8>,
}

impl Block {
    /// An empty one. `cluster_uuid` is in each row.
    pub fn new(columns: &Columns, cluster_uuid: &str) -> Self {
        let filled = |column: &Column| Filled { column: *column, values: Vec::new() };
        let mut one = Vec::new();
        text(&mut one, cluster_uuid);
        Self {
            columns: columns.written.iter().map(filled).collect(),
            cluster_uuids: one.repeat(NEAR),
            inserted: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes the memory of another block, whose rows are gone. To touch new memory costs as much as
    /// to fill it.
    #[must_use]
    pub fn reusing(mut self, other: Self) -> Self {
        for filled in other.columns {
            let Filled { column: Column { name, .. }, mut values } = filled;
            values.clear();
            if let Some(ours) = self.columns.iter_mut().find(|ours| ours.column.name == name) {
                ours.values = values;
            }
        }
        self
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn push(&mut self, records: &[FlowRecord]) {
        for near in records.chunks(NEAR) {
            for filled in &mut self.columns {
                filled.push(near, &self.cluster_uuids);
            }
        }
        self.rows += records.len();
        self.bytes = self.columns.iter().map(|filled| filled.values.len()).sum();
    }

    /// Records that were inserted at `inserted_ms` elsewhere, and not when the server takes them.
    /// All of a block are told like this, or none.
    pub fn push_inserted(&mut self, records: &[FlowRecord], inserted_ms: u64) {
        let seconds = u32::try_from(inserted_ms / 1000).unwrap_or(u32::MAX).to_le_bytes();
        self.inserted.extend(seconds.repeat(records.len()));
        self.push(records);
    }

    /// Leaves out columns that `columns` does not have, or has as another type.
    pub fn keep(&mut self, columns: &Columns) {
        self.columns.retain(|filled| {
            let Column { name, form, .. } = filled.column;
            columns.written.iter().any(|it| it.name == name && it.form == form)
        });
        self.bytes = self.columns.iter().map(|filled| filled.values.len()).sum();
    }

    /// `` `a`, `b` ``
    pub(super) fn names(&self) -> String {
        let names = self.columns.iter().map(|filled| filled.column.name);
        let inserted = (!self.inserted.is_empty()).then_some(TIME_INSERTED);
        let names = names.chain(inserted).map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The bytes of the block, one part after the other.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        let mut start = Vec::new();
        let is_told = !self.inserted.is_empty();
        length(&mut start, self.columns.len() + usize::from(is_told));
        length(&mut start, self.rows);
        let columns = self.columns.iter().map(|filled| {
            let mut head = Vec::new();
            text(&mut head, filled.column.name);
            text(&mut head, filled.column.form.word());
            (head, filled.values.as_slice())
        });
        let inserted = is_told.then(|| {
            let mut head = Vec::new();
            text(&mut head, TIME_INSERTED);
            text(&mut head, Form::DateTime.word());
            (head, self.inserted.as_slice())
        });
        std::iter::once((start, &[][..])).chain(columns).chain(inserted)
    }
}

impl Filled {
    /// At most as many as are near.
    fn push(&mut self, records: &[FlowRecord], cluster_uuids: &[u8]) {
        let to = &mut self.values;
        let access = match self.column.value {
            Value::ClusterUuid => {
                let length = cluster_uuids.len() / NEAR * records.len();
                return to.extend_from_slice(cluster_uuids.get(..length).unwrap_or_default());
            }
            Value::Attribute(access) => access,
        };
        match access {
            Access::U8 { get, .. } => to.extend(records.iter().map(get)),
            Access::U16 { get, .. } => {
                numbers(to, records.iter().map(|record| get(record).to_le_bytes()));
            }
            Access::U32 { get, .. } | Access::Seconds { get, .. } => {
                numbers(to, records.iter().map(|record| get(record).to_le_bytes()));
            }
            Access::U64 { get, .. } => {
                numbers(to, records.iter().map(|record| get(record).to_le_bytes()));
            }
            Access::Milliseconds { get, .. } if self.column.form == Form::DateTime => {
                let seconds = |record| u32::try_from(get(record) / 1000).unwrap_or(u32::MAX);
                numbers(to, records.iter().map(|record| seconds(record).to_le_bytes()));
            }
            Access::Milliseconds { get, .. } => {
                // What no time can be is the last there is.
                let last = i64::MAX.unsigned_abs();
                numbers(to, records.iter().map(|record| get(record).min(last).to_le_bytes()));
            }
            Access::Name { get, .. } | Access::Labels { get, .. } => {
                for record in records {
                    text(to, get(record));
                }
            }
            Access::Ip { get, .. } => records.iter().for_each(|record| address(to, get(record))),
            Access::Uuid { get, .. } if self.column.form == Form::Uuid => {
                let bytes = |record| get(record).map_or([0; 16], |uid| halves(uid.0));
                numbers(to, records.iter().map(bytes));
            }
            Access::Uuid { get, .. } => records.iter().for_each(|record| match get(record) {
                None => to.push(0),
                Some(uid) => {
                    to.push(36);
                    write(to, format_args!("{uid}"));
                }
            }),
        }
    }
}

/// At most as many as are near.
fn numbers<const N: usize>(to: &mut Vec<u8>, values: impl Iterator<Item = [u8; N]>) {
    let mut all = [[0; N]; NEAR];
    let mut count = 0;
    for (place, value) in all.iter_mut().zip(values) {
        *place = value;
        count += 1;
    }
    to.extend_from_slice(all.get(..count).unwrap_or_default().as_flattened());
}

/// A number in groups of seven bits, the lowest first.
fn length(to: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        to.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    to.push(u8::try_from(length).unwrap_or_default());
}

#[inline]
fn text(to: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        return to.push(0);
    }
    length(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// An address that is not known is no text.
fn address(to: &mut Vec<u8>, address: Option<IpAddr>) {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => dotted(to, address),
        Some(IpAddr::V6(address)) if !address.is_unspecified() => {
            let at = to.len();
            to.push(0);
            write(to, format_args!("{address}"));
            let length = to.len() - at - 1;
            if let Some(place) = to.get_mut(at) {
                // At most 39.
                *place = u8::try_from(length).unwrap_or_default();
            }
        }
        _ => to.push(0),
    }
}

/// As `Display` writes it, several times as fast.
fn dotted(to: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [0; 16];
    let mut end = 1;
    let mut put = |digit: u8| {
        if let Some(place) = text.get_mut(end) {
            *place = digit;
        }
        end += 1;
    };
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    let [first, ..] = &mut text;
    *first = u8::try_from(end - 1).unwrap_or_default();
    to.extend_from_slice(text.get(..end).unwrap_or_default());
}

/// `UUID` is two numbers.
fn halves(mut bytes: [u8; 16]) -> [u8; 16] {
    let (high, low) = bytes.split_at_mut(8);
    high.reverse();
    low.reverse();
    bytes
}

fn write(to: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // A vector takes everything.
    to.write_fmt(what).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn bytes(block: &Block) -> Vec<u8> {
        block.parts().flat_map(|(head, values)| [&head, values].concat()).collect()
    }

    fn columns(has: &[(&str, &str)]) -> Columns {
        let has: Vec<_> = has.iter().map(|(n, k)| ((*n).to_owned(), (*k).to_owned())).collect();
        Columns::of(has.iter().map(|(name, kind)| (name, kind)))
    }

    /// By hand, after ClickHouse's documentation of the format.
    #[test]
    fn a_block_is_native() {
        let has = [("destinationTransportPort", "UInt16"), ("tcpState", "String")];
        let mut block = Block::new(&columns(&has), "");
        let mut record = FlowRecord { tcp_state: "SYN_SENT".into(), ..FlowRecord::default() };
        record.key.destination_port = 443;
        block.push(&[record, FlowRecord::default()]);
        let expected = b"\x02\x02\x18destinationTransportPort\x06UInt16\xbb\x01\0\0\
            \x08tcpState\x06String\x08SYN_SENT\0";
        assert_eq!(bytes(&block), expected);
        assert_eq!((block.rows(), block.bytes()), (2, 14));
        block.keep(&columns(&has[1..]));
        assert_eq!(bytes(&block), b"\x01\x02\x08tcpState\x06String\x08SYN_SENT\0");
    }

    #[test]
    fn addresses_are_as_everybody_writes_them() {
        let mut seen = 0;
        for seed in 0..2000_u32 {
            let v4 = Ipv4Addr::from(seed.wrapping_mul(2_654_435_761));
            let v6 = Ipv6Addr::from(u128::from(seed) << (seed % 120));
            for ip in [IpAddr::from(v4), v6.into()] {
                let mut told = Vec::new();
                address(&mut told, Some(ip));
                let ip = ip.to_canonical();
                let expected = if ip.is_unspecified() { String::new() } else { ip.to_string() };
                assert_eq!(told.first().copied().map(usize::from), Some(expected.len()), "{ip}");
                assert_eq!(told.get(1..), Some(expected.as_bytes()));
                seen += 1;
            }
        }
        assert_eq!(seen, 4000);
        let mut told = Vec::new();
        address(&mut told, None);
        assert_eq!(told, [0]);
    }

    #[test]
    fn long_texts_have_long_lengths() {
        let mut told = Vec::new();
        text(&mut told, &"x".repeat(300));
        assert_eq!((told.get(..2), told.len()), (Some(&[0xac, 0x02][..]), 302));
    }
}
