//! Labels of Pods, each text read once.

use std::collections::BTreeMap;

use flow::Name;
use hashbrown::HashMap;

/// Texts that are remembered. Beyond, all are read anew.
const TEXTS: usize = 1024;

/// Labels by key, of the texts that one call came across.
#[derive(Debug, Default)]
pub(super) struct Labels(HashMap<Name, BTreeMap<String, String>>);

impl Labels {
    /// What `text` says. Labels that were not looked up are none.
    pub(super) fn of(&mut self, text: &Name) -> &BTreeMap<String, String> {
        if self.0.len() >= TEXTS && !self.0.contains_key(text) {
            self.0.clear();
        }
        let read = || serde_json::from_str(text).unwrap_or_default();
        self.0.entry(text.clone()).or_insert_with(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_once_and_bounded_in_number() {
        let mut labels = Labels::default();
        for number in 0..3 * TEXTS {
            let text = Name::from(format!(r#"{{"app":"web-{number}"}}"#).as_str());
            let first = labels.of(&text)["app"].as_ptr();
            let again = &labels.of(&text)["app"];
            assert_eq!((again.as_str(), again.as_ptr()), (&*format!("web-{number}"), first));
            assert!(labels.0.len() <= TEXTS);
        }
        assert!(labels.of(&Name::EMPTY).is_empty() && labels.of(&"no JSON".into()).is_empty());
    }
}
