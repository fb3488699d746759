//! What is kept on this machine's disks.

use std::path::PathBuf;
use std::time::Duration;

use config::write::{Line, text};
use config::{Key, Name, Setting, Severity, Sources, read, size};
use sinks::SpoolOptions;

use super::keys::{DURATION, FILE, Reload, Section};
use super::print;

/// Where the spool is, below the embedded store's directory.
const BESIDE_STORE: &str = "spool";
/// What says that there is no spool.
pub(crate) const OFF: &str = "off";
const LEAST_SPOOL: u64 = 1 << 20;
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
    ours: &[&DATA, &SPOOL, &SPOOL_LIMIT, &SPOOL_DURABLE],
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
    /// `None` for none.
    spool: Setting<Option<PathBuf>>,
    /// Bytes.
    spool_limit: Setting<u64>,
    durable_within: Setting<Duration>,
}

pub(super) fn pick_log(sources: &mut Sources) -> Setting<Option<PathBuf>> {
    Setting::optional(sources.pick(&LOG, read::path))
}

pub(super) fn log_lines(log: &Setting<Option<PathBuf>>) -> Vec<Line> {
    vec![print::maybe_path(&LOG, log)]
}

impl Storage {
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
        Some(Self { data, spool, spool_limit: limit?, durable_within: durable_within? })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::maybe_path(&DATA, &self.data),
            print::line(&SPOOL, &self.spool, |it| shown_spool(it.as_ref())),
            print::line(&SPOOL_LIMIT, &self.spool_limit, |it| size::format(*it)),
            print::time(&SPOOL_DURABLE, &self.durable_within),
        ]
    }
}

/// Nothing would stand for the directory beside the store.
fn shown_spool(spool: Option<&PathBuf>) -> String {
    spool.map_or_else(|| text(OFF), |path| text(&path.to_string_lossy()))
}
