//! What becomes of files once they are written.
//!
//! small files ─▶ merged ones ─▶ sums per minute ─▶ per 5 min ─▶ per hour ─▶ dropped
//!
//! Everything is planned by the names of files, done aside, and comes true by one rename (see
//! [`super::names`]). So whatever was not finished when the process died is planned again, and
//! readers need to know nothing of it. A *pass* does what there is to do at one time; it may run
//! beside the writer, with which it shares nothing but the directory and its lock.
mod clock; // whether the time can be believed
mod counters; // what was done
mod plan; // which files become one
mod product; // that file
mod retention; // what is dropped

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::inspect::{Checked, checked};
use super::layout::Tier;
use super::listing::{Listing, flat_name, names};
use super::names::StoredFile;
use super::{directory, layout, mark};
use crate::StoreError;
use crate::error::IoContext;
use clock::Clock;
pub(crate) use counters::usage;
pub use counters::{Dropped, MaintenanceCounters, Usage};
use plan::Task;
use product::Failure;

/// How long who reads may take with a file that was replaced.
const REPLACED_FOR_MS: u64 = 5 * 60_000;
/// Files that could not be read are kept up to this number, the newest ones.
const QUARANTINED: usize = 64;
/// and, but for the newest, up to this part of what all files may take.
const QUARANTINED_SHARE: u64 = 20;

/// How long and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// For how long each tier is kept, by the hour or day of insertion; `None` for ever.
    pub raw: Option<Duration>,
    pub minute: Option<Duration>,
    pub five_minutes: Option<Duration>,
    pub hour: Option<Duration>,
    /// What all files may take together, in bytes. Of this, sums get up to 15, 10 and 5 hundredths
    /// (per minute, 5 min, hour), and records what these leave.
    pub limit: Option<u64>,
    /// So many small files of the present hour are merged; of a past one, any two.
    pub small_files: usize,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            raw: Some(30 * DAY),
            minute: Some(90 * DAY),
            five_minutes: Some(180 * DAY),
            hour: Some(730 * DAY),
            limit: Some(64 << 30),
            small_files: 64,
        }
    }
}

impl MaintenanceOptions {
    fn keep(&self, tier: Tier) -> Option<Duration> {
        match tier {
            Tier::Raw => self.raw,
            Tier::Minute => self.minute,
            Tier::FiveMinutes => self.five_minutes,
            Tier::Hour => self.hour,
        }
    }
}

/// Merges, sums up and drops the files of a store. There is one per store: it has the lock.
#[derive(Debug)]
pub struct Maintenance {
    dir: PathBuf,
    options: MaintenanceOptions,
    _lock: Arc<File>,
    counters: Arc<MaintenanceCounters>,
    clock: Clock,
    /// What was moved away, and when.
    replaced: Vec<(PathBuf, u64)>,
}

impl Maintenance {
    /// For a store that nobody writes to at the moment.
    pub fn open(dir: &Path, options: MaintenanceOptions) -> Result<Self, StoreError> {
        if !layout::flows(dir).is_dir() {
            return Err(StoreError::Missing { dir: dir.to_owned() });
        }
        let lock = Arc::new(directory::lock(dir)?);
        directory::clear(&layout::temporary(dir))?;
        Self::new(dir, options, lock)
    }

    pub(crate) fn new(
        dir: &Path,
        options: MaintenanceOptions,
        lock: Arc<File>,
    ) -> Result<Self, StoreError> {
        // Nobody reads any more what was moved away before this process began, or is told that it
        // is gone.
        directory::clear(&layout::replaced(dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            options,
            _lock: lock,
            counters: Arc::default(),
            clock: Clock::default(),
            replaced: Vec::new(),
        })
    }

    pub fn counters(&self) -> Arc<MaintenanceCounters> {
        Arc::clone(&self.counters)
    }

    /// Does what there is to do at `now_ms`. Returns soon once `stop` is true: what has not come
    /// true by then is done in a later pass.
    ///
    /// After an error (such as a full disk) old files have been dropped all the same.
    pub fn pass(&mut self, now_ms: u64, stop: &AtomicBool) -> Result<(), StoreError> {
        let done = self.sweep(now_ms).and_then(|()| self.sum_up(now_ms, stop));
        let dropped = self.retire(now_ms);
        let done = done.and(dropped).and_then(|()| self.merge(now_ms, stop));
        let done = done.and(self.measure());
        if done.is_err() {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// Moves away what was replaced just before a crash, and removes what was moved long ago.
    fn sweep(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let listing = Listing::read(&self.dir)?;
        self.clock.tick(now_ms, &listing);
        self.move_away(&listing.replaced, now_ms)?;
        let is_old = |at: u64| now_ms.abs_diff(at) >= REPLACED_FOR_MS;
        for (path, _) in self.replaced.extract_if(.., |(_, at)| is_old(*at)) {
            fs::remove_file(&path).unwrap_or_default();
        }
        Ok(())
    }

    fn sum_up(&mut self, now_ms: u64, stop: &AtomicBool) -> Result<(), StoreError> {
        for tier in Tier::SUMS {
            let listing = Listing::read(&self.dir)?;
            let floor = retention::floor(&self.dir, tier);
            self.do_all(plan::sums(&listing, tier, floor, now_ms), now_ms, stop)?;
        }
        Ok(())
    }

    fn merge(&mut self, now_ms: u64, stop: &AtomicBool) -> Result<(), StoreError> {
        // The coarsest first: finer ones become one only if they are one there already.
        for tier in Tier::ALL.into_iter().rev() {
            let listing = Listing::read(&self.dir)?;
            // Which file the mark names is asked after the list was made: one that it is going to
            // name later is not in there.
            let pinned = mark::file(&self.dir);
            let tasks =
                plan::merges(&listing, tier, pinned.as_deref(), now_ms, self.options.small_files);
            self.do_all(tasks, now_ms, stop)?;
        }
        Ok(())
    }

    fn do_all(
        &mut self,
        tasks: Vec<Task>,
        now_ms: u64,
        stop: &AtomicBool,
    ) -> Result<(), StoreError> {
        for task in tasks {
            match product::make(&self.dir, &task, stop) {
                Ok(()) => self.done(&task, now_ms)?,
                Err(Failure::Stopped) => return Ok(()),
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Input { file, error }) if error.is_damage() => {
                    self.quarantine(&file, &error.to_string())?;
                }
                Err(Failure::Input { file, error }) => {
                    self.counters.files_left.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(path = %file.path.display(), %error, "a file is left as it is");
                }
            }
        }
        Ok(())
    }

    fn done(&mut self, task: &Task, now_ms: u64) -> Result<(), StoreError> {
        let counters = &self.counters;
        if task.is_merge() {
            counters.merges.fetch_add(1, Ordering::Relaxed);
            counters.files_merged.fetch_add(task.inputs.len() as u64, Ordering::Relaxed);
            return self.move_away(&task.inputs, now_ms);
        }
        counters.roll_ups.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// To where readers that have them listed find them for a while.
    fn move_away(&mut self, files: &[StoredFile], now_ms: u64) -> Result<(), StoreError> {
        let old = layout::replaced(&self.dir);
        directory::ensure(&old)?;
        for file in files {
            let to = old.join(flat_name(&self.dir, file));
            // It may have been written over by a file of the same name, which is then the new one.
            if file.path.exists() {
                fs::rename(&file.path, &to).during("move away the replaced file", &file.path)?;
                self.replaced.push((to, now_ms));
            }
        }
        Ok(())
    }

    /// Reads everything, as [`verify`](super::verify) does, and sets aside each file that is
    /// damaged. Sums that are set aside are made anew while what they sum up is there.
    pub fn repair(&mut self, mut each: impl FnMut(Checked)) -> Result<(), StoreError> {
        let listing = Listing::read(&self.dir)?;
        for file in &listing.files {
            let checked = checked(&self.dir, &listing, file);
            if let (true, Some(reason)) = (checked.is_damaged, &checked.fault) {
                self.quarantine(file, reason)?;
            }
            each(checked);
        }
        Ok(())
    }

    /// Sets a file aside that cannot be read.
    fn quarantine(&mut self, file: &StoredFile, reason: &str) -> Result<(), StoreError> {
        let dir = layout::quarantine(&self.dir);
        directory::ensure(&dir)?;
        let to = dir.join(flat_name(&self.dir, file));
        fs::rename(&file.path, &to).during("set aside the damaged file", &file.path)?;
        let rows = file.label.map_or(0, |label| label.rows);
        self.counters.files_quarantined.fetch_add(1, Ordering::Relaxed);
        self.counters.rows_quarantined.fetch_add(rows, Ordering::Relaxed);
        tracing::error!(path = %to.display(), reason, rows, "a damaged file was set aside");
        let mut kept: Vec<PathBuf> = names(&dir)?.into_iter().map(|name| dir.join(name)).collect();
        // When it was set aside; it may have been written long before.
        let moved = |file: fs::Metadata| (file.ctime(), file.ctime_nsec());
        kept.sort_by_key(|path| fs::metadata(path).map(moved).ok());
        // What nobody can read must not crowd out what is sound.
        let most = self.options.limit.map_or(u64::MAX, |limit| limit / QUARANTINED_SHARE);
        let mut bytes = 0;
        for (number, path) in kept.iter().rev().enumerate() {
            bytes += fs::metadata(path).map_or(0, |file| file.len());
            if number > 0 && (number >= QUARANTINED || bytes > most) {
                fs::remove_file(path).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn retire(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let believed = self.clock.is_believed(now_ms);
        retention::retire(&self.dir, &self.options, &self.counters, now_ms, believed)
    }

    fn measure(&self) -> Result<(), StoreError> {
        let listing = Listing::read(&self.dir)?;
        self.counters.measure(&listing);
        Ok(())
    }
}
