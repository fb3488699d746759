//! What becomes of records: how they are joined, and how much of that is kept in memory.

use std::time::Duration;

use config::write::Line;
use config::{Findings, Key, Name, Setting, Severity, Sources, duration, read};
use flow::Mode;

use super::keys::{FILE, Reload, Section, TRUTH};
use super::print;

/// A flow is told by 32 bits, and memory ends long before.
const MOST_FLOWS: usize = 1_000_000_000;
/// As Antrea's type has it.
const MOST_RECORDS: usize = 1 << 30;

pub(super) static SECTION: Section = Section {
    title: "Aggregation",
    reload: Reload::Restart,
    antrea: &[&MODE, &ACTIVE, &INACTIVE, &BUFFER],
    ours: &[&SKEW, &FLOWS],
};

/// What records are completed with.
pub(super) static CONTENTS: Section = Section {
    title: "Contents of records",
    reload: Reload::Live,
    antrea: &[&POD_LABELS],
    ours: &[],
};

pub(super) static MODE: Key = Key {
    names: &[Name::current(FILE, "mode")],
    form: "Aggregate or Proxy",
    default: "Aggregate",
    doc: "Aggregate: what two Nodes tell of a flow becomes one record. Proxy: each record is \
          passed on as it came, with who sent it, to flowCollector alone.",
    ..Key::NONE
};

pub(super) static ACTIVE: Key = Key {
    names: &[Name::current(FILE, "activeFlowRecordTimeout")],
    flag: Some("active-timeout"),
    form: "a duration such as 60s or 1m30s",
    default: "60s",
    doc: "A flow that goes on is told this often. Less than 1s counts as that.",
    ..Key::NONE
};

pub(super) static INACTIVE: Key = Key {
    names: &[Name::current(FILE, "inactiveFlowRecordTimeout")],
    flag: Some("inactive-timeout"),
    form: "a duration such as 60s or 1m30s",
    default: "90s",
    doc: "A flow of which nothing has been heard for this long is over. Less than 1s counts as \
          that.",
    ..Key::NONE
};

pub(super) static BUFFER: Key = Key {
    names: &[Name::current(FILE, "recordBufferSize")],
    form: "a number from 0 to 1073741824",
    default: "8192",
    doc: "Records that a new client of the flow stream is told of what was before it came, \
          rounded up to a power of two; 0 stands for 8192. Outputs do not depend on it: each has \
          a queue of its own, and a spool.",
    ..Key::NONE
};

pub(super) static POD_LABELS: Key = Key {
    names: &[Name::current(FILE, "recordContents.podLabels")],
    form: TRUTH,
    default: "false",
    doc: "Whether records have the labels of their Pods.",
    ..Key::NONE
};

pub(super) static SKEW: Key = Key {
    names: &[Name::current(FILE, "clockSkew")],
    flag: Some("clock-skew"),
    form: super::keys::DURATION,
    default: "5s",
    doc: "How far apart the clocks of two Nodes may be.",
    ..Key::NONE
};

pub(super) static FLOWS: Key = Key {
    names: &[Name::current(FILE, "limits.flows")],
    flag: Some("max-flows"),
    form: "a number from 1 to 1000000000",
    default: "5000000",
    doc: "Flows that are followed at once. What comes beyond is refused, and counted.",
    ..Key::NONE
};

const MODES: [(&str, Mode); 2] = [("Aggregate", Mode::Aggregate), ("Proxy", Mode::Proxy)];

/// How records become flows.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    pub mode: Setting<Mode>,
    pub active: Setting<Duration>,
    pub inactive: Setting<Duration>,
    /// Antrea's `recordBufferSize`, as it was written.
    pub buffer: Setting<usize>,
    pub clock_skew: Setting<Duration>,
    pub flows: Setting<usize>,
}

impl Aggregation {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let mode = sources.pick(&MODE, |raw| read::word(raw, &MODES));
        let active = timeout(sources, &ACTIVE);
        let inactive = timeout(sources, &INACTIVE);
        let buffer = sources.pick(&BUFFER, |raw| read::number(raw, 0..=MOST_RECORDS));
        let clock_skew = sources.pick(&SKEW, read::timeout);
        let flows = sources.pick(&FLOWS, |raw| read::count(raw, MOST_FLOWS));
        Some(Self {
            mode: mode?,
            active: active?,
            inactive: inactive?,
            buffer: buffer?,
            clock_skew: clock_skew?,
            flows: flows?,
        })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::line(&MODE, &self.mode, |it| word(*it).to_owned()),
            print::time(&ACTIVE, &self.active),
            print::time(&INACTIVE, &self.inactive),
            print::number(&BUFFER, &self.buffer),
            print::time(&SKEW, &self.clock_skew),
            print::number(&FLOWS, &self.flows),
        ]
    }

    /// Records that a new client of the flow stream is told of what was before it came.
    pub fn history(&self) -> usize {
        match self.buffer.value {
            0 => 8192,
            records => records.next_power_of_two(),
        }
    }
}

pub(super) fn pick_pod_labels(sources: &mut Sources) -> Option<Setting<bool>> {
    sources.pick(&POD_LABELS, read::truth)
}

pub(super) fn pod_labels_lines(pod_labels: &Setting<bool>) -> Vec<Line> {
    vec![print::number(&POD_LABELS, pod_labels)]
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Aggregate => "Aggregate",
        Mode::Proxy => "Proxy",
    }
}

/// As in Antrea, at least a second.
fn timeout(sources: &mut Sources, key: &Key) -> Option<Setting<Duration>> {
    let mut picked = sources.pick(key, read::duration)?;
    raise(&mut sources.findings, key, &mut picked);
    Some(picked)
}

fn raise(findings: &mut Findings, key: &Key, timeout: &mut Setting<Duration>) {
    let asked = duration::format(timeout.value);
    if timeout.raise_to(Duration::from_secs(1)) {
        let what = format!("{asked} is less than a second; it is raised to 1s");
        findings.note(Severity::Note, timeout.origin.clone(), key.name(), what);
    }
}
