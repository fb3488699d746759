//! A Pod's labels as a JSON object with its keys sorted.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow::{LABELS_LIMIT, Name};
use hashbrown::HashMap;
use k8s::Pod;

/// Pods whose labels are remembered as text. Beyond, all are made anew.
const PODS: usize = 65_536;

/// Texts that were made before, by the Pod's uid.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    made: HashMap<Name, Made>,
}

#[derive(Debug, Clone)]
struct Made {
    /// Of these.
    labels: Arc<[(Name, Name)]>,
    text: Name,
    /// How many had no room.
    cut: u64,
}

impl Labels {
    /// The text, and how many labels are left out of it because there are too many.
    pub(super) fn text(&mut self, pod: &Pod) -> (Name, u64) {
        if let Some(made) = self.made.get(&pod.uid)
            && Arc::ptr_eq(&made.labels, &pod.labels)
        {
            return (made.text.clone(), made.cut);
        }
        if self.made.len() >= PODS {
            self.made.clear();
        }
        let (text, cut) = text(&pod.labels);
        let labels = Arc::clone(&pod.labels);
        self.made.insert(pod.uid.clone(), Made { labels, text: text.clone(), cut });
        (text, cut)
    }
}

fn text(labels: &[(Name, Name)]) -> (Name, u64) {
    let mut told = BTreeMap::new();
    let (mut text, mut cut) = ("{}".to_owned(), 0);
    for (key, value) in labels {
        told.insert(key.as_str(), value.as_str());
        match serde_json::to_string(&told) {
            Ok(longer) if longer.len() <= LABELS_LIMIT => text = longer,
            _ => {
                told.remove(key.as_str());
                cut += 1;
            }
        }
    }
    (text.as_str().into(), cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_text_is_json() {
        let labels = [("b", "2"), ("a\"", "ä")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(text(&labels), (r#"{"a\"":"ä","b":"2"}"#.into(), 0));
        assert_eq!(text(&[]), ("{}".into(), 0));
    }

    #[test]
    fn what_has_no_room_is_left_out_whole_and_counted() {
        let long = "x".repeat(1500);
        let labels: Vec<_> =
            ["a", "b", "c", "d"].map(|key| (key.into(), long.as_str().into())).into();
        let (text, cut) = text(&labels);
        assert_eq!((text.len(), cut), (3015, 2));
        assert!(text.ends_with("x\"}"));
    }
}
