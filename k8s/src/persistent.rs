//! A hash map whose copies share all that is equal in them.
//!
//! A snapshot is a copy. Changing one entry after that copies the way to it (two tables of
//! [`WIDTH`] pointers and one leaf), not the map: with 200,000 entries a leaf has 49. As long as
//! nobody holds a copy, changes are made in place. Leaves have no depth to grow in; a map is meant
//! for at most a few million entries.

use std::array;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

const WIDTH: usize = 64;

type Table<T> = Arc<[Arc<T>; WIDTH]>;
type Leaf<K, V> = HashTable<(K, V)>;

pub(crate) struct Map<K, V> {
    root: Table<[Arc<Leaf<K, V>>; WIDTH]>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Map<K, V> {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        let (upper, lower) = way(hash);
        let leaf = &self.root[upper][lower];
        leaf.find(hash, |(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let (hash, hasher) = (self.hasher.hash_one(&key), self.hasher.clone());
        let leaf = self.leaf(hash);
        if let Some((_, old)) = leaf.find_mut(hash, |(known, _)| *known == key) {
            *old = value;
        } else {
            leaf.insert_unique(hash, (key, value), |(key, _)| hasher.hash_one(key));
            self.len += 1;
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // Without this, removing what is not there would copy the way to it.
        self.get(key)?;
        let hash = self.hasher.hash_one(key);
        let found = self.leaf(hash).find_entry(hash, |(known, _)| known == key).ok()?;
        let ((_, value), _) = found.remove();
        self.len -= 1;
        Some(value)
    }

    /// The leaf for `hash`, which is ours alone from now on.
    fn leaf(&mut self, hash: u64) -> &mut Leaf<K, V> {
        let (upper, lower) = way(hash);
        let middle = &mut Arc::make_mut(&mut self.root)[upper];
        Arc::make_mut(&mut Arc::make_mut(middle)[lower])
    }
}

/// Which branches to take. Leaves use the highest and the lowest bits themselves.
fn way(hash: u64) -> (usize, usize) {
    let bits = (hash >> 32) as usize;
    (bits / WIDTH % WIDTH, bits % WIDTH)
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        let leaf = Arc::new(Leaf::new());
        let middle = Arc::new(array::from_fn(|_| Arc::clone(&leaf)));
        let root = Arc::new(array::from_fn(|_| Arc::clone(&middle)));
        Self { root, hasher: DefaultHashBuilder::default(), len: 0 }
    }
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), hasher: self.hasher.clone(), len: self.len }
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries", self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A simple generator; the sequence is the same each time.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 1_u64;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[test]
    fn it_holds_what_a_plain_map_holds_and_copies_stay_as_they_were() {
        let (mut ours, mut plain) = (Map::default(), HashMap::new());
        let mut copies = Vec::new();
        let mut number = numbers();
        for step in 0..40_000_u64 {
            let key = number(9_000);
            if number(3) == 0 {
                assert_eq!(ours.remove(&key), plain.remove(&key));
            } else {
                ours.insert(key, step);
                plain.insert(key, step);
            }
            if step % 10_000 == 5_000 {
                copies.push((ours.clone(), plain.clone()));
            }
        }
        copies.push((ours, plain));
        for (ours, plain) in copies {
            assert_eq!(ours.len(), plain.len());
            for key in 0..9_000 {
                assert_eq!(ours.get(&key), plain.get(&key), "{key}");
            }
        }
    }

    #[test]
    fn one_change_copies_one_way() {
        let mut map = Map::default();
        for key in 0..20_000 {
            map.insert(key, ());
        }
        let copy = map.clone();
        map.insert(20_000, ());
        map.remove(&30_000);
        let changed = |(ours, theirs)| !Arc::ptr_eq(ours, theirs);
        let tables = || map.root.iter().zip(copy.root.iter());
        assert_eq!(tables().filter(|&pair| changed(pair)).count(), 1);
        let leaves = tables().flat_map(|(ours, theirs)| ours.iter().zip(theirs.iter()));
        assert_eq!(leaves.filter(|(ours, theirs)| !Arc::ptr_eq(ours, theirs)).count(), 1);
    }
}
