//! What a snapshot answers.

/// Who had something at a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, T> {
    /// This one and no other.
    Found(&'a T),
    /// The only one known, but the time is so recent that a change could still be on its way
    /// here. Asked again later, the answer may be another.
    Likely(&'a T),
    Missing(Reason),
}

impl<T> Copy for Lookup<'_, T> {}

impl<T> Clone for Lookup<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T> Lookup<'a, T> {
    /// Whom to write down. Never somebody else's name, so nobody's while that is not certain.
    pub fn owner(self) -> Option<&'a T> {
        match self {
            Self::Found(owner) => Some(owner),
            Self::Likely(_) | Self::Missing(_) => None,
        }
    }

    /// Whom to show for now, to somebody who will look again.
    pub fn guess(self) -> Option<&'a T> {
        match self {
            Self::Found(owner) | Self::Likely(owner) => Some(owner),
            Self::Missing(_) => None,
        }
    }

    /// Why [`Self::owner`] names nobody.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Found(_) => None,
            Self::Likely(_) => Some(Reason::TooRecent),
            Self::Missing(reason) => Some(reason),
        }
    }
}

/// Why nobody is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No complete list has come yet, and what has come does not know it.
    NotListed,
    /// Nobody is known to have, or to have had, it.
    Unknown,
    /// It is the address of a Node: it belongs to the Node and to all its Pods on the host's
    /// network.
    Node,
    /// It has changed hands, and either could have had it then.
    Ambiguous,
    /// Its known owners had it at other times.
    Vacant,
    /// Who had it then is not remembered any longer.
    Forgotten,
    /// Changes were missed then: a watch was broken, or had not begun.
    Unwatched,
    /// A change could still be on its way here. Asked again later, the answer is another.
    TooRecent,
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::NotListed,
        Self::Unknown,
        Self::Node,
        Self::Ambiguous,
        Self::Vacant,
        Self::Forgotten,
        Self::Unwatched,
        Self::TooRecent,
    ];

    /// As a metric's label has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotListed => "not_listed",
            Self::Unknown => "unknown",
            Self::Node => "node",
            Self::Ambiguous => "ambiguous",
            Self::Vacant => "vacant",
            Self::Forgotten => "forgotten",
            Self::Unwatched => "unwatched",
            Self::TooRecent => "too_recent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_likely_is_not_written_down() {
        assert_eq!((Lookup::Found(&1).owner(), Lookup::Found(&1).reason()), (Some(&1), None));
        let likely = Lookup::Likely(&1);
        assert_eq!((likely.owner(), likely.guess()), (None, Some(&1)));
        assert_eq!(likely.reason(), Some(Reason::TooRecent));
        assert_eq!(Lookup::<u8>::Missing(Reason::Vacant).guess(), None);
    }
}
