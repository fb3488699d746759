//! What happened, so that a test can wait for it rather than sleep.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::request::{ResourceRequest, Verb};

/// Requests that are remembered one by one.
const REMEMBERED: usize = 1_000;

/// What the stand-in has seen since it was started; restarts do not reset it.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    requests: BTreeMap<(Verb, String), u64>,
    open: BTreeMap<String, u64>,
    /// Requests for resources, oldest first: the newest 1,000.
    pub last: VecDeque<Seen>,
    /// Connections accepted.
    pub connections: u64,
    /// Requests answered with a status of 400 or more, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Watches ended because their client did not read.
    pub watches_too_slow: u64,
}

/// One request for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub verb: Verb,
    /// As the path says: `pods`.
    pub resource: String,
    /// Empty for requests across namespaces.
    pub namespace: String,
    pub name: String,
    /// As sent, escapes included.
    pub query: String,
    /// Empty if the request had no token, or one that is not known.
    pub user: String,
}

impl Counters {
    /// How many requests came for a resource (`pods`), answered or refused.
    pub fn requests(&self, verb: Verb, resource: &str) -> u64 {
        self.requests.get(&(verb, resource.to_owned())).copied().unwrap_or_default()
    }

    /// How many watches of a resource are open.
    pub fn open_watches(&self, resource: &str) -> u64 {
        self.open.get(resource).copied().unwrap_or_default()
    }

    /// How many watches are open, of whatever.
    pub fn all_open_watches(&self) -> u64 {
        self.open.values().sum()
    }

    pub(crate) fn saw(&mut self, request: &ResourceRequest, query: &str, user: &str) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(Seen {
            verb: request.verb,
            resource: request.plural.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            query: query.to_owned(),
            user: user.to_owned(),
        });
        *self.requests.entry((request.verb, request.plural.clone())).or_default() += 1;
    }
}

/// A watch that counts as open.
#[derive(Debug)]
pub(crate) struct Open {
    counters: Arc<watch::Sender<Counters>>,
    resource: &'static str,
}

impl Open {
    pub(crate) fn new(counters: &Arc<watch::Sender<Counters>>, resource: &'static str) -> Self {
        counters.send_modify(|counters| {
            *counters.open.entry(resource.to_owned()).or_default() += 1;
        });
        Self { counters: Arc::clone(counters), resource }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.send_modify(|counters| {
            if let Some(open) = counters.open.get_mut(self.resource) {
                *open -= 1;
            }
        });
    }
}
