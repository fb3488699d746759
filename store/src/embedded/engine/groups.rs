//! Rows become groups.

use std::hash::BuildHasher;

use arrow::array::RecordBatch;
use flow::{Access, Name};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::cells::{Texts, numbers};
use super::filter::Filter;
use super::names::{Names, Numbers, address};
use super::packed::Packed;
use super::scan::{Halt, Sink};
use super::states::States;
use crate::query::{Column, Grouping, Key, Kind, Range, Source, Value};

/// One key, as a part of a packed one.
#[derive(Debug)]
pub(super) struct Part {
    pub key: Key,
    pub bits: u32,
    how: How,
    texts: Numbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The number of its text.
    Text,
    /// Itself.
    Small,
    /// The number of a number.
    Wide,
    /// Which interval, counted from the first.
    Interval { step_ms: u64, first: u64 },
}

impl Part {
    fn new(key: Key, range: Range) -> Self {
        let (how, bits) = match key {
            Key::Time { step_ms } => {
                let first = range.since_ms / step_ms;
                let last = (range.until_ms - 1) / step_ms - first;
                (How::Interval { step_ms, first }, (u64::BITS - last.leading_zeros()).max(1))
            }
            Key::Column(column) => match (column.kind(), column.source()) {
                (Kind::Address | Kind::Text | Kind::Labels, _) => (How::Text, 32),
                (_, Source::Field(field)) => match field.access {
                    Access::U8 { .. } => (How::Small, 8),
                    Access::U16 { .. } => (How::Small, 16),
                    Access::U32 { .. } => (How::Small, 32),
                    _ => (How::Wide, 32),
                },
                _ => (How::Wide, 32),
            },
        };
        let is_address = matches!(key, Key::Column(column) if column.kind() == Kind::Address);
        Self { key, bits, how, texts: Numbers::new(is_address) }
    }

    fn push<K: Packed>(
        &mut self,
        batch: &RecordBatch,
        keys: &mut [K],
        names: &mut Names,
    ) -> Result<(), Halt> {
        let bits = self.bits;
        let rows = batch.num_rows();
        match (self.how, self.key) {
            (How::Text, Key::Column(column)) => {
                let mut keys = keys.iter_mut();
                self.texts.for_each(Texts::of(batch, column)?, rows, names, |number| {
                    if let Some(key) = keys.next() {
                        key.push(bits, number);
                    }
                });
            }
            (How::Interval { step_ms, first }, _) => {
                let Some(end) = Column::by_name(Column::END) else { return Ok(()) };
                // Neighbours mostly end in the same interval.
                let (mut known, mut number) = (1..1, 0);
                for (key, end) in keys.iter_mut().zip(numbers(batch, end)?.iter()) {
                    if !known.contains(end) {
                        let interval = end / step_ms;
                        known = interval * step_ms..(interval * step_ms).saturating_add(step_ms);
                        number = u32::try_from(interval.saturating_sub(first)).unwrap_or(0);
                    }
                    key.push(bits, number);
                }
            }
            (How::Small, Key::Column(column)) => {
                for (key, number) in keys.iter_mut().zip(numbers(batch, column)?.iter()) {
                    key.push(bits, u32::try_from(*number).unwrap_or(0));
                }
            }
            (_, Key::Column(column)) => {
                for (key, number) in keys.iter_mut().zip(numbers(batch, column)?.iter()) {
                    key.push(bits, names.number_of_wide(*number));
                }
            }
            (_, Key::Time { .. }) => {}
        }
        Ok(())
    }

    /// What a number that was pushed stands for.
    pub(super) fn value(&self, number: u32, names: &Names) -> Value {
        match self.how {
            How::Small => Value::Number(number.into()),
            How::Wide => Value::Number(names.wide(number)),
            How::Interval { step_ms, first } => {
                Value::Number((first + u64::from(number)) * step_ms)
            }
            How::Text => match self.key {
                Key::Column(column) if column.kind() == Kind::Address => {
                    Value::address(address(names.name(number)))
                }
                _ => Value::Text(Name::from(names.name(number))),
            },
        }
    }

    /// The number that stands here for what `number` stands for among `theirs`.
    fn translated(&self, number: u32, theirs: &Names, ours: &mut Names) -> u32 {
        match self.how {
            How::Text => ours.number(theirs.name(number)),
            How::Wide => ours.number_of_wide(theirs.wide(number)),
            How::Small | How::Interval { .. } => number,
        }
    }
}

/// The parts of the keys, the time last, and how many bits they take.
pub(super) fn parts(grouping: &Grouping, range: Range) -> (Vec<Part>, u32) {
    let is_time = |key: &&Key| matches!(key, Key::Time { .. });
    let keys = &grouping.keys;
    let columns = keys.iter().filter(|key| !is_time(key));
    let parts: Vec<_> =
        columns.chain(keys.iter().filter(is_time)).map(|key| Part::new(*key, range)).collect();
    let bits = parts.iter().map(|part| part.bits).sum();
    (parts, bits)
}

/// The stored columns that groups are made of.
pub(super) fn columns(grouping: &Grouping) -> HashSet<&'static str> {
    let mut columns = HashSet::new();
    for key in &grouping.keys {
        match key {
            Key::Column(column) => columns.extend(column.stored()),
            Key::Time { .. } => columns.extend([Column::END]),
        }
    }
    for aggregate in &grouping.aggregates {
        columns.extend(aggregate.function.column().into_iter().flat_map(Column::stored));
        if let Some(only) = &aggregate.only {
            Filter::new(only).columns(&mut columns);
        }
    }
    columns
}

/// The groups that one thread has found.
#[derive(Debug)]
pub(super) struct Groups<K> {
    pub parts: Vec<Part>,
    pub names: Names,
    table: HashTable<(K, u32)>,
    hasher: DefaultHashBuilder,
    /// By number.
    pub keys: Vec<K>,
    pub states: States,
    /// The keys and the groups of the rows of one batch; kept for their memory.
    row_keys: Vec<K>,
    row_places: Vec<u32>,
}

impl<K: Packed> Groups<K> {
    pub(super) fn new(grouping: &Grouping, range: Range) -> Self {
        let mut groups = Self {
            parts: parts(grouping, range).0,
            names: Names::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            keys: Vec::new(),
            states: States::new(&grouping.aggregates),
            row_keys: Vec::new(),
            row_places: Vec::new(),
        };
        if grouping.keys.is_empty() {
            groups.group(K::default());
            groups.states.grow(1);
        }
        groups
    }

    /// The number of the group with this key; its state may have to be made yet.
    fn group(&mut self, key: K) -> u32 {
        let Self { table, hasher, keys, .. } = self;
        let hash = hasher.hash_one(key);
        match table.entry(hash, |(it, _)| *it == key, |(it, _)| hasher.hash_one(it)) {
            Entry::Occupied(entry) => entry.get().1,
            Entry::Vacant(entry) => {
                // A query's memory ends long before 2^32 groups.
                let group = u32::try_from(keys.len()).unwrap_or(u32::MAX);
                entry.insert((key, group));
                keys.push(key);
                group
            }
        }
    }

    /// Takes over what another thread has found.
    pub(super) fn absorb(&mut self, others: &Self) {
        let mut places = Vec::with_capacity(others.keys.len());
        let mut numbers = vec![0; self.parts.len()];
        for key in &others.keys {
            let mut left = *key;
            for (part, number) in self.parts.iter().zip(&mut numbers).rev() {
                let theirs = left.pop(part.bits);
                *number = part.translated(theirs, &others.names, &mut self.names);
            }
            let mut key = K::default();
            for (part, number) in self.parts.iter().zip(&numbers) {
                key.push(part.bits, *number);
            }
            places.push(self.group(key));
        }
        self.states.grow(self.keys.len());
        let names = &mut self.names;
        self.states.absorb(
            &others.states,
            |group| places.get(group as usize).copied(),
            |number| names.number(others.names.name(number)),
        );
    }
}

impl<K: Packed> Sink for Groups<K> {
    fn wants(&self, _: (u64, u64)) -> bool {
        true
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Halt> {
        let mut keys = std::mem::take(&mut self.row_keys);
        let mut groups = std::mem::take(&mut self.row_places);
        keys.clear();
        keys.resize(batch.num_rows(), K::default());
        for part in &mut self.parts {
            part.push(batch, &mut keys, &mut self.names)?;
        }
        groups.clear();
        // Rows of one flow lie together, and those of one time.
        let mut last = None;
        groups.extend(keys.iter().map(|key| match last {
            Some((known, group)) if known == *key => group,
            _ => {
                let group = self.group(*key);
                last = Some((*key, group));
                group
            }
        }));
        self.states.grow(self.keys.len());
        self.states.add(batch, &groups, &mut self.names)?;
        (self.row_keys, self.row_places) = (keys, groups);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.names.bytes()
            + self.table.allocation_size()
            + self.keys.capacity() * size_of::<K>()
            + self.states.bytes()
    }
}
