//! Slots for connections, and the table that finds them by key.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    ops::Range,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    column::{CHUNK, Column},
    connection::{Connection, State},
    list::{FREE, Lists},
};
use crate::conntrack::{Entry, Kind, Tuple};

/// What tells connections apart, as far as the kernel says so in every message.
///
/// The id alone does not: it has 32 bits, so a million connections hold about a hundred pairs of
/// the same. With the tuple it still can come back: the kernel derives it from both the tuple and
/// the address of its own record, and hands the memory of a closed connection to the next. The
/// start time then tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) original: Tuple,
    pub(super) zone: u16,
    pub(super) id: u32,
}

impl Key {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { original: entry.original, zone: entry.zone, id: entry.id }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.original.hash(hasher);
        hasher.write_u64(u64::from(self.id) << 16 | u64::from(self.zone));
    }
}

#[derive(Debug)]
pub(super) struct Store {
    slots: Column<Connection>,
    /// Slots in use, by key.
    table: HashTable<u32>,
    /// Seeded, since senders of packets choose most of the key.
    hasher: RandomState,
    limit: usize,
}

impl Store {
    pub(super) fn new(limit: usize) -> Self {
        // The heads of lists and the slots share the numbers of one `u32`.
        let limit = limit.min(u32::MAX as usize - super::list::BUCKETS.end as usize);
        Self {
            slots: Column::new(),
            table: HashTable::new(),
            hasher: RandomState::default(),
            limit,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// All slots there are, in use or not. Unused ones hold a closed connection.
    pub(super) fn slots(&self) -> Range<u32> {
        0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(super) fn get(&self, slot: u32) -> &Connection {
        self.slots.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Connection {
        self.slots.get_mut(slot)
    }

    /// Returns the slot of the connection that `entry` is about.
    pub(super) fn find(&self, hash: u64, key: &Key, entry: &Entry) -> Option<u32> {
        let first = *self.table.find(hash, |&slot| self.get(slot).key == *key)?;
        let connection = self.get(first);
        let is_certain = connection.start_known && entry.start_ns == Some(connection.start_ns);
        if is_certain {
            return Some(first);
        }
        self.find_among_equals(hash, key, entry)
    }

    /// As `find`, where several connections in turn may have had the same key.
    #[cold]
    fn find_among_equals(&self, hash: u64, key: &Key, entry: &Entry) -> Option<u32> {
        let equals = self.table.iter_hash(hash).filter(|&&slot| self.get(slot).key == *key);
        equals
            .filter_map(|&slot| Some((likeness(self.get(slot), entry)?, slot)))
            .max_by_key(|&(likeness, _)| likeness)
            .map(|(_, slot)| slot)
    }

    /// Stores a connection whose key hashes to `hash`; `None` if there is no room.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        connection: Connection,
        lists: &mut Lists,
    ) -> Option<u32> {
        if self.table.len() >= self.limit {
            return None;
        }
        let slot = match lists.pop_front(FREE) {
            Some(slot) => {
                *self.get_mut(slot) = connection;
                slot
            }
            None => self.push(connection, lists),
        };
        let Self { slots, table, hasher, .. } = self;
        table.insert_unique(hash, slot, |&slot| hasher.hash_one(slots.get(slot).key));
        Some(slot)
    }

    /// Forgets the closed connection at `slot`, which is in no list.
    pub(super) fn release(&mut self, slot: u32, lists: &mut Lists) {
        let hash = self.hash(&self.get(slot).key);
        if let Ok(entry) = self.table.find_entry(hash, |&stored| stored == slot) {
            entry.remove();
            lists.push_back(FREE, slot);
        }
    }

    fn push(&mut self, connection: Connection, lists: &mut Lists) -> u32 {
        let slot = self.slots().end;
        if self.slots.push(connection) {
            lists.reserve(CHUNK);
        }
        lists.grow();
        slot
    }
}

/// How well an entry fits a connection of the same key; `None` if it is about another one.
///
/// `NEW` can only be about a living one: a closed one has had its event. Where start times are
/// unknown (`NEW` carries none) a living connection is the more likely one.
fn likeness(connection: &Connection, entry: &Entry) -> Option<u8> {
    let alive = connection.state == State::Live;
    let same_start = match entry.start_ns {
        Some(start) if connection.start_known && start != connection.start_ns => return None,
        Some(_) => connection.start_known,
        None => false,
    };
    match entry.kind {
        Kind::New | Kind::Update => alive.then_some(0),
        Kind::Dump | Kind::Destroy => Some(u8::from(same_start) * 2 + u8::from(alive)),
    }
}
