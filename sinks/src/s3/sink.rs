//! A sink that stores objects in S3.
//!
//! At most one object is gathered, and nothing more is taken while one that is complete cannot be
//! stored: what it takes in memory is bounded by [`Options::max_bytes`] and one batch.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow::Batch;
use store::Mark;
use tokio::task::{JoinError, spawn_blocking};

use super::bucket::Bucket;
use super::gather::Gather;
use super::journal::Journal;
use super::object::{EncodeError, Object};
use super::{Options, S3Counters, S3Error, name};
use crate::sink::LINGER;
use crate::{Deeds, Sink, SinkError, Stored};

/// Stores objects in a bucket of S3.
#[derive(Debug)]
pub struct S3Sink {
    options: Arc<Options>,
    /// Shared with the thread that compresses, which is never two at a time.
    gather: Arc<Mutex<Gather>>,
    journal: Option<Journal>,
    bucket: Bucket,
    /// Complete, and not stored yet.
    objects: VecDeque<Object>,
    /// Behind the batch that is written next.
    approached: Option<Mark>,
    /// When the first record was taken that no flush has stored.
    since_ms: Option<u64>,
    stored: Stored,
    counters: Arc<S3Counters>,
}

impl S3Sink {
    /// Asks for nothing before there are records.
    pub fn new(options: Options) -> Self {
        let counters = Arc::<S3Counters>::default();
        let journal = options.journal.as_deref().map(Journal::in_directory);
        if let Some(endpoint) = options.endpoint.as_ref().filter(|_| options.is_open()) {
            tracing::warn!(
                endpoint,
                "flows go there unprotected: anybody on the way can read them"
            );
        }
        let options = Arc::new(options);
        Self {
            gather: Arc::new(Mutex::new(Gather::new(Arc::clone(&options), journal.clone()))),
            bucket: Bucket::new(Arc::clone(&options), Arc::clone(&counters)),
            options,
            journal,
            objects: VecDeque::new(),
            approached: None,
            since_ms: None,
            stored: Stored::default(),
            counters,
        }
    }

    /// What has been done so far.
    pub fn counters(&self) -> Arc<S3Counters> {
        Arc::clone(&self.counters)
    }

    /// Compresses on a thread that may block, and takes the objects that are complete by then.
    async fn gather(
        &mut self,
        work: impl FnOnce(&mut Gather) -> Result<(), EncodeError> + Send + 'static,
    ) -> Result<(), GatherError> {
        let gather = Arc::clone(&self.gather);
        let done = spawn_blocking(move || work(&mut lock(&gather))).await;
        self.objects.extend(lock(&self.gather).take_complete());
        Ok(done??)
    }

    /// Stores what is complete, one object after the other.
    async fn store(&mut self) -> Result<(), S3Error> {
        while let Some(object) = self.objects.front() {
            announce(self.journal.as_ref(), object, &self.counters).await;
            self.bucket.store(object).await?;
            self.stored.records += object.records;
            self.stored.mark = object.end;
            tracing::debug!(key = object.key, records = object.records, "stored in S3");
            self.objects.pop_front();
        }
        Ok(())
    }
}

/// A defect, in the thread that compresses or in what it does.
#[derive(Debug, thiserror::Error)]
enum GatherError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the thread that compresses panicked")]
    Panic(#[from] JoinError),
}

/// Notes what is going to be stored.
async fn announce(journal: Option<&Journal>, object: &Object, counters: &S3Counters) {
    let (Some(journal), Some(mark), Some(end)) = (journal.cloned(), object.begin.mark, object.end)
    else {
        return;
    };
    let now_ms = object.begin.now_ms;
    let noted = spawn_blocking(move || journal.write(mark, end.record, now_ms)).await;
    if let Ok(Err(error)) = noted {
        counters.unnoted.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, "what is being stored in S3 cannot be noted beside the spool");
    }
}

impl Sink for S3Sink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        self.store().await.map_err(SinkError::unavailable)?;
        let (records, behind) = (Arc::clone(batch), self.approached);
        let taken = self.gather(move |gather| {
            let mark = behind.map(|behind| name::first(&records, behind));
            gather.take(&records, mark, now_ms)
        });
        taken.await.map_err(|error| SinkError::Refused {
            records: batch.len(),
            source: Box::new(error),
        })?;
        self.since_ms.get_or_insert(now_ms);
        // An object that is complete does not wait for those that follow. If it cannot be stored
        // now, it is due, and the flush says why.
        self.store().await.unwrap_or_default();
        Ok(())
    }

    fn approach(&mut self, mark: Mark) {
        self.approached = Some(mark);
    }

    fn resumes_at(&self) -> Option<Mark> {
        // An object was begun only when all before it were stored.
        Some(self.journal.as_ref()?.read()?.begin)
    }

    fn has_named(&self) -> Option<Mark> {
        // An object that begins at a number of one that is stored would replace it.
        Some(self.journal.as_ref()?.read()?.end)
    }

    fn due(&self, now_ms: u64) -> bool {
        // The distance, not the difference: a clock that was set back must not delay it.
        let age = self.since_ms.map(|since| now_ms.abs_diff(since));
        !self.objects.is_empty()
            || age.is_some_and(|age| u128::from(age) >= self.options.interval.as_millis())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let sealed = self.gather(Gather::seal).await;
        self.store().await.map_err(SinkError::unavailable)?;
        self.since_ms = None;
        if let Err(error) = sealed {
            tracing::error!(%error, "an object could not be made");
        }
        Ok(())
    }

    fn stored(&mut self) -> Stored {
        std::mem::take(&mut self.stored)
    }

    async fn end(&mut self) {
        self.bucket.give_up().await;
    }

    fn linger(&self) -> Duration {
        LINGER
    }

    fn deeds(&self) -> Option<Deeds> {
        Some(Deeds::S3(self.counters()))
    }

    fn let_go(&mut self) -> u64 {
        lock(&self.gather).take_let_go()
    }
}

fn lock(gather: &Mutex<Gather>) -> MutexGuard<'_, Gather> {
    gather.lock().unwrap_or_else(PoisonError::into_inner)
}
