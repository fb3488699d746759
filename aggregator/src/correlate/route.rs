//! Which of several correlators a record is for: both halves of a flow must meet in one.

use std::hash::{BuildHasher, Hasher};

use flow::{FlowKey, FlowRecord};
use hashbrown::DefaultHashBuilder;

use super::{hash_key, role, told};

/// Divides flows among so many correlators.
#[derive(Debug, Clone)]
pub struct Route {
    hasher: DefaultHashBuilder,
    shards: usize,
}

impl Route {
    pub fn new(shards: usize) -> Self {
        Self { hasher: DefaultHashBuilder::default(), shards: shards.max(1) }
    }

    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Whose business a record of an exporter is.
    pub fn of(&self, record: &FlowRecord) -> usize {
        if self.shards == 1 { 0 } else { self.of_key(&role::correlation_key(record)) }
    }

    /// Whose business a flow is that a predecessor has told.
    pub fn of_told(&self, record: &FlowRecord) -> usize {
        self.of_key(&told::correlation_key(record))
    }

    fn of_key(&self, key: &FlowKey) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hash_key(key, &mut hasher);
        usize::try_from(hasher.finish() % self.shards as u64).unwrap_or(0)
    }
}
