//! A hash map whose copies share all that is equal in them.
//!
//! A snapshot is a copy. Changing one entry after that copies the way to it (two tables of
//! [`WIDTH`] pointers and one leaf), not the map: with 200,000 entries a leaf has 49. As long as
//! nobody holds a copy, changes are made in place. Leaves have no depth to grow in; a map is meant
//! for at most a few million entries.
//!
//! A leaf is one block of memory, probed in a line: a look-up in a large map is paid for by the
//! cache lines it misses, and a table of its own in each leaf missed three more.

use std::array;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use flow::Name;
use hashbrown::DefaultHashBuilder;
use ipnet::IpNet;

const WIDTH: usize = 64;

type Table<T> = Arc<[T; WIDTH]>;
/// What a map is asked for. Each look-up hashes one, so addresses are hashed as the numbers they are
/// and not byte by byte.
pub(crate) trait Key: Eq + Clone {
    fn feed(&self, hasher: &mut impl Hasher);
}

/// As many slots as a power of two, and half of them free, so that the first is mostly the one; or none.
type Leaf<K, V> = Arc<[Option<(K, V)>]>;

pub(crate) struct Map<K, V> {
    root: Table<Table<Leaf<K, V>>>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl<K: Key, V: Clone> Map<K, V> {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been copied since one was made from the other.
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let hash = hash(&self.hasher, key);
        let (upper, lower) = way(hash);
        let leaf = &self.root[upper][lower];
        let (_, value) = leaf[slot(leaf, hash, key)?].as_ref()?;
        Some(value)
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        let leaves = self.root.iter().flat_map(|middle| middle.iter());
        leaves.flat_map(|leaf| leaf.iter().flatten()).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let hash = hash(&self.hasher, &key);
        let hasher = self.hasher.clone();
        let leaf = self.leaf(hash);
        let at = slot(leaf, hash, &key).filter(|&at| leaf[at].is_some());
        if let Some(at) = at {
            Arc::make_mut(leaf)[at] = Some((key, value));
            return;
        }
        let used = leaf.iter().flatten().count();
        if (used + 1) * 2 > leaf.len() {
            *leaf = filled(leaf.iter().flatten().cloned(), leaf.len().max(2) * 2, &hasher);
        }
        if let Some(at) = slot(leaf, hash, &key) {
            Arc::make_mut(leaf)[at] = Some((key, value));
        }
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // Without this, removing what is not there would copy the way to it.
        let removed = self.get(key)?.clone();
        let hash = hash(&self.hasher, key);
        let hasher = self.hasher.clone();
        let leaf = self.leaf(hash);
        // Others may have been put further on because of it, so all are put anew.
        let others = leaf.iter().flatten().filter(|(other, _)| other != key);
        *leaf = filled(others.cloned(), leaf.len(), &hasher);
        self.len -= 1;
        Some(removed)
    }

    /// The leaf for `hash`; the tables on the way to it are ours alone from now on.
    fn leaf(&mut self, hash: u64) -> &mut Leaf<K, V> {
        let (upper, lower) = way(hash);
        let middle = &mut Arc::make_mut(&mut self.root)[upper];
        &mut Arc::make_mut(middle)[lower]
    }
}

fn hash(hasher: &DefaultHashBuilder, key: &impl Key) -> u64 {
    let mut hasher = hasher.build_hasher();
    key.feed(&mut hasher);
    hasher.finish()
}

/// Which branches to take. Slots are chosen by higher bits.
fn way(hash: u64) -> (usize, usize) {
    let bits = (hash >> 32) as usize;
    (bits / WIDTH % WIDTH, bits % WIDTH)
}

/// Where `key` is, or where it would be put.
fn slot<K: Eq, V>(leaf: &[Option<(K, V)>], hash: u64, key: &K) -> Option<usize> {
    let mask = leaf.len().checked_sub(1)?;
    let first = (hash >> 44) as usize & mask;
    let mut slots = (0..leaf.len()).map(|step| (first + step) & mask);
    slots.find(|&at| leaf[at].as_ref().is_none_or(|(known, _)| known == key))
}

fn filled<K: Key, V: Clone>(
    entries: impl Iterator<Item = (K, V)>,
    slots: usize,
    hasher: &DefaultHashBuilder,
) -> Leaf<K, V> {
    let mut leaf = vec![None; slots];
    for (key, value) in entries {
        if let Some(at) = slot(&leaf, hash(hasher, &key), &key) {
            leaf[at] = Some((key, value));
        }
    }
    leaf.into()
}

impl Key for IpAddr {
    fn feed(&self, hasher: &mut impl Hasher) {
        match self {
            Self::V4(address) => hasher.write_u32(address.to_bits()),
            Self::V6(address) => hasher.write_u128(address.to_bits()),
        }
    }
}

impl Key for IpNet {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.addr().feed(hasher);
        hasher.write_u8(self.prefix_len());
    }
}

/// Address, port and protocol.
impl Key for (IpAddr, u16, u8) {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.0.feed(hasher);
        (self.1, self.2).feed(hasher);
    }
}

impl Key for (u16, u8) {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_u32(u32::from(self.0) << 8 | u32::from(self.1));
    }
}

impl Key for Name {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write(self.as_bytes());
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        let leaf: Leaf<K, V> = Arc::new([]);
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

    impl Key for u64 {
        fn feed(&self, hasher: &mut impl Hasher) {
            hasher.write_u64(*self);
        }
    }

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
            let (mut all, mut values) = (Vec::new(), Vec::new());
            all.extend(ours.values().copied());
            values.extend(plain.values().copied());
            all.sort_unstable();
            values.sort_unstable();
            assert_eq!(all, values);
            for key in 0..9_000 {
                assert_eq!(ours.get(&key), plain.get(&key), "{key}");
            }
        }
    }

    #[test]
    fn one_change_copies_one_way() {
        let mut map = Map::default();
        for key in 0..20_000_u64 {
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
