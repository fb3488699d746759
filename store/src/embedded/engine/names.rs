//! Numbers for names, the same throughout a query.

use std::hash::BuildHasher;
use std::net::IpAddr;

use arrow::array::{Array, StringArray};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::cells::{Texts, is_same};

/// The number of the empty name, and of an address that is none.
pub(super) const EMPTY: u32 = 0;

/// What has no number yet.
const UNKNOWN: u32 = u32::MAX;

/// Names by number.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    /// Numbers for numbers too large to be part of a key.
    wide: HashMap<u64, u32>,
    widest: Vec<u64>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let mut names = Self {
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            text: String::new(),
            ends: Vec::new(),
            wide: HashMap::new(),
            widest: Vec::new(),
        };
        names.number("");
        names
    }

    pub(crate) fn number(&mut self, name: &str) -> u32 {
        let Self { numbers, hasher, text, ends, .. } = self;
        // Beyond 2^32 names, which take far more memory than a query may have, they are alike.
        let next = u32::try_from(ends.len()).unwrap_or(UNKNOWN);
        let entry = numbers.entry(
            hasher.hash_one(name),
            |number| name_of(text, ends, *number) == name,
            |number| hasher.hash_one(name_of(text, ends, *number)),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                entry.insert(next);
                text.push_str(name);
                ends.push(text.len());
                next
            }
        }
    }

    /// All names, in the order of their numbers.
    pub(crate) fn into_values(self) -> StringArray {
        (0..self.ends.len())
            .map(|number| {
                Some(name_of(&self.text, &self.ends, u32::try_from(number).unwrap_or(UNKNOWN)))
            })
            .collect()
    }

    pub(super) fn name(&self, number: u32) -> &str {
        name_of(&self.text, &self.ends, number)
    }

    pub(super) fn number_of_wide(&mut self, value: u64) -> u32 {
        let next = u32::try_from(self.widest.len()).unwrap_or(UNKNOWN);
        let number = *self.wide.entry(value).or_insert(next);
        if number == next {
            self.widest.push(value);
        }
        number
    }

    pub(super) fn wide(&self, number: u32) -> u64 {
        self.widest.get(number as usize).copied().unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * 8
            + self.numbers.allocation_size()
            + self.wide.allocation_size()
            + self.widest.capacity() * 8
    }
}

fn name_of<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| text.get(start..*end)).unwrap_or_default()
}

/// The numbers of a column's names, dictionary by dictionary.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    dictionary: Option<StringArray>,
    /// By code; [`UNKNOWN`] until needed.
    known: Vec<u32>,
    is_address: bool,
}

impl Numbers {
    pub(super) fn new(is_address: bool) -> Self {
        Self { is_address, ..Self::default() }
    }

    /// Calls `each` for all rows in order.
    pub(super) fn for_each(
        &mut self,
        texts: Texts<'_>,
        rows: usize,
        names: &mut Names,
        mut each: impl FnMut(u32),
    ) {
        let Texts::Codes { codes, nulls, dictionary } = texts else {
            return (0..rows).for_each(|_| each(EMPTY));
        };
        if !self.dictionary.as_ref().is_some_and(|last| is_same(last, dictionary)) {
            self.dictionary = Some(dictionary.clone());
            self.known.clear();
            self.known.resize(dictionary.len(), UNKNOWN);
        }
        for (row, code) in codes.iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                each(EMPTY);
                continue;
            }
            // The decoder has seen to it that codes are those of the dictionary.
            let number = usize::try_from(*code).ok().and_then(|code| self.known.get_mut(code));
            let Some(number) = number else {
                each(EMPTY);
                continue;
            };
            if *number == UNKNOWN {
                let text = usize::try_from(*code).map_or("", |code| dictionary.value(code));
                *number = number_of(text, self.is_address, names);
            }
            each(*number);
        }
    }
}

fn number_of(text: &str, is_address: bool, names: &mut Names) -> u32 {
    if !is_address {
        return names.number(text);
    }
    match address(text) {
        None => EMPTY,
        // There is one way to write an IPv4 address.
        Some(IpAddr::V4(_)) if !text.contains(':') => names.number(text),
        Some(address) => names.number(&address.to_string()),
    }
}

/// The address that a text is, as [`crate::query::Value::address`] has it.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_a_number_one_name() {
        let mut names = Names::new();
        let numbers: Vec<_> = ["", "a", "bb", "a", ""].map(|name| names.number(name)).into();
        assert_eq!(numbers, [EMPTY, 1, 2, 1, EMPTY]);
        assert_eq!([0, 1, 2, 3].map(|number| names.name(number).to_owned()), ["", "a", "bb", ""]);
        let numbers: Vec<_> = [7, u64::MAX, 7].map(|wide| names.number_of_wide(wide)).into();
        assert_eq!(numbers, [0, 1, 0]);
        assert_eq!(names.wide(1), u64::MAX);
    }

    #[test]
    fn addresses_are_told_apart_by_what_they_are() {
        let mut names = Names::new();
        let mut number = |text| number_of(text, true, &mut names);
        assert_eq!(number("10.0.0.1"), number("::ffff:10.0.0.1"));
        assert_eq!(number("2001:db8::1"), number("2001:DB8:0::1"));
        assert_ne!(number("2001:db8::1"), number("2001:db8::2"));
        assert_eq!([number(""), number("::"), number("0.0.0.0"), number("x")], [EMPTY; 4]);
    }
}
