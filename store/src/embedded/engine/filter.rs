//! A predicate, ready to be tried on batches.

use std::net::IpAddr;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::HashSet;

use super::cells::{Texts, WrongType, is_same, numbers};
use super::names::{EMPTY, Names, Numbers, address};
use super::numeric::NumberTest;
use crate::query::{AddressRange, Column, Comparison, Condition, Kind, Predicate, TextTest};

/// A predicate with what it remembers of the dictionaries it has seen.
#[derive(Debug)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Number(NumberTest),
    Text(TextFilter),
    Numbers { left: Column, comparison: Comparison, right: Column },
    Texts { left: (Column, Numbers), right: (Column, Numbers), names: Box<Names> },
}

impl Filter {
    pub(super) fn new(predicate: &Predicate) -> Self {
        match predicate {
            Predicate::And(parts) => Self::And(parts.iter().map(Self::new).collect()),
            Predicate::Or(parts) => Self::Or(parts.iter().map(Self::new).collect()),
            Predicate::Not(inner) => Self::Not(Box::new(Self::new(inner))),
            Predicate::Is(condition) => Self::of(condition),
        }
    }

    fn of(condition: &Condition) -> Self {
        if let Some(test) = NumberTest::new(condition) {
            return Self::Number(test);
        }
        match condition {
            Condition::Columns { left, comparison, right } if left.kind().is_numeric() => {
                Self::Numbers { left: *left, comparison: *comparison, right: *right }
            }
            Condition::Columns { left, right, .. } => {
                let side = |column: Column| (column, Numbers::new(column.kind() == Kind::Address));
                Self::Texts {
                    left: side(*left),
                    right: side(*right),
                    names: Box::new(Names::new()),
                }
            }
            other => Self::Text(TextFilter::new(other)),
        }
    }

    /// Whether it holds, of each row.
    pub(super) fn evaluate(&mut self, batch: &RecordBatch) -> Result<BooleanBuffer, WrongType> {
        let rows = batch.num_rows();
        match self {
            Self::And(parts) => {
                let mut all = BooleanBuffer::new_set(rows);
                for part in parts {
                    all = &all & &part.evaluate(batch)?;
                    if all.count_set_bits() == 0 {
                        break;
                    }
                }
                Ok(all)
            }
            Self::Or(parts) => {
                let mut any = BooleanBuffer::new_unset(rows);
                for part in parts {
                    any = &any | &part.evaluate(batch)?;
                }
                Ok(any)
            }
            Self::Not(inner) => Ok(!&inner.evaluate(batch)?),
            Self::Number(test) => {
                let numbers = numbers(batch, test.column)?;
                Ok(BooleanBuffer::collect_bool(rows, |row| test.holds(numbers[row])))
            }
            Self::Text(filter) => filter.evaluate(batch),
            Self::Numbers { left, comparison, right } => {
                let absent = |column: &Column, n: u64| n == 0 && column.kind().zero_is_absent();
                let (lefts, rights) = (numbers(batch, *left)?, numbers(batch, *right)?);
                Ok(BooleanBuffer::collect_bool(rows, |row| {
                    let (one, other) = (lefts[row], rights[row]);
                    !absent(left, one) && !absent(right, other) && comparison.holds(one.cmp(&other))
                }))
            }
            Self::Texts { left, right, names } => {
                let lefts = all_numbers(left, batch, names)?;
                let rights = all_numbers(right, batch, names)?;
                Ok(BooleanBuffer::collect_bool(rows, |row| {
                    lefts[row] == rights[row] && lefts[row] != EMPTY
                }))
            }
        }
    }

    /// Adds the names of the stored columns it looks at.
    pub(super) fn columns(&self, into: &mut HashSet<&'static str>) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.columns(into);
                }
            }
            Self::Not(inner) => inner.columns(into),
            Self::Number(test) => into.extend(test.column.stored()),
            Self::Text(filter) => into.extend(filter.column.stored()),
            Self::Numbers { left, right, .. } => into.extend(left.stored().chain(right.stored())),
            Self::Texts { left, right, .. } => into.extend(left.0.stored().chain(right.0.stored())),
        }
    }

    /// What it holds besides its own size, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::bytes).sum(),
            Self::Not(inner) => inner.bytes(),
            Self::Number(_) | Self::Numbers { .. } => 0,
            Self::Text(filter) => filter.verdicts.capacity(),
            Self::Texts { names, .. } => names.bytes(),
        }
    }
}

fn all_numbers(
    (column, numbers): &mut (Column, Numbers),
    batch: &RecordBatch,
    names: &mut Names,
) -> Result<Vec<u32>, WrongType> {
    let mut all = Vec::with_capacity(batch.num_rows());
    let texts = Texts::of(batch, *column)?;
    numbers.for_each(texts, batch.num_rows(), names, |number| all.push(number));
    Ok(all)
}

/// A condition on names, addresses or labels, tried once per entry of a dictionary.
#[derive(Debug)]
pub(super) struct TextFilter {
    pub column: Column,
    test: EntryTest,
    dictionary: Option<StringArray>,
    verdicts: Vec<bool>,
}

#[derive(Debug)]
enum EntryTest {
    Present,
    /// Some address.
    Address,
    /// Sorted by their first address, none of them inside another.
    Ranges(Vec<AddressRange>),
    Names(HashSet<String>),
    Text(TextTest),
    HasLabel(String),
    Label(String, TextTest),
    /// What other kinds of columns would need.
    Never,
}

impl TextFilter {
    fn new(condition: &Condition) -> Self {
        let (column, test) = match condition {
            Condition::Has(column) if column.kind() == Kind::Address => {
                (*column, EntryTest::Address)
            }
            Condition::Has(column) => (*column, EntryTest::Present),
            Condition::AddressIn { column, ranges } => {
                (*column, EntryTest::Ranges(disjoint(ranges.clone())))
            }
            Condition::Text { column, test: TextTest::OneOf(names) } => {
                (*column, EntryTest::Names(names.iter().cloned().collect()))
            }
            Condition::Text { column, test } => (*column, EntryTest::Text(test.clone())),
            Condition::HasLabel { column, key } => (*column, EntryTest::HasLabel(key.clone())),
            Condition::Label { column, key, test } => {
                (*column, EntryTest::Label(key.clone(), test.clone()))
            }
            Condition::Number { column, .. } | Condition::NumberIn { column, .. } => {
                (*column, EntryTest::Never)
            }
            Condition::Columns { left, .. } => (*left, EntryTest::Never),
        };
        Self { column, test, dictionary: None, verdicts: Vec::new() }
    }

    fn evaluate(&mut self, batch: &RecordBatch) -> Result<BooleanBuffer, WrongType> {
        let rows = batch.num_rows();
        let Texts::Codes { codes, nulls, dictionary } = Texts::of(batch, self.column)? else {
            return Ok(BooleanBuffer::new_unset(rows));
        };
        if !self.dictionary.as_ref().is_some_and(|known| is_same(known, dictionary)) {
            self.dictionary = Some(dictionary.clone());
            self.verdicts.clear();
            let entries = (0..dictionary.len()).map(|code| self.test.holds(dictionary.value(code)));
            self.verdicts.extend(entries);
        }
        if !self.verdicts.contains(&true) {
            return Ok(BooleanBuffer::new_unset(rows));
        }
        let verdict = |code: i32| {
            usize::try_from(code).ok().and_then(|code| self.verdicts.get(code)).copied()
        };
        let holds =
            BooleanBuffer::collect_bool(rows, |row| verdict(codes[row]).unwrap_or_default());
        Ok(match nulls {
            Some(nulls) => &holds & nulls.inner(),
            None => holds,
        })
    }

    /// Whether it holds of a text that a dictionary has.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.test.holds(text)
    }
}

impl EntryTest {
    fn holds(&self, text: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        match self {
            Self::Present => true,
            Self::Address => address(text).is_some(),
            Self::Ranges(ranges) => address(text).is_some_and(|address| is_in(ranges, address)),
            Self::Names(names) => names.contains(text),
            Self::Text(wanted) => wanted.holds(text),
            Self::HasLabel(key) => with_label(text, key, |_| true),
            Self::Label(key, wanted) => with_label(text, key, |value| wanted.holds(value)),
            Self::Never => false,
        }
    }
}

/// Whether the labels have this key, and its value passes.
fn with_label(labels: &str, key: &str, passes: impl FnOnce(&str) -> bool) -> bool {
    let Ok(labels) = serde_json::from_str::<serde_json::Value>(labels) else { return false };
    labels.get(key).and_then(serde_json::Value::as_str).is_some_and(passes)
}

fn disjoint(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort_unstable_by_key(|range| (range.first(), std::cmp::Reverse(range.last())));
    let mut last: Option<IpAddr> = None;
    ranges.retain(|range| {
        // Addresses of IPv4 come before those of IPv6, so one order serves both.
        let is_new = last.is_none_or(|last| range.last() > last);
        if is_new {
            last = Some(range.last());
        }
        is_new
    });
    ranges
}

fn is_in(ranges: &[AddressRange], address: IpAddr) -> bool {
    let behind = ranges.partition_point(|range| range.first() <= address);
    behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|it| it.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ranges_are_searched_as_each_is() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "192.168.0.0/24", "::/0", "2001:db8::/32"];
        let ranges: Vec<AddressRange> =
            nets.map(|net| net.parse::<ipnet::IpNet>().unwrap().into()).into();
        let searched = disjoint(ranges.clone());
        assert_eq!(searched.len(), 3);
        for text in ["10.1.2.3", "11.0.0.0", "192.168.0.255", "192.168.1.0", "::1", "9.0.0.0"] {
            let address = text.parse().unwrap();
            let expected = ranges.iter().any(|range| range.contains(address));
            assert_eq!(is_in(&searched, address), expected, "{text}");
        }
        assert!(!is_in(&searched[..2], "::1".parse().unwrap()));
    }
}
