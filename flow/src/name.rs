//! Strings that many flows share: names of Pods, Nodes, Services and policies.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashSet;

/// A shared string. The empty string, by far the most frequent, takes no memory.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Option<Arc<str>>);

impl Name {
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

/// Hands out one [`Name`] per distinct string.
///
/// Bounded: strings come from the network. When the limit is reached the set is emptied; names
/// already handed out live on, and the strings still in use are shared again from their next
/// sight. [`Interner::resets`] counts how often that happened.
#[derive(Debug)]
pub struct Interner {
    names: HashSet<Arc<str>>,
    limit: usize,
    resets: u64,
}

impl Interner {
    pub fn new(limit: usize) -> Self {
        Self { names: HashSet::new(), limit, resets: 0 }
    }

    pub fn intern(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::default();
        }
        if let Some(known) = self.names.get(text) {
            return Name(Some(Arc::clone(known)));
        }
        if self.names.len() >= self.limit {
            self.names.clear();
            self.resets += 1;
        }
        let name: Arc<str> = Arc::from(text);
        self.names.insert(Arc::clone(&name));
        Name(Some(name))
    }

    pub fn resets(&self) -> u64 {
        self.resets
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
}
