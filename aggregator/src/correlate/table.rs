//! The flows that are being followed, by number and by key.

use flow::FlowKey;
use hashbrown::HashTable;

use super::flow_entry::FlowEntry;

/// Flows by a number that is theirs for as long as they are followed.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Option<FlowEntry>>,
    free: Vec<u32>,
    /// A key that is used again stands here twice.
    by_key: HashTable<Place>,
}

/// The hash stands beside the number, so that flows with other keys are rarely looked at, and
/// none when the table grows.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    number: u32,
}

impl Place {
    /// As the table wants it: good in its highest and in its lowest bits.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many numbers there may be in use: all are below.
    pub(super) fn numbers(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, number: u32) -> Option<&FlowEntry> {
        self.entries.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut FlowEntry> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    /// The flows with this key, which hashes to `hash`.
    #[inline]
    pub(super) fn with_key(
        &self,
        hash: u32,
        key: &FlowKey,
    ) -> impl Iterator<Item = (u32, &FlowEntry)> {
        let places = self.by_key.iter_hash(Place::spread(hash));
        places
            .filter(move |place| place.hash == hash)
            .filter_map(|place| Some((place.number, self.get(place.number)?)))
            .filter(move |(_, entry)| entry.key == *key)
    }

    /// One of the flows whose keys hash to `hash`, unlooked at.
    #[inline]
    pub(super) fn with_hash(&self, hash: u32) -> Option<u32> {
        let mut places = self.by_key.iter_hash(Place::spread(hash));
        places.find(|place| place.hash == hash).map(|place| place.number)
    }

    /// Returns the flow's number. There must be fewer than [`u32::MAX`] flows.
    pub(super) fn insert(&mut self, hash: u32, entry: FlowEntry) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.numbers() - 1
        });
        if let Some(place) = self.entries.get_mut(number as usize) {
            *place = Some(entry);
        }
        let spread = |place: &Place| Place::spread(place.hash);
        self.by_key.insert_unique(Place::spread(hash), Place { hash, number }, spread);
        number
    }

    pub(super) fn remove(&mut self, hash: u32, number: u32) -> Option<FlowEntry> {
        let entry = self.entries.get_mut(number as usize)?.take()?;
        let is_it = |place: &Place| place.number == number;
        if let Ok(found) = self.by_key.find_entry(Place::spread(hash), is_it) {
            found.remove();
        }
        self.free.push(number);
        Some(entry)
    }
}
