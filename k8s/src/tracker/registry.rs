//! Which objects of a kind there are, and which were a short while ago.
//!
//! An object is its uid: a name can be used again. Lists come from a cache of the API server that
//! may be behind what a watch has told already, so what was deleted can seem to be back: news of
//! an object that a watch said is deleted are too late. An object that was only missing in a list
//! may well return.

use flow::Name;
use hashbrown::HashMap;

/// Namespace, empty for kinds that live in none, and name.
pub(super) type Key = (Name, Name);

#[derive(Debug)]
pub(super) struct Registry<O> {
    live: HashMap<Key, Live<O>>,
    /// By uid.
    departed: HashMap<Name, Departed>,
    lists: u64,
    /// When the list began that has not ended.
    listing: Option<u64>,
}

/// What a complete list tells.
pub(super) struct Listed<O> {
    /// When it began.
    pub begun: u64,
    /// What is not in it.
    pub missing: Vec<(Key, Live<O>)>,
}

#[derive(Debug)]
pub(super) struct Live<O> {
    pub uid: Name,
    /// Number that no other object has.
    pub tenant: u64,
    pub object: O,
    /// The last list that it was in.
    list: u64,
}

#[derive(Debug)]
struct Departed {
    tenant: u64,
    is_final: bool,
    left: u64,
}

/// What an object is to the registry.
pub(super) enum Sight<O> {
    /// It has been deleted for good.
    Late,
    Known,
    /// Its number if it has been here before, and whom its name belonged to.
    New {
        tenant: Option<u64>,
        replaced: Option<Live<O>>,
    },
}

impl<O> Registry<O> {
    pub(super) fn new() -> Self {
        Self { live: HashMap::new(), departed: HashMap::new(), lists: 0, listing: None }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len() + self.departed.len()
    }

    pub(super) fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Live<O>> {
        self.live.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Live<O>> {
        self.live.get_mut(key)
    }

    /// The object is there.
    pub(super) fn see(&mut self, key: &Key, uid: &Name) -> Sight<O> {
        if self.departed.get(uid).is_some_and(|departed| departed.is_final) {
            return Sight::Late;
        }
        match self.live.get_mut(key) {
            Some(live) if live.uid == *uid => {
                live.list = self.lists;
                Sight::Known
            }
            _ => Sight::New {
                tenant: self.departed.remove(uid).map(|departed| departed.tenant),
                replaced: self.live.remove(key),
            },
        }
    }

    pub(super) fn insert(&mut self, key: Key, uid: Name, tenant: u64, object: O) {
        self.live.insert(key, Live { uid, tenant, object, list: self.lists });
    }

    /// Takes out what has been deleted. An empty `uid` means whatever has the name.
    pub(super) fn delete(&mut self, key: &Key, uid: &Name) -> Option<Live<O>> {
        if let Some(departed) = self.departed.get_mut(uid) {
            departed.is_final = true;
        }
        let is_meant = self.live.get(key).is_some_and(|live| uid.is_empty() || live.uid == *uid);
        if is_meant { self.live.remove(key) } else { None }
    }

    pub(super) fn list_begun(&mut self, now: u64) {
        self.lists += 1;
        self.listing = Some(now);
    }

    /// Takes out what the list did not have; `None` if no list had begun.
    pub(super) fn list_ended(&mut self) -> Option<Listed<O>> {
        let (begun, lists) = (self.listing.take()?, self.lists);
        let missing = self.live.extract_if(|_, live| live.list != lists).collect();
        Some(Listed { begun, missing })
    }

    /// Remembers that an object has gone.
    pub(super) fn depart(&mut self, uid: Name, tenant: u64, is_final: bool, left: u64) {
        self.departed.insert(uid, Departed { tenant, is_final, left });
    }

    /// Forgets an object that went until `left`; says whether it did.
    pub(super) fn forget(&mut self, uid: &Name, left: u64) -> bool {
        let is_due = self.departed.get(uid).is_some_and(|departed| departed.left <= left);
        is_due && self.departed.remove(uid).is_some()
    }
}
