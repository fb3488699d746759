//! What comes again and again: in each row a small number, and once what the numbers mean.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use bytes::Bytes;
use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::text;

/// How `Native` writes a `LowCardinality` column (ClickHouse's `SerializationLowCardinality.cpp`):
/// the version of its dictionaries, then that this one comes with the rows.
const VERSION: u64 = 1;
const HAS_KEYS: u64 = 1 << 9;

/// Numbers what comes, from 0 on.
#[derive(Debug)]
pub(super) struct Codes<K> {
    known: HashMap<K, u32>,
    last: Option<(K, u32)>,
    /// Of each row.
    pub(super) rows: Vec<u32>,
}

impl<K> Default for Codes<K> {
    fn default() -> Self {
        Self { known: HashMap::new(), last: None, rows: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Codes<K> {
    /// Adds a row. Returns whether this is the first with such a key.
    #[inline]
    pub(super) fn push(&mut self, key: K) -> bool {
        let (code, is_new) = match self.last {
            Some((last, code)) if last == key => (code, false),
            _ => {
                // Blocks have far fewer rows than that.
                let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                match self.known.entry(key) {
                    Entry::Occupied(known) => (*known.get(), false),
                    Entry::Vacant(place) => (*place.insert(next), true),
                }
            }
        };
        self.last = Some((key, code));
        self.rows.push(code);
        is_new
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.last = None;
        self.rows.clear();
    }
}

/// Distinct texts in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// One behind the other, as blocks have them.
    texts: Vec<u8>,
    /// Where each is, without its length.
    places: Vec<Range<usize>>,
    /// Numbers of texts.
    known: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Dictionary {
    /// The number of a text.
    pub(super) fn key(&mut self, text: &str) -> u32 {
        let Self { texts, places, known, hasher } = self;
        let text_of = |key: u32| texts.get(places.get(key as usize)?.clone());
        let hash = hasher.hash_one(text.as_bytes());
        if let Some(key) = known.find(hash, |key| text_of(*key) == Some(text.as_bytes())) {
            return *key;
        }
        let key = u32::try_from(places.len()).unwrap_or(u32::MAX);
        known.insert_unique(hash, key, |key| hasher.hash_one(text_of(*key).unwrap_or_default()));
        self.add(text)
    }

    /// The number of a text that was not there before.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let key = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        text::text(&mut self.texts, text);
        self.places.push(self.texts.len() - text.len()..self.texts.len());
        key
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.places.clear();
        self.known.clear();
    }

    /// A column whose rows have these codes, of which `keys` says which text each one means.
    /// Nothing for no rows.
    pub(super) fn column(&self, rows: &[u32], keys: &[u32]) -> [Bytes; 2] {
        if rows.is_empty() {
            return [VERSION.to_le_bytes().to_vec().into(), Bytes::new()];
        }
        let (width, rows_of) = match self.places.len() {
            0..=0x100 => (0, wide::<1>(rows, keys)),
            0x101..=0x1_0000 => (1, wide::<2>(rows, keys)),
            _ => (2, wide::<4>(rows, keys)),
        };
        let mut head = Vec::with_capacity(4 * size_of::<u64>() + self.texts.len());
        let number = |head: &mut Vec<u8>, it: u64| head.extend_from_slice(&it.to_le_bytes());
        number(&mut head, VERSION);
        number(&mut head, HAS_KEYS | width);
        number(&mut head, self.places.len() as u64);
        head.extend_from_slice(&self.texts);
        number(&mut head, rows.len() as u64);
        [head.into(), rows_of]
    }

    /// The same, but for who takes no dictionaries: in each row a text.
    pub(super) fn plain(&self, rows: &[u32], keys: &[u32]) -> Bytes {
        let mut values = Vec::new();
        for code in rows {
            let key = keys.get(*code as usize).copied().unwrap_or_default();
            let place = self.places.get(key as usize).cloned().unwrap_or_default();
            text::length(&mut values, place.len());
            values.extend_from_slice(self.texts.get(place).unwrap_or_default());
        }
        values.into()
    }
}

/// What the code of each row means, in so many bytes.
pub(super) fn wide<const N: usize>(rows: &[u32], meanings: &[u32]) -> Bytes {
    let narrow = |it: &u32| it.to_le_bytes().first_chunk().copied().unwrap_or([0; N]);
    let meanings: Vec<[u8; N]> = meanings.iter().map(narrow).collect();
    let of = |code: &u32| meanings.get(*code as usize).copied().unwrap_or([0; N]);
    rows.iter().map(of).collect::<Vec<_>>().into_flattened().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_has_the_number_it_had() {
        let mut codes = Codes::default();
        let are_new: Vec<_> = [7, 7, 9, 7, 9, 8].into_iter().map(|key| codes.push(key)).collect();
        assert_eq!(are_new, [true, false, true, false, false, true]);
        assert_eq!(codes.rows, [0, 0, 1, 0, 1, 2]);
    }

    /// By ClickHouse's source, with the widths that dictionaries of these sizes want.
    #[test]
    fn a_dictionary_of_any_size_comes_before_its_rows() {
        for (size, width) in [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)] {
            let mut dictionary = Dictionary::default();
            let keys: Vec<_> = (0..size).map(|n| dictionary.key(&n.to_string())).collect();
            assert_eq!(dictionary.key("0"), 0);
            let [head, rows] = dictionary.column(&[0, size - 1], &keys);
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            assert_eq!(number(0), 1);
            assert_eq!(number(8), 0x200 + u64::from(width > 1) + u64::from(width > 2));
            assert_eq!(number(16), u64::from(size));
            assert_eq!(number(head.len() - 8), 2);
            assert_eq!(head[24..26], *b"\x010");
            assert_eq!(rows.len(), 2 * width);
            assert_eq!(rows[width..], (size - 1).to_le_bytes()[..width]);
        }
    }
}
