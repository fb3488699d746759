//! What there is on disk, and who has come how far.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::block::{Blocks, Found};
use super::files::{self, Segment};
use super::place::{Place, Published};
use super::{SpoolError, SpoolOptions, cursor};

/// A segment is closed at this size, or earlier where there is little room.
const SEGMENT: u64 = 64 << 20;
/// The log is to have so many segments at least when it is as large as it may be: dropping the
/// oldest must not mean to drop much of it.
const SEGMENTS: u64 = 16;

/// What happened to the log since it was opened.
#[derive(Debug, Default)]
pub struct SpoolCounters {
    /// Records written.
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    /// Records that could not be written: sinks that keep up get them all the same.
    pub records_unwritten: AtomicU64,
    pub write_failures: AtomicU64,
    pub sync_failures: AtomicU64,
    /// Failures to note how far a sink has come, or to remove a file.
    pub tidy_failures: AtomicU64,
    /// Times that a sink came upon a block that is damaged.
    pub blocks_damaged: AtomicU64,
    /// Bytes that sinks passed over since they belong to no block, such as one that was being
    /// written when the process was killed.
    pub bytes_skipped: AtomicU64,
    /// Segments dropped to stay within the limit.
    pub segments_dropped: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) dir: PathBuf,
    pub(super) id: u64,
    pub(super) counters: SpoolCounters,
    limit: u64,
    /// Oldest first. Records of the last are being written.
    segments: Mutex<VecDeque<Segment>>,
    places: Mutex<Vec<Arc<Place>>>,
    /// Cursors of an earlier life that no sink has claimed yet, as far as they can be read.
    absent: Mutex<Vec<(Option<u64>, String)>>,
    /// The number after that of the newest record.
    end: AtomicU64,
    /// Held for the life of the log; the system releases it when the process dies.
    _lock: File,
}

impl Log {
    pub(super) fn open(options: &SpoolOptions) -> Result<Self, SpoolError> {
        let dir = options.directory.clone();
        let lock = files::open(&dir)?;
        let failed = |action| {
            let path = dir.clone();
            move |source| SpoolError::Io { action, path, source }
        };
        let id = files::identity(&dir).map_err(failed("identify"))?;
        let counters = SpoolCounters::default();
        let (mut segments, sinks) = files::list(&dir).map_err(failed("list"))?;
        let mut end = 0;
        while let Some(newest) = segments.last() {
            let path = files::path(&dir, newest.first);
            if let Some(found) = last_record(&path, &counters).map_err(failed("read"))? {
                end = found;
                break;
            }
            // Nothing of it can be read, and its name is needed again.
            end = end.max(newest.first);
            fs::remove_file(&path).map_err(failed("remove from"))?;
            segments.pop();
        }
        let read = |name: String| (cursor::read(&dir, &name), name);
        let absent: Vec<_> = sinks.into_iter().map(read).collect();
        // After a power failure a sink may have come further than the log.
        let end = absent.iter().filter_map(|(record, _)| *record).fold(end, u64::max);
        Ok(Self {
            dir,
            id,
            counters,
            limit: options.limit,
            segments: Mutex::new(segments.into()),
            places: Mutex::default(),
            absent: Mutex::new(absent),
            end: AtomicU64::new(end),
            _lock: lock,
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The number of the oldest record that is kept.
    pub(super) fn oldest(&self) -> u64 {
        self.segments().front().map_or_else(|| self.end(), |segment| segment.first)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn segment_size(&self) -> u64 {
        SEGMENT.min(self.limit / SEGMENTS).max(1)
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn absent(&self) -> MutexGuard<'_, Vec<(Option<u64>, String)>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment in which record `number` is, or else the one after it.
    pub(super) fn segment_of(&self, number: u64) -> Option<u64> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.first <= number);
        segments.get(after.saturating_sub(1)).map(|segment| segment.first)
    }

    /// The file of a segment is gone, though nobody here has removed it.
    pub(super) fn lose(&self, first: u64) {
        self.segments().retain(|segment| segment.first != first);
    }

    /// The segment after the one that begins with record `first`.
    pub(super) fn segment_after(&self, first: u64) -> Option<u64> {
        let segments = self.segments();
        segments.iter().map(|segment| segment.first).find(|it| *it > first)
    }

    /// Adds the place of a sink, where its cursor says.
    ///
    /// `place` is told the cursor of an earlier life (that of the oldest record if it cannot be
    /// read), the oldest record, and the end. In one step: whoever tidies finds the sink among
    /// those that are here or those that are not.
    pub(super) fn add(
        &self,
        name: &str,
        place: impl FnOnce(Option<u64>, u64, u64) -> Place,
    ) -> Arc<Place> {
        let mut absent = self.absent();
        let mut places = self.places();
        let (oldest, end) = (self.oldest(), self.end());
        let known = absent.iter().position(|(_, known)| known == name);
        let cursor = known.map(|index| absent.swap_remove(index).0.unwrap_or(oldest));
        let place = Arc::new(place(cursor, oldest, end));
        places.retain(|known| known.name != place.name);
        places.push(Arc::clone(&place));
        place
    }

    pub(super) fn forget_absent(&self) {
        for (_, name) in self.absent().drain(..) {
            tracing::info!(
                sink = name,
                "nothing is kept any more for a sink that is not configured"
            );
            self.tidied(cursor::remove(&self.dir, &name));
        }
    }

    /// Makes `block` known to all sinks.
    pub(super) fn publish(&self, block: &Arc<Published>) {
        let places = self.places();
        let full: Vec<_> = places.iter().filter(|place| !place.publish(block)).collect();
        // In this order: what is below the end and not in a sink's memory is not going to be there.
        self.end.fetch_max(block.end, Ordering::AcqRel);
        for place in full {
            place.wake(block.end);
        }
    }

    /// A sink has come further than the log, which has lost its end in a power failure: numbers go
    /// on behind that, and what is missing is the other sinks' loss.
    pub(super) fn extend_to(&self, record: u64) {
        let places = self.places();
        let missing = record.saturating_sub(self.end());
        self.end.fetch_max(record, Ordering::AcqRel);
        for place in places.iter() {
            place.counters.given.fetch_add(missing, Ordering::Relaxed);
        }
    }

    /// Begins a segment.
    pub(super) fn begin(&self, first: u64) -> io::Result<File> {
        let file = files::create(&self.dir, first)?;
        self.segments().push_back(Segment { first, bytes: 0 });
        Ok(file)
    }

    /// So many bytes were added to the newest segment. Drops the oldest ones if that was too much.
    pub(super) fn grown(&self, bytes: u64) {
        let mut dropped = Vec::new();
        {
            let mut segments = self.segments();
            if let Some(segment) = segments.back_mut() {
                segment.bytes += bytes;
            }
            let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
            while total > self.limit && segments.len() > 1 {
                let Some(oldest) = segments.pop_front() else { break };
                total -= oldest.bytes;
                dropped.push(oldest);
            }
        }
        if dropped.is_empty() {
            return;
        }
        let oldest = self.oldest();
        for place in self.places().iter() {
            place.drop_below(oldest);
        }
        for segment in dropped {
            self.counters.segments_dropped.fetch_add(1, Ordering::Relaxed);
            self.tidied(fs::remove_file(files::path(&self.dir, segment.first)));
        }
    }

    /// Notes how far sinks have come, and removes what all of them are done with.
    pub(super) fn tidy(&self) {
        let absent = self.absent();
        let places: Vec<_> = self.places().iter().map(Arc::clone).collect();
        let kept = absent.iter().map(|(record, _)| record.unwrap_or(0)).min();
        drop(absent);
        for place in &places {
            self.note(place);
            if place.is_done() {
                self.places().retain(|known| !Arc::ptr_eq(known, place));
                self.tidied(cursor::remove(&self.dir, place.name));
            }
        }
        let cursors = places.iter().map(|place| place.acknowledged());
        let oldest = cursors.chain(kept).min();
        self.release(oldest.unwrap_or_else(|| self.end()));
    }

    /// Notes how far a sink has come.
    pub(super) fn note(&self, place: &Place) {
        let Some(record) = place.unnoted() else { return };
        let noted = cursor::write(&self.dir, place.name, record);
        if noted.is_ok() {
            place.noted(record);
        }
        self.tidied(noted);
    }

    /// Removes the segments that have only records below `oldest`, but not the one being written.
    fn release(&self, oldest: u64) {
        let mut released = Vec::new();
        {
            let mut segments = self.segments();
            while segments.get(1).is_some_and(|next| next.first <= oldest) {
                released.extend(segments.pop_front());
            }
        }
        for segment in released {
            self.tidied(fs::remove_file(files::path(&self.dir, segment.first)));
        }
    }

    fn tidied(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.counters.tidy_failures.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(dir = %self.dir.display(), %error, "spool cannot be tidied up");
        }
    }
}

/// The number after that of the last record in a segment, if it has any.
fn last_record(path: &std::path::Path, counters: &SpoolCounters) -> io::Result<Option<u64>> {
    let mut blocks = Blocks::new(File::open(path)?);
    let mut end = None;
    loop {
        match blocks.next(0)? {
            Found::Block(header) | Found::Damaged(header) => {
                end = Some(end.unwrap_or(0).max(header.end()));
            }
            Found::End => {
                counters.bytes_skipped.fetch_add(blocks.take_skipped(), Ordering::Relaxed);
                return Ok(end);
            }
        }
    }
}
