//! What is kept on this machine's disks.

use std::path::PathBuf;
use std::time::Duration;

use config::write::{Line, text};
use config::{Key, Name, Raw, Setting, Severity, Sources, duration, read, size};
use sinks::{DeliverOptions, SpoolOptions};
use store::{MaintenanceOptions, WriterOptions};

use super::keys::{DURATION, FILE, Reload, Section};
use super::print;

/// Where the spool is, below the embedded store's directory.
const BESIDE_STORE: &str = "spool";
/// What says that there is no spool.
pub(crate) const OFF: &str = "off";
const LEAST_SPOOL: u64 = 1 << 20;
const LEAST_STORE: u64 = 64 << 20;
/// What is dropped at once is an hour.
const LEAST_KEPT: Duration = Duration::from_hours(1);
const FOREVER: &str = "forever";
const KEEP: &str = "a duration of 1h or more, such as 720h, or forever";
/// The default.
const SPOOL_SIZE: u64 = 1 << 30;

/// An output as others are.
pub(super) static LIVE: Section = Section {
    title: "Output: every attribute as lines of JSON",
    reload: Reload::Live,
    antrea: &[],
    ours: &[&LOG],
};

pub(super) static SECTION: Section = Section {
    title: "Storage",
    reload: Reload::Restart,
    antrea: &[],
    ours: &[
        &DATA,
        &STORE_LIMIT,
        &STORE_DURABLE,
        &KEEP_RECORDS,
        &KEEP_MINUTES,
        &KEEP_FIVE_MINUTES,
        &KEEP_HOURS,
        &SPOOL,
        &SPOOL_LIMIT,
        &SPOOL_DURABLE,
    ],
};

pub(super) static LOG: Key = Key {
    names: &[Name::current(FILE, "recordLog")],
    flag: Some("log"),
    form: "a path",
    doc: "A file that gets every record with every attribute as a line of JSON, beside whatever \
          flowLogger writes. Nobody puts it aside; who renames it has it opened anew.",
    ..Key::NONE
};

pub(super) static DATA: Key = Key {
    names: &[Name::current(FILE, "dataDirectory")],
    flag: Some("data"),
    form: "a path",
    doc: "Directory of the embedded store. Without one there is none.",
    ..Key::NONE
};

pub(super) static STORE_LIMIT: Key = Key {
    names: &[Name::current(FILE, "store.limit")],
    form: "a size of 64MiB or more, such as 512MiB or 2GiB",
    default: "64GiB",
    doc: "The size of the embedded store. Beyond, the oldest hours of records are dropped, and \
          counted; of the sums per minute, 5 minutes and hour, the oldest days beyond 15, 10 and \
          5 hundredths of it.",
    ..Key::NONE
};

pub(super) static STORE_DURABLE: Key = Key {
    names: &[Name::current(FILE, "store.durableWithin")],
    form: DURATION,
    default: "1s",
    doc: "How soon records in the embedded store are seen by others, and have survived a power \
          failure.",
    ..Key::NONE
};

pub(super) static KEEP_RECORDS: Key = Key {
    names: &[Name::current(FILE, "store.keep.records")],
    form: KEEP,
    default: "720h",
    doc: "How long the embedded store keeps records, by the hour in which they came.",
    ..Key::NONE
};

pub(super) static KEEP_MINUTES: Key = Key {
    names: &[Name::current(FILE, "store.keep.minutes")],
    form: KEEP,
    default: "2160h",
    doc: "How long it keeps their sums per minute.",
    ..Key::NONE
};

pub(super) static KEEP_FIVE_MINUTES: Key = Key {
    names: &[Name::current(FILE, "store.keep.fiveMinutes")],
    form: KEEP,
    default: "4320h",
    doc: "How long it keeps their sums per 5 minutes.",
    ..Key::NONE
};

pub(super) static KEEP_HOURS: Key = Key {
    names: &[Name::current(FILE, "store.keep.hours")],
    form: KEEP,
    default: "17520h",
    doc: "How long it keeps their sums per hour.",
    ..Key::NONE
};

pub(super) static SPOOL: Key = Key {
    names: &[Name::current(FILE, "spool.directory")],
    flag: Some("spool"),
    form: "a path, or off",
    doc: "Directory in which records are kept that outputs cannot take now. Without one, the \
          directory spool in dataDirectory if there is that, and else none. off: none.",
    ..Key::NONE
};

pub(super) static SPOOL_LIMIT: Key = Key {
    names: &[Name::current(FILE, "spool.limit")],
    flag: Some("spool-limit"),
    form: "a size of 1MiB or more, such as 512MiB or 2GiB",
    default: "1GiB",
    doc: "The size of all that is kept there. Beyond, the oldest records are dropped, and counted.",
    ..Key::NONE
};

pub(super) static SPOOL_DURABLE: Key = Key {
    names: &[Name::current(FILE, "spool.durableWithin")],
    flag: Some("spool-durable-within"),
    form: DURATION,
    default: "1s",
    doc: "How soon what is kept there has survived a power failure.",
    ..Key::NONE
};

/// What is kept on this machine's disks.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    pub data: Setting<Option<PathBuf>>,
    store: Store,
    /// `None` for none.
    spool: Setting<Option<PathBuf>>,
    /// Bytes.
    spool_limit: Setting<u64>,
    durable_within: Setting<Duration>,
}

/// How the embedded store is kept, if there is one.
#[derive(Debug, Clone, PartialEq)]
struct Store {
    /// Bytes.
    limit: Setting<u64>,
    durable_within: Setting<Duration>,
    /// In the order of [`KEPT`]; `None` for ever.
    keep: [Setting<Option<Duration>>; 4],
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    pub directory: PathBuf,
    pub writer: WriterOptions,
    pub maintenance: MaintenanceOptions,
}

/// From records to the coarsest sums.
static KEPT: [&Key; 4] = [&KEEP_RECORDS, &KEEP_MINUTES, &KEEP_FIVE_MINUTES, &KEEP_HOURS];

pub(super) fn pick_log(sources: &mut Sources) -> Setting<Option<PathBuf>> {
    Setting::optional(sources.pick(&LOG, read::path))
}

pub(super) fn log_lines(log: &Setting<Option<PathBuf>>) -> Vec<Line> {
    vec![print::maybe_path(&LOG, log)]
}

impl Store {
    fn pick(sources: &mut Sources) -> Option<Self> {
        let limit = sources.pick(&STORE_LIMIT, |raw| match read::bytes(raw) {
            Ok(bytes) if bytes < LEAST_STORE => Err("it is too small"),
            bytes => bytes,
        });
        let durable_within = sources.pick(&STORE_DURABLE, read::timeout);
        let keep = KEPT.map(|key| sources.pick(key, kept));
        let [Some(raw), Some(minute), Some(five_minutes), Some(hour)] = keep else { return None };
        let keep = [raw, minute, five_minutes, hour];
        for ((finer, coarser), key) in keep.iter().zip(&keep[1..]).zip(&KEPT[1..]) {
            let longest = |keep: &Setting<Option<Duration>>| keep.value.unwrap_or(Duration::MAX);
            if longest(coarser) < longest(finer) {
                let what = "is shorter than for what it sums up";
                sources.findings.note(Severity::Doubt, coarser.origin.clone(), key.name(), what);
            }
        }
        Some(Self { limit: limit?, durable_within: durable_within?, keep })
    }

    fn lines(&self) -> Vec<Line> {
        let shown = |keep: &Option<Duration>| keep.map_or_else(|| text(FOREVER), hours);
        let keep = KEPT.iter().zip(&self.keep).map(|(key, keep)| print::line(key, keep, shown));
        let first = [
            print::line(&STORE_LIMIT, &self.limit, |it| size::format(*it)),
            print::time(&STORE_DURABLE, &self.durable_within),
        ];
        first.into_iter().chain(keep).collect()
    }
}

/// Days are too long to be told to the second.
fn hours(keep: Duration) -> String {
    let hours = keep.as_secs() / 3600;
    if keep == Duration::from_hours(hours) { format!("{hours}h") } else { duration::format(keep) }
}

fn kept(raw: &Raw) -> Result<Option<Duration>, &'static str> {
    if read::text(raw) == Ok(FOREVER) {
        return Ok(None);
    }
    match read::duration(raw) {
        Ok(keep) if keep < LEAST_KEPT => Err("it is too short"),
        keep => keep.map(Some),
    }
}

impl Storage {
    /// The embedded store, if there is one.
    pub fn store(&self) -> Option<StoreSettings> {
        let directory = self.data.value.clone()?;
        let Store { limit, durable_within, keep } = &self.store;
        // A sink is asked only so often whether it is time.
        let flush_age = durable_within.value.saturating_sub(DeliverOptions::default().tick);
        let writer = WriterOptions { flush_age, ..WriterOptions::default() };
        let [raw, minute, five_minutes, hour] = keep.clone().map(|keep| keep.value);
        let limit = Some(limit.value);
        let maintenance = MaintenanceOptions {
            raw,
            minute,
            five_minutes,
            hour,
            limit,
            ..MaintenanceOptions::default()
        };
        Some(StoreSettings { directory, writer, maintenance })
    }

    /// How the spool is kept, if there is one.
    pub fn spool(&self) -> Option<SpoolOptions> {
        let directory = self.spool.value.clone()?;
        let durable_within = Some(self.durable_within.value);
        Some(SpoolOptions { directory, limit: self.spool_limit.value, durable_within })
    }

    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let data = Setting::optional(sources.pick(&DATA, read::path));
        let spool = Setting::optional(sources.pick(&SPOOL, read::path));
        let limit = sources.pick(&SPOOL_LIMIT, |raw| match read::bytes(raw) {
            Ok(bytes) if bytes < LEAST_SPOOL => Err("it is too small"),
            bytes => bytes,
        });
        let is_off = |path: &PathBuf| path.as_os_str() == OFF || path.as_os_str() == "false";
        let spool = match spool {
            Setting { value: None, origin, .. } => {
                let beside = data.value.as_ref().map(|data| data.join(BESIDE_STORE));
                Setting::new(beside, origin)
            }
            Setting { value: Some(path), origin, .. } => {
                Setting::new(Some(path).filter(|path| !is_off(path)), origin)
            }
        };
        // What is written by `--print-config` says no more than the default.
        let is_chosen = |limit: &&Setting<u64>| limit.value != SPOOL_SIZE;
        if spool.value.is_none()
            && let Some(limit) = limit.as_ref().filter(is_chosen)
        {
            let what = "has no effect without spool.directory or dataDirectory";
            sources.findings.note(Severity::Doubt, limit.origin.clone(), SPOOL_LIMIT.name(), what);
        }
        let durable_within = sources.pick(&SPOOL_DURABLE, read::timeout);
        let store = Store::pick(sources)?;
        Some(Self { data, store, spool, spool_limit: limit?, durable_within: durable_within? })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let spool = [
            print::line(&SPOOL, &self.spool, |it| shown_spool(it.as_ref())),
            print::line(&SPOOL_LIMIT, &self.spool_limit, |it| size::format(*it)),
            print::time(&SPOOL_DURABLE, &self.durable_within),
        ];
        let data = print::maybe_path(&DATA, &self.data);
        [data].into_iter().chain(self.store.lines()).chain(spool).collect()
    }
}

/// Nothing would stand for the directory beside the store.
fn shown_spool(spool: Option<&PathBuf>) -> String {
    spool.map_or_else(|| text(OFF), |path| text(&path.to_string_lossy()))
}
