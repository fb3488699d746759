//! Parts that many records have in common: what is known of a Pod, of a rule, of an Egress.
//!
//! A record points at each of its parts and owns none, so that copying one copies pointers, and
//! flows between the same two Pods have them once.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What can be shared.
pub trait Part: Clone + Eq + 'static {
    /// What a record has of which nothing was told.
    fn nothing() -> &'static Self;
}

/// A part of a record. One that says nothing takes no memory.
///
/// Writing to it makes a copy, unless nobody else has the same.
pub struct Shared<T>(Option<Arc<T>>);

impl<T> Shared<T> {
    /// What nobody has told anything of.
    pub const NOTHING: Self = Self(None);

    /// Whether both are one and the same, or nothing. Parts that are equal need not be.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether there is nothing here. What is here may say nothing all the same.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Where it is in memory, and nothing else while it is there; 0 for nothing.
    #[inline]
    pub fn place(&self) -> usize {
        self.0.as_ref().map_or(0, |it| Arc::as_ptr(it).addr())
    }

    /// Whether nobody else has it.
    pub fn is_alone(&self) -> bool {
        self.0.as_ref().is_some_and(|it| Arc::strong_count(it) == 1)
    }
}

impl<T: Part> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::nothing())
    }
}

impl<T: Part> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(T::nothing().clone())))
    }
}

impl<T: Part> From<T> for Shared<T> {
    fn from(part: T) -> Self {
        Self((part != *T::nothing()).then(|| Arc::new(part)))
    }
}

impl<T> Clone for Shared<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Shared<T> {
    #[inline]
    fn default() -> Self {
        Self::NOTHING
    }
}

impl<T: Part> PartialEq for Shared<T> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl<T: Part> Eq for Shared<T> {}

impl<T: Part + Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        T::hash(self, state);
    }
}

impl<T: Part + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

/// A set of shared parts finds them by what they are.
impl<T: Part> Borrow<T> for Shared<T> {
    fn borrow(&self) -> &T {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn who_writes_changes_nothing_for_others() {
        let mut first: Shared<Endpoint> = Endpoint { pod: "a".into(), ..<_>::default() }.into();
        let second = first.clone();
        assert!(first.is_same(&second) && !first.is_alone());
        first.node = "node-a".into();
        assert_eq!((&*first.pod, &*first.node), ("a", "node-a"));
        assert_eq!((&*second.pod, &*second.node), ("a", ""));
        assert!(first != second && first.is_alone());
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        let nothing = Shared::from(Endpoint::default());
        assert!(nothing.is_nothing());
        let mut written = nothing.clone();
        written.pod = "a".into();
        assert_eq!(&*written.pod, "a");
        written.pod = "".into();
        assert!(!written.is_nothing());
        assert_eq!(written, nothing);
    }
}
