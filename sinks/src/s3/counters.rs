//! What became of objects.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Deed, Failure};

/// What an [`S3Sink`](super::S3Sink) has done beside taking records.
#[derive(Debug, Default)]
pub struct S3Counters {
    /// Objects that S3 has.
    pub objects: AtomicU64,
    /// Their length in bytes, as stored.
    pub bytes: AtomicU64,
    /// Parts of those that were stored in several.
    pub parts: AtomicU64,
    /// Times the journal could not be written: after a `kill -9` an object may be stored twice.
    pub unnoted: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl S3Counters {
    pub(super) fn failed(&self, failure: Failure) {
        if let Some(counter) = self.failures.get(failure as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Attempts that failed like this.
    pub fn failures(&self, failure: Failure) -> u64 {
        self.failures.get(failure as usize).map_or(0, |it| it.load(Ordering::Relaxed))
    }

    pub(crate) fn done(&self) -> Vec<(Deed, u64)> {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let own = [
            (Deed::ObjectsStored, now(&self.objects)),
            (Deed::BytesStored, now(&self.bytes)),
            (Deed::PartsStored, now(&self.parts)),
            (Deed::ObjectsUnnoted, now(&self.unnoted)),
        ];
        let failures = Failure::ALL.map(|it| (Deed::Failed(it), self.failures(it)));
        own.into_iter().chain(failures).collect()
    }
}
