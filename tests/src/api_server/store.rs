//! The objects and what happened to them, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::owners::Owners;
use super::resources::ResourceId;

/// Events kept at first, so that a watch can start from an older version.
const HISTORY: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: ResourceId,
    /// Empty for what belongs to the cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// How much of an object the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// One version of an object. Its texts are made once: many clients are told the same.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) owners: Owners,
    whole: OnceLock<String>,
    metadata: OnceLock<String>,
}

impl Stored {
    fn new(value: Value, owners: Owners) -> Arc<Self> {
        Arc::new(Self { value, owners, whole: OnceLock::new(), metadata: OnceLock::new() })
    }

    pub(crate) fn text(&self, view: View) -> &str {
        match view {
            View::Whole => self.whole.get_or_init(|| self.value.to_string()),
            View::Metadata => self.metadata.get_or_init(|| {
                json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": self.value["metadata"],
                })
                .to_string()
            }),
        }
    }

    pub(crate) fn version(&self) -> &str {
        self.value["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }
}

/// A change of one object.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) resource: ResourceId,
    pub(crate) namespace: String,
    /// What it is now, or was when it was deleted.
    pub(crate) object: Arc<Stored>,
    /// What it was before, unless it is new.
    pub(crate) before: Option<Arc<Stored>>,
    pub(crate) deleted: bool,
}

#[derive(Debug)]
pub(crate) struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Stored>>,
    history: VecDeque<Arc<Event>>,
    /// How many events are kept.
    limit: usize,
    /// The newest event that is no longer in the history.
    lost: u64,
    /// Watches from before this version are refused.
    oldest: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        let history = VecDeque::new();
        Self { version: 1, objects: BTreeMap::new(), history, limit: HISTORY, lost: 0, oldest: 1 }
    }

    /// The newest version of anything.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The oldest version a watch can start from.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// The objects of a kind, in order of namespace and name; an empty `namespace` means all.
    pub(crate) fn of<'a>(
        &'a self,
        resource: ResourceId,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> {
        let start = Key { resource, namespace: namespace.to_owned(), name: String::new() };
        let among = move |key: &Key| {
            key.resource == resource && (namespace.is_empty() || key.namespace == namespace)
        };
        self.objects.range(start..).take_while(move |(key, _)| among(key))
    }

    /// Stores an object, new or changed, under the next version.
    pub(crate) fn put(&mut self, key: Key, mut value: Value, owners: Owners) -> Arc<Stored> {
        self.version += 1;
        value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Stored::new(value, owners);
        let (resource, namespace) = (key.resource, key.namespace.clone());
        let before = self.objects.insert(key, Arc::clone(&object));
        self.remember(Event {
            version: self.version,
            resource,
            namespace,
            object: Arc::clone(&object),
            before,
            deleted: false,
        });
        object
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Stored>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        // A deletion has a version of its own, which watches continue from.
        let mut last = before.value.clone();
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Stored::new(last, Owners::default());
        self.remember(Event {
            version: self.version,
            resource: key.resource,
            namespace: key.namespace.clone(),
            object: Arc::clone(&object),
            before: Some(before),
            deleted: true,
        });
        Some(object)
    }

    fn remember(&mut self, event: Event) {
        self.history.push_back(Arc::new(event));
        self.shorten();
    }

    fn shorten(&mut self) {
        while self.history.len() > self.limit
            && let Some(oldest) = self.history.pop_front()
        {
            self.lost = oldest.version;
            self.oldest = self.oldest.max(oldest.version);
        }
    }

    /// Keeps no more than so many events.
    pub(crate) fn keep_history(&mut self, events: usize) {
        self.limit = events;
        self.shorten();
    }

    /// Forgets the history. Every version told so far is then too old to watch from.
    pub(crate) fn compact(&mut self) {
        self.lost = self.history.back().map_or(self.lost, |event| event.version);
        self.history.clear();
        self.version += 1;
        self.oldest = self.version;
    }

    /// At most `count` events after a version; `None` if some of them are forgotten.
    pub(crate) fn after(&self, version: u64, count: usize) -> Option<Vec<Arc<Event>>> {
        if version < self.lost {
            return None;
        }
        let start = self.history.partition_point(|event| event.version <= version);
        Some(self.history.iter().skip(start).take(count).cloned().collect())
    }
}
