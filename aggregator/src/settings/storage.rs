//! What is kept on this machine's disks.

use std::path::PathBuf;

use config::write::{Line, text};
use config::{Key, Name, Setting, Severity, Sources, read, size};

use super::keys::{FILE, Reload, Section};
use super::print;

/// Where the spool is, below the embedded store's directory.
const BESIDE_STORE: &str = "spool";
/// A spool of less could not keep what an output is handed at once.
const LEAST_SPOOL: u64 = 16 << 20;
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
    ours: &[&DATA, &SPOOL, &SPOOL_LIMIT],
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
    form: "a path, or off",
    doc: "Directory in which outputs keep what they cannot deliver yet. Without one, the directory \
          spool in dataDirectory if there is that, and else none. off: none.",
    ..Key::NONE
};

pub(super) static SPOOL_LIMIT: Key = Key {
    names: &[Name::current(FILE, "spool.limit")],
    form: "a size of 16MiB or more, such as 512MiB or 2GiB",
    default: "1GiB",
    doc: "How much each output keeps there. Beyond, the oldest records are dropped, and counted.",
    ..Key::NONE
};

/// What is kept on this machine's disks.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    pub data: Setting<Option<PathBuf>>,
    /// `None` for none.
    pub spool: Setting<Option<PathBuf>>,
    /// Bytes, per output.
    pub spool_limit: Setting<u64>,
}

pub(super) fn pick_log(sources: &mut Sources) -> Setting<Option<PathBuf>> {
    Setting::optional(sources.pick(&LOG, read::path))
}

pub(super) fn log_lines(log: &Setting<Option<PathBuf>>) -> Vec<Line> {
    vec![print::maybe_path(&LOG, log)]
}

impl Storage {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let data = Setting::optional(sources.pick(&DATA, read::path));
        let spool = Setting::optional(sources.pick(&SPOOL, read::path));
        let limit = sources.pick(&SPOOL_LIMIT, |raw| match read::bytes(raw) {
            Ok(bytes) if bytes < LEAST_SPOOL => Err("it is too small"),
            bytes => bytes,
        });
        let is_off = |path: &PathBuf| path.as_os_str() == "off" || path.as_os_str() == "false";
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
        Some(Self { data, spool, spool_limit: limit? })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::maybe_path(&DATA, &self.data),
            print::line(&SPOOL, &self.spool, shown_spool),
            print::line(&SPOOL_LIMIT, &self.spool_limit, |it| size::format(*it)),
        ]
    }
}

/// Nothing would stand for the directory beside the store.
fn shown_spool(spool: &Option<PathBuf>) -> String {
    spool.as_ref().map_or_else(|| text("off"), |path| text(&path.to_string_lossy()))
}
