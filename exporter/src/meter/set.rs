//! Small sets: of destinations, and of tracks.

/// How many destinations there may be at once.
pub const MAX_DESTINATIONS: usize = 16;

/// A destination, by the number the meter gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(super) u8);

/// A set of destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(u16);

impl Set {
    pub const EMPTY: Self = Self(0);
    pub const ALL: Self = Self(u16::MAX);

    pub const fn insert(&mut self, id: Id) {
        self.0 |= 1 << id.0;
    }

    pub const fn remove(&mut self, id: Id) {
        self.0 &= !(1 << id.0);
    }

    pub const fn contains(self, id: Id) -> bool {
        self.0 >> id.0 & 1 == 1
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one alone.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// How many of its members come before this one.
    pub(super) const fn rank(self, id: Id) -> usize {
        (self.0 & !(u16::MAX << id.0)).count_ones() as usize
    }

    pub fn iter(self) -> impl Iterator<Item = Id> {
        let mut left = self;
        std::iter::from_fn(move || {
            #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
            let first = (!left.is_empty()).then(|| Id(left.0.trailing_zeros() as u8))?;
            left.remove(first);
            Some(first)
        })
    }
}
