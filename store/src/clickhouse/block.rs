//! Records as one block of ClickHouse's `Native` format: for each column its name, its type and its
//! values, numbers in little-endian order and texts behind their lengths.
//!
//! Rows become columns as they come, a few at a time, so that a record is read while it is near. Of
//! what many records have in common, such as the Pods they are between, a row costs one number: a
//! part is known by where it is, and its names are looked at once in a block.
mod text; // texts behind their lengths
mod codes; // numbers for what comes again
mod shared; // columns with such numbers

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use flow::{Access, Field, FlowRecord, Group, TIME_INSERTED};

use self::shared::Shared;
use super::columns::{Column, Columns, Form, Value};

/// Records whose columns are written at once: they fit the nearest cache of a core.
const NEAR: usize = 32;

/// Rows that are inserted together, or not at all.
#[derive(Debug, Default)]
pub struct Block {
    /// Columns with a value of its own in each row.
    own: Vec<Own>,
    /// What several rows may have in common, with the columns that tell of it.
    shared: Vec<Shared>,
    /// Seconds since 1970, of rows whose time of insertion the server must not set.
    inserted: Vec<u8>,
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Own {
    column: Column,
    field: &'static Field,
    /// Up to `end`. What is behind it is memory that was filled before, or will be.
    values: Vec<u8>,
    end: usize,
}

impl Block {
    /// An empty one. `cluster_uuid` is in each row.
    pub fn new(columns: &Columns, cluster_uuid: &str) -> Self {
        let mut block = Self { shared: Group::ALL.map(Shared::part).into(), ..Self::default() };
        for column in &columns.written {
            match column.value {
                Value::ClusterUuid => block.shared.push(Shared::same(*column, cluster_uuid)),
                Value::Attribute(Field { group: Some(group), access, .. })
                    if column.form != Form::Uuid =>
                {
                    for part in block.shared.iter_mut().filter(|it| it.is_part(*group)) {
                        part.add(*column, *access);
                    }
                }
                Value::Attribute(Field { access, .. })
                    if matches!(column.form, Form::Name | Form::OldName) =>
                {
                    block.shared.push(Shared::name(*column, *access));
                }
                Value::Attribute(field) => {
                    block.own.push(Own { column: *column, field, values: Vec::new(), end: 0 });
                }
            }
        }
        block.shared.retain(|it| !it.is_empty());
        block
    }

    /// Takes the memory of another block, whose rows are gone. To touch new memory costs as much as
    /// to fill it.
    #[must_use]
    pub fn reusing(mut self, mut other: Self) -> Self {
        for own in &mut self.own {
            let theirs = other.own.iter_mut().find(|it| it.column.name == own.column.name);
            own.values = theirs.map(|it| std::mem::take(&mut it.values)).unwrap_or_default();
        }
        if self.shared.len() == other.shared.len() {
            for (ours, theirs) in self.shared.iter_mut().zip(other.shared) {
                ours.reuse(theirs);
            }
        }
        self
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all values, at most.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn push(&mut self, records: &[FlowRecord]) {
        for near in records.chunks(NEAR) {
            self.shared.iter_mut().for_each(|shared| shared.push(near));
            self.own.iter_mut().for_each(|own| own.push(near));
        }
        self.rows += records.len();
        self.count();
    }

    /// Records that were inserted at `inserted_ms` elsewhere, and not when the server takes them.
    /// All of a block are told like this, or none.
    pub fn push_inserted(&mut self, records: &[FlowRecord], inserted_ms: u64) {
        let seconds = u32::try_from(inserted_ms / 1000).unwrap_or(u32::MAX).to_le_bytes();
        self.inserted.extend(seconds.repeat(records.len()));
        self.push(records);
    }

    fn count(&mut self) {
        let own: usize = self.own.iter().map(|own| own.end).sum();
        let shared: usize = self.shared.iter().map(|it| it.bytes(self.rows)).sum();
        self.bytes = own + shared;
    }

    /// Leaves out columns that `columns` does not have, or has as another type.
    pub fn keep(&mut self, columns: &Columns) {
        let is_kept = |column: &Column| {
            columns.written.iter().any(|it| it.name == column.name && it.form == column.form)
        };
        self.own.retain(|own| is_kept(&own.column));
        self.shared.iter_mut().for_each(|shared| shared.keep(is_kept));
        self.count();
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        let shared = self.shared.iter().flat_map(Shared::columns);
        self.own.iter().map(|own| &own.column).chain(shared)
    }

    /// `` `a`, `b` ``
    pub(super) fn names(&self) -> String {
        let names = self.columns().map(|column| column.name);
        let inserted = (!self.inserted.is_empty()).then_some(TIME_INSERTED);
        let names = names.chain(inserted).map(|name| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The bytes of a block of some of the rows, one part after the other.
    pub(super) fn parts(self: &Arc<Self>, rows: Range<usize>) -> impl Iterator<Item = Bytes> {
        let mut start = Vec::new();
        let is_told = !self.inserted.is_empty();
        text::length(&mut start, self.columns().count() + usize::from(is_told));
        text::length(&mut start, rows.len());
        let own = (0..self.own.len()).flat_map({
            let rows = rows.clone();
            move |column| [self.head(column), self.values(column, &rows)]
        });
        let inserted = is_told.then(|| {
            let times = self.inserted.get(rows.start * 4..rows.end * 4).unwrap_or_default();
            [head(TIME_INSERTED, Form::DateTime), Bytes::copy_from_slice(times)]
        });
        let shared = self.shared.iter().flat_map(move |shared| shared.parts(rows.clone()));
        let parts = std::iter::once(start.into()).chain(own).chain(shared);
        parts.chain(inserted.into_iter().flatten())
    }

    fn head(&self, own: usize) -> Bytes {
        self.own.get(own).map(|own| head(own.column.name, own.column.form)).unwrap_or_default()
    }

    /// Not copied.
    fn values(self: &Arc<Self>, own: usize, rows: &Range<usize>) -> Bytes {
        let Some(Own { column, values, .. }) = self.own.get(own) else { return Bytes::new() };
        let range = match column.form.width() {
            Some(width) => rows.start * width..rows.end * width,
            None => text::addresses(values, rows),
        };
        Bytes::from_owner(Lent { block: Arc::clone(self), own }).slice(range)
    }
}

/// A column's values, for those who send them.
struct Lent {
    block: Arc<Block>,
    own: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.block.own.get(self.own).map(|own| own.values.as_slice()).unwrap_or_default()
    }
}

/// What stands before a column's values.
fn head(name: &str, form: Form) -> Bytes {
    let mut head = Vec::new();
    text::text(&mut head, name);
    text::text(&mut head, form.word());
    head.into()
}

impl Own {
    /// At most as many as are near.
    fn push(&mut self, records: &[FlowRecord]) {
        match (self.field.access, self.column.form) {
            (Access::Milliseconds { .. }, Form::DateTime) => {
                self.numbers::<4>(records, |number| (number / 1000).min(u32::MAX.into()));
            }
            (Access::Milliseconds { .. }, _) => {
                // What no time can be is the last there is.
                self.numbers::<8>(records, |number| number.min(i64::MAX.unsigned_abs()));
            }
            (Access::U8 { .. }, _) => self.numbers::<1>(records, |number| number),
            (Access::U16 { .. }, _) => self.numbers::<2>(records, |number| number),
            (Access::U32 { .. } | Access::Seconds { .. }, _) => {
                self.numbers::<4>(records, |number| number);
            }
            (Access::U64 { .. }, _) => self.numbers::<8>(records, |number| number),
            (Access::Ip { get, .. }, _) => {
                let start = self.end;
                let room = self.room(records.len() * text::ADDRESS);
                let mut length = 0;
                for record in records {
                    length +=
                        text::address(room.get_mut(length..).unwrap_or_default(), get(record));
                }
                self.end = start + length;
            }
            (Access::Uuid { get, .. }, _) => {
                let (places, _) = self.room(records.len() * 16).as_chunks_mut();
                for (place, record) in places.iter_mut().zip(records) {
                    *place = get(record).map_or([0; 16], |uid| halves(uid.0));
                }
            }
            // Those are shared.
            (Access::Name { .. } | Access::Labels { .. }, _) => {}
        }
    }

    /// The lowest bytes of what `of` makes of each number.
    fn numbers<const N: usize>(&mut self, records: &[FlowRecord], of: impl Fn(u64) -> u64) {
        let mut near = [0; NEAR];
        (self.field.numbers)(records, &mut near);
        let (places, _) = self.room(records.len() * N).as_chunks_mut();
        for (place, number) in places.iter_mut().zip(near) {
            *place = of(number).to_le_bytes().first_chunk().copied().unwrap_or([0; N]);
        }
    }

    /// So many bytes behind what is there, to be written.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let (start, end) = (self.end, self.end + bytes);
        if self.values.len() < end {
            self.values.resize(2 * end, 0);
        }
        self.end = end;
        self.values.get_mut(start..end).unwrap_or_default()
    }
}

/// `UUID` is two numbers.
fn halves(mut bytes: [u8; 16]) -> [u8; 16] {
    let (high, low) = bytes.split_at_mut(8);
    high.reverse();
    low.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use flow::{Endpoint, Name, Shared as Part};

    use super::*;

    fn bytes(block: Block, rows: Range<usize>) -> Vec<u8> {
        Arc::new(block).parts(rows).flatten().collect()
    }

    fn columns(has: &[(&str, &str)]) -> Columns {
        let has: Vec<_> = has.iter().map(|(n, k)| ((*n).to_owned(), (*k).to_owned())).collect();
        Columns::of(has.iter().map(|(name, kind)| (name, kind)))
    }

    const HAS: [(&str, &str); 3] =
        [("sourceIP", "String"), ("destinationTransportPort", "UInt16"), ("tcpState", "String")];

    fn block() -> Block {
        let mut block = Block::new(&columns(&HAS), "");
        let mut record = FlowRecord { tcp_state: "SYN_SENT".into(), ..FlowRecord::default() };
        record.key.destination_port = 443;
        record.key.source = [10, 0, 0, 255].into();
        block.push(&[record, FlowRecord::default()]);
        block
    }

    const STATES: &[u8] = b"\x08tcpState\x16LowCardinality(String)\x01\0\0\0\0\0\0\0\
        \0\x02\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x08SYN_SENT\0";

    /// By hand, after ClickHouse's documentation of the format, and its source where there is none.
    #[test]
    fn a_block_is_native() {
        let expected = [
            b"\x03\x02\x18destinationTransportPort\x06UInt16\xbb\x01\0\0\
              \x08sourceIP\x06String\x0a10.0.0.255\0",
            STATES,
            b"\x02\0\0\0\0\0\0\0\0\x01",
        ];
        assert_eq!(bytes(block(), 0..2), expected.concat());
    }

    #[test]
    fn a_part_of_a_block_is_one() {
        let expected = [
            b"\x03\x01\x18destinationTransportPort\x06UInt16\0\0\x08sourceIP\x06String\0",
            STATES,
            b"\x01\0\0\0\0\0\0\0\x01",
        ];
        assert_eq!(bytes(block(), 1..2), expected.concat());
    }

    #[test]
    fn who_takes_no_dictionaries_is_sent_none() {
        let mut block = Block::new(&columns(&HAS[2..]).without_dictionaries(), "");
        let states =
            ["A", "", "BC", "A"].map(|it| FlowRecord { tcp_state: it.into(), ..<_>::default() });
        block.push(&states);
        assert_eq!(bytes(block, 0..4), b"\x01\x04\x08tcpState\x06String\x01A\0\x02BC\x01A");
    }

    #[test]
    fn what_the_table_does_not_have_is_left_out() {
        let mut block = block();
        block.keep(&columns(&HAS[2..]));
        let expected = [b"\x01\x02", STATES, b"\x02\0\0\0\0\0\0\0\0\x01"].concat();
        assert_eq!(bytes(block, 0..2), expected);
    }

    #[test]
    fn addresses_with_one_text_are_one() {
        let has = [("destinationServiceIP", "String")];
        let ips = [
            None,
            Some("0.0.0.0"),
            Some("10.0.0.1"),
            Some("::ffff:10.0.0.1"),
            Some("::"),
            Some("::1"),
            Some("0.0.0.1"),
            Some("::ffff:0.0.0.0"),
        ];
        let records = ips.map(|ip| {
            let mut record = FlowRecord::default();
            record.service.ip = ip.map(|ip| ip.parse().unwrap());
            record
        });
        let mut block = Block::new(&columns(&has), "");
        block.push(&records);
        let texts = b"\x04\0\0\0\0\0\0\0\0\x0810.0.0.1\x03::1\x070.0.0.1\x08\0\0\0\0\0\0\0";
        let expected = [&texts[..], &[0, 0, 1, 1, 0, 2, 3, 0]].concat();
        assert!(bytes(block, 0..8).ends_with(&expected));
    }

    /// Places in memory are used again, names come in several copies, and blocks too.
    #[test]
    fn parts_that_come_and_go_are_told_from_each_other() {
        let has = [("sourcePodName", "String"), ("sourcePodNamespace", "String")];
        let mut block = Block::new(&columns(&has), "");
        for round in 0..3 {
            block = Block::new(&columns(&has), "").reusing(block);
            for number in 0..1000 {
                let pod = format!("pod-{}", number % 300 + round);
                let source = Endpoint {
                    pod: Name::from(pod.as_str()),
                    namespace: "one".into(),
                    ..Endpoint::default()
                };
                let source = Part::from(source);
                let record = FlowRecord { source, ..FlowRecord::default() };
                block.push(&[record.clone(), record]);
            }
        }
        let shared = block.shared.iter().find(|it| it.is_part(Group::Source)).unwrap();
        let parts: Vec<_> = shared.parts(0..2000).collect();
        // Of either column: what it is called, its texts, and its rows.
        let [_, pods, numbers, _, namespaces, same] = parts.as_slice() else { panic!() };
        assert_eq!(pods[16..24], 300_u64.to_le_bytes());
        for row in 0..2000_u16 {
            let at = usize::from(row) * 2;
            assert_eq!(numbers[at..at + 2], (row / 2 % 300).to_le_bytes(), "{row}");
        }
        assert!(pods[24..].starts_with(b"\x05pod-2\x05pod-3"));
        assert_eq!((&namespaces[24..28], same.len()), (&b"\x03one"[..], 2000));
    }
}
