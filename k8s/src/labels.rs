//! Which labels are worth keeping.

use flow::Name;

/// Keys that are allowed: whole ones, and beginnings of such.
///
/// Labels are written by whoever may make a Pod, and each one kept is told with every flow; so
/// the operator names those that matter, and none is kept by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelFilter {
    keys: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
}

impl LabelFilter {
    /// Each pattern is a key, or the beginning of keys followed by `*`: `app`,
    /// `app.kubernetes.io/*`, `*`.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut filter = Self::default();
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some(prefix) => filter.prefixes.push(prefix.into()),
                None => filter.keys.push(pattern.into()),
            }
        }
        filter
    }

    pub fn allows(&self, key: &str) -> bool {
        self.keys.iter().any(|allowed| **allowed == *key)
            || self.prefixes.iter().any(|prefix| key.starts_with(&**prefix))
    }

    /// The labels that are allowed.
    pub(crate) fn allowed<'a>(
        &'a self,
        labels: &'a [(Name, Name)],
    ) -> impl Iterator<Item = &'a (Name, Name)> {
        labels.iter().filter(|(key, _)| self.allows(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_allowed_whole_or_by_their_beginning() {
        let filter = LabelFilter::new(["app", "app.kubernetes.io/*"]);
        for (key, allowed) in [
            ("app", true),
            ("apps", false),
            ("app.kubernetes.io/name", true),
            ("app.kubernetes.io", false),
            ("", false),
        ] {
            assert_eq!(filter.allows(key), allowed, "{key}");
        }
        assert!(LabelFilter::new(["*"]).allows("anything"));
        assert!(!LabelFilter::default().allows("app"));
    }
}
