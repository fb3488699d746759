//! Strings that many flows share: names of Pods, Nodes, Services and policies.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashSet;

use crate::told::{Parts, Shape, Told};

/// A shared string. The empty string, by far the most frequent, takes no memory.
#[derive(Clone, Default, Eq, PartialOrd, Ord)]
pub struct Name(Option<Arc<str>>);

impl PartialEq for Name {
    /// Mostly two names that are equal are the same one, and the text need not be looked at.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.as_str(), other.as_str());
        ours.len() == theirs.len() && (std::ptr::eq(ours, theirs) || ours == theirs)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Name {
    pub const EMPTY: Self = Self(None);

    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self((!text.is_empty()).then(|| Arc::from(text)))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Longer strings are cut. Names in Kubernetes have at most 253 bytes, and the longest text made
/// of several, a Service's `namespace/name:port`, has fewer than 256.
const NAME_LIMIT: usize = 512;
/// Bytes of a Pod's labels as text. A label's key and value have 317 and 63 at most, and Pods a
/// dozen labels or so.
pub const LABELS_LIMIT: usize = 4096;
/// Bytes kept per name of the limit: more than names have on average, far fewer than one may have.
const MEAN_LENGTH: usize = 64;
/// What a name takes beside its bytes: its counters, what the allocator adds, and its place in a
/// table that is half empty.
const OVERHEAD: usize = 64;

/// Memory that several interners share, so that they are bounded together.
#[derive(Debug)]
pub struct NameRoom {
    /// Bytes nobody uses.
    left: AtomicUsize,
}

impl NameRoom {
    /// Room for about `bytes` of names.
    pub const fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Hands out one [`Name`] per distinct string.
///
/// Bounded in number, in bytes and per name: strings come from the network. When a limit is
/// reached the set is emptied; names already handed out live on, and the strings still in use are
/// shared again from their next sight. [`Interner::resets`] counts how often that happened, and
/// [`Interner::cut`] how many strings were too long and have lost their end. Where several have one
/// [`NameRoom`] and others have taken all of it, names are handed out without being shared, which
/// [`Interner::unshared`] counts.
#[derive(Debug)]
pub struct Interner {
    names: HashSet<Arc<str>>,
    /// Of all `names` together.
    bytes: usize,
    /// What is made of several names, and numbers beside them.
    parts: Parts,
    /// What was taken of `room`.
    taken: usize,
    limit: usize,
    room: Option<Arc<NameRoom>>,
    resets: u64,
    cut: u64,
    unshared: u64,
}

impl Interner {
    pub fn new(limit: usize) -> Self {
        Self::making(limit, None)
    }

    /// Begins with nothing, and takes no more memory than `room` has left.
    pub fn within(limit: usize, room: Arc<NameRoom>) -> Self {
        Self::making(limit, Some(room))
    }

    fn making(limit: usize, room: Option<Arc<NameRoom>>) -> Self {
        Self {
            names: HashSet::new(),
            bytes: 0,
            parts: Parts::default(),
            taken: 0,
            limit,
            room,
            resets: 0,
            cut: 0,
            unshared: 0,
        }
    }

    pub fn intern(&mut self, text: &str) -> Name {
        let text = self.within_limit(text);
        self.share(text)
    }

    fn share(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::default();
        }
        if let Some(known) = self.names.get(text) {
            return Name(Some(Arc::clone(known)));
        }
        if self.names.len() >= self.limit || self.bytes >= self.limit * MEAN_LENGTH {
            self.forget();
        }
        let name: Arc<str> = Arc::from(text);
        if self.has_room(text.len() + OVERHEAD) {
            self.bytes += text.len();
            self.names.insert(Arc::clone(&name));
        } else {
            self.unshared += 1;
        }
        Name(Some(name))
    }

    /// The part that these octets told before.
    #[inline]
    pub(crate) fn part(&self, shape: Shape, octets: &[u8]) -> Option<&Told> {
        self.parts.get(shape, octets)
    }

    /// Keeps what these octets tell for the next time. Parts count as names do.
    pub(crate) fn keep_part(&mut self, shape: Shape, octets: &[u8], told: Told) {
        if self.parts.len() >= self.limit {
            self.forget();
        }
        if self.has_room(octets.len() + Parts::OVERHEAD) {
            self.parts.insert(shape, octets, told);
        } else {
            self.unshared += 1;
        }
    }

    /// Takes room for so many bytes more, if need be from that of what came before.
    fn has_room(&mut self, bytes: usize) -> bool {
        let Some(room) = self.room.clone() else { return true };
        let mut has = room.take(bytes);
        if !has {
            if self.taken > 0 {
                self.forget();
            }
            has = room.take(bytes);
        }
        self.taken += if has { bytes } else { 0 };
        has
    }

    fn forget(&mut self) {
        self.give_back();
        self.parts = Parts::default();
        if self.room.is_some() {
            // With the table, which is part of what was taken.
            self.names = HashSet::new();
        } else {
            self.names.clear();
        }
        self.bytes = 0;
        self.taken = 0;
        self.resets += 1;
    }

    fn give_back(&self) {
        if let Some(room) = &self.room {
            room.give_back(self.taken);
        }
    }

    /// The text of a Pod's labels. A part of it is of no use to anybody: one that is longer than
    /// [`LABELS_LIMIT`] becomes empty, as if it had not been looked up, and is counted as cut.
    pub fn intern_labels(&mut self, text: &str) -> Name {
        if text.len() > LABELS_LIMIT {
            self.cut += 1;
            return Name::default();
        }
        self.share(text)
    }

    fn within_limit<'a>(&mut self, text: &'a str) -> &'a str {
        if text.len() <= NAME_LIMIT {
            return text;
        }
        self.cut += 1;
        text.split_at(text.floor_char_boundary(NAME_LIMIT)).0
    }

    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// How often a string was longer than a name may be.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// How many names were handed out without being shared, since others had taken all room.
    pub fn unshared(&self) -> u64 {
        self.unshared
    }
}

impl Drop for Interner {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_memory() {
        let mut interner = Interner::new(10);
        let (a, b) = (interner.intern("pod"), interner.intern("pod"));
        assert!(std::ptr::eq(a.as_str(), b.as_str()));
    }

    #[test]
    fn a_stream_of_new_strings_stays_bounded() {
        let mut interner = Interner::new(10);
        for i in 0..25 {
            assert_eq!(interner.intern(&i.to_string()).as_str(), i.to_string());
            assert!(interner.names.len() <= 10);
        }
        assert_eq!(interner.resets(), 2);
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_between_two_characters() {
        let mut interner = Interner::new(10);
        assert_eq!(interner.intern(&"x".repeat(512)).len(), 512);
        assert_eq!(interner.cut(), 0);
        assert_eq!(interner.intern(&"x".repeat(65_000)).as_str(), "x".repeat(512));
        // Three bytes each: the 171st begins within the limit and ends behind it.
        assert_eq!(interner.intern(&"─".repeat(1000)).as_str(), "─".repeat(170));
        assert_eq!(interner.cut(), 2);
    }

    #[test]
    fn labels_that_are_too_long_are_none() {
        let mut interner = Interner::new(10);
        let labels = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length));
        assert_eq!(interner.intern_labels(&labels(4088)).len(), LABELS_LIMIT);
        assert_eq!((interner.intern_labels(&labels(4089)).len(), interner.cut()), (0, 1));
    }

    #[test]
    fn a_stream_of_long_strings_stays_bounded_in_bytes() {
        let mut interner = Interner::new(100);
        for i in 0..1000 {
            interner.intern(&format!("{i:0500}"));
            let bytes: usize = interner.names.iter().map(|name| name.len()).sum();
            assert_eq!(bytes, interner.bytes);
            assert!(bytes < 100 * MEAN_LENGTH + NAME_LIMIT, "{bytes}");
        }
        assert!(interner.resets() > 50);
    }

    #[test]
    fn many_interners_stay_bounded_together() {
        let room = Arc::new(NameRoom::new(10 * (3 + OVERHEAD)));
        let left = || room.left.load(Ordering::Relaxed) / (3 + OVERHEAD);
        let mut first = Interner::within(100, Arc::clone(&room));
        for i in 100..109 {
            first.intern(&i.to_string());
        }
        // Others have what is left, and then only what they had themselves.
        let mut second = Interner::within(100, Arc::clone(&room));
        for i in 200..205 {
            assert_eq!(second.intern(&i.to_string()).as_str(), i.to_string());
            assert_eq!((second.names.len(), left()), (1, 0));
        }
        assert_eq!((second.resets(), second.unshared()), (4, 0));
        // Who has none is told its names all the same.
        let mut third = Interner::within(100, Arc::clone(&room));
        let (a, b) = (third.intern("abc"), third.intern("abc"));
        assert_eq!((a.as_str(), third.names.len(), third.unshared()), ("abc", 0, 2));
        assert!(a == b && !std::ptr::eq(a.as_str(), b.as_str()));
        drop((first, second));
        let (a, b) = (third.intern("abc"), third.intern("abc"));
        assert!(std::ptr::eq(a.as_str(), b.as_str()));
        drop(third);
        assert_eq!(left(), 10);
    }
}
