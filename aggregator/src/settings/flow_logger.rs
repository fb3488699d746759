//! The output to a file in Antrea's format.

use std::path::PathBuf;
use std::time::Duration;

use config::write::{Line, text};
use config::{Item, Key, Name, Raw, Reading, Setting, Severity, Sources, Wrong, read};
use flow::{LogColumns, PolicyRule};
use sinks::log::{Csv, Filter, Format, Options, Rotation};

use super::keys::{FILE, Reload, Section, TRUTH};
use super::print;

const MEGABYTE: u64 = 1_048_576;
const DAY: Duration = Duration::from_hours(24);
/// As Antrea's types have it.
const LARGEST: u32 = i32::MAX.unsigned_abs();
/// A number of no action, which so matches nothing.
const NO_ACTION: u8 = u8::MAX;
/// Filters at most; each record is compared with each.
const MOST_FILTERS: usize = 64;

pub(super) static SECTION: Section = Section {
    title: "Output: a file of flows",
    reload: Reload::Live,
    antrea: &[
        &ENABLE,
        &PATH,
        &MAX_SIZE,
        &MAX_BACKUPS,
        &MAX_AGE,
        &COMPRESS,
        &FORMAT,
        &FILTERS,
        &PRETTY,
    ],
    ours: &[&COLUMNS, &QUOTE],
};

pub(super) const FILTERS_PATH: &str = "flowLogger.filters";

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "flowLogger.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go to a file.",
    ..Key::NONE
};

pub(super) static PATH: Key = Key {
    names: &[Name::current(FILE, "flowLogger.path")],
    form: "a path",
    default: "/tmp/antrea-flows.log",
    doc: "The file.",
    ..Key::NONE
};

pub(super) static MAX_SIZE: Key = Key {
    names: &[Name::current(FILE, "flowLogger.maxSize")],
    form: "a number from 0 to 2147483647",
    default: "100",
    doc: "The file is put aside before it gets longer than this, in MiB; 0 stands for 100.",
    ..Key::NONE
};

pub(super) static MAX_BACKUPS: Key = Key {
    names: &[Name::current(FILE, "flowLogger.maxBackups")],
    form: "a number from 0 to 2147483647",
    default: "3",
    doc: "How many files that were put aside are kept; 0: all of them.",
    ..Key::NONE
};

pub(super) static MAX_AGE: Key = Key {
    names: &[Name::current(FILE, "flowLogger.maxAge")],
    form: "a number from 0 to 2147483647",
    default: "0",
    doc: "How many days these are kept; 0: for ever.",
    ..Key::NONE
};

pub(super) static COMPRESS: Key = Key {
    names: &[Name::current(FILE, "flowLogger.compress")],
    form: TRUTH,
    default: "true",
    doc: "Whether these are compressed (gzip).",
    ..Key::NONE
};

pub(super) static FORMAT: Key = Key {
    names: &[Name::current(FILE, "flowLogger.recordFormat")],
    form: "CSV or JSON",
    default: "CSV",
    doc: "What records are written as. CSV: Antrea's columns. JSON: a line with every attribute; \
          Antrea has no such format.",
    ..Key::NONE
};

pub(super) static FILTERS: Key = Key {
    names: &[Name::current(FILE, FILTERS_PATH)],
    form: "a list of filters",
    doc: "Which records are written: those that any of these sections matches, or all if there is \
          none. Each section has lists ingressNetworkPolicyRuleActions and \
          egressNetworkPolicyRuleActions of None, Allow, Drop and Reject, and both have to have \
          the record's action; an empty list has all.",
    ..Key::NONE
};

pub(super) static PRETTY: Key = Key {
    names: &[Name::current(FILE, "flowLogger.prettyPrint")],
    form: TRUTH,
    default: "true",
    doc: "Whether CSV has names of protocols, actions and kinds of policies instead of their \
          numbers.",
    ..Key::NONE
};

pub(super) static COLUMNS: Key = Key {
    names: &[Name::current(FILE, "flowLogger.columns")],
    form: "v1.12, v1.13, v1.15, v2.0, v2.6 or v2.7",
    default: "v2.7",
    doc: "The first release of Antrea with these columns of CSV. v1.13 are those of 1.14 too, v2.0 \
          those of every release up to 2.5.",
    ..Key::NONE
};

pub(super) static QUOTE: Key = Key {
    names: &[Name::current(FILE, "flowLogger.quote")],
    form: TRUTH,
    default: "false",
    doc: "Whether values of CSV that need quotes have them (RFC 4180). Otherwise, as Antrea \
          writes none, such values lose their commas and ends of lines.",
    ..Key::NONE
};

pub(super) static FILTER_KEYS: [&Key; 2] = [&INGRESS, &EGRESS];

const ACTION_LIST: &str = "a list of None, Allow, Drop, Reject";

static INGRESS: Key = Key {
    names: &[Name::current(FILE, "ingressNetworkPolicyRuleActions")],
    form: ACTION_LIST,
    doc: "What the rule of the ingress policy may have done.",
    ..Key::NONE
};

static EGRESS: Key = Key {
    names: &[Name::current(FILE, "egressNetworkPolicyRuleActions")],
    form: ACTION_LIST,
    doc: "What the rule of the egress policy may have done.",
    ..Key::NONE
};

const ACTIONS: [(&str, u8); 4] = [
    ("None", 0),
    ("Allow", PolicyRule::ALLOW),
    ("Drop", PolicyRule::DROP),
    ("Reject", PolicyRule::REJECT),
];

const LAYOUTS: [(&str, LogColumns); 6] = [
    ("v1.12", LogColumns::V1_12),
    ("v1.13", LogColumns::V1_13),
    ("v1.15", LogColumns::V1_15),
    ("v2.0", LogColumns::V2_0),
    ("v2.6", LogColumns::V2_6),
    ("v2.7", LogColumns::V2_7),
];

/// The output to a file in Antrea's format.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowLogger {
    pub enable: Setting<bool>,
    path: Setting<PathBuf>,
    max_size: Setting<u32>,
    max_backups: Setting<u32>,
    max_age: Setting<u32>,
    compress: Setting<bool>,
    is_json: Setting<bool>,
    filters: Vec<Filter>,
    pretty: Setting<bool>,
    columns: Setting<LogColumns>,
    quote: Setting<bool>,
}

impl FlowLogger {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&ENABLE, read::truth)?;
        let before = sources.findings.iter().count();
        let is_on = enable.value;
        let picked = Self::pick_rest(sources, enable);
        if !is_on {
            sources.findings.soften_after(before);
        }
        picked
    }

    fn pick_rest(sources: &mut Sources, enable: Setting<bool>) -> Option<Self> {
        let number = |raw: &Raw| read::number(raw, 0..=LARGEST);
        let path = sources.pick(&PATH, read::path);
        let max_size = sources.pick(&MAX_SIZE, number);
        let max_backups = sources.pick(&MAX_BACKUPS, number);
        let max_age = sources.pick(&MAX_AGE, number);
        let compress = sources.pick(&COMPRESS, read::truth);
        let is_json =
            sources.pick(&FORMAT, |raw| read::word(raw, &[("CSV", false), ("JSON", true)]));
        let filters = filters(sources);
        let pretty = sources.pick(&PRETTY, read::truth);
        let columns = sources.pick(&COLUMNS, |raw| read::word(raw, &LAYOUTS));
        let quote = sources.pick(&QUOTE, read::truth);
        Some(Self {
            enable,
            path: path?,
            max_size: max_size?,
            max_backups: max_backups?,
            max_age: max_age?,
            compress: compress?,
            is_json: is_json?,
            filters,
            pretty: pretty?,
            columns: columns?,
            quote: quote?,
        })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let format = |is_json: &bool| if *is_json { "JSON" } else { "CSV" }.to_owned();
        let layout = |it: &LogColumns| {
            let word = LAYOUTS.iter().find(|(_, columns)| columns == it);
            word.map_or("", |(word, _)| word).to_owned()
        };
        let filters = Line {
            path: FILTERS_PATH,
            above: Vec::new(),
            value: shown(&self.filters),
            is_off: false,
            behind: None,
        };
        vec![
            print::number(&ENABLE, &self.enable),
            print::line(&PATH, &self.path, |it| text(&it.to_string_lossy())),
            print::number(&MAX_SIZE, &self.max_size),
            print::number(&MAX_BACKUPS, &self.max_backups),
            print::number(&MAX_AGE, &self.max_age),
            print::number(&COMPRESS, &self.compress),
            print::line(&FORMAT, &self.is_json, format),
            filters,
            print::number(&PRETTY, &self.pretty),
            print::line(&COLUMNS, &self.columns, layout),
            print::number(&QUOTE, &self.quote),
        ]
    }

    /// How the file is written; `None` if it is not.
    pub fn options(&self) -> Option<Options> {
        let days = Some(self.max_age.value).filter(|days| *days > 0);
        let megabytes = match self.max_size.value {
            0 => 100,
            megabytes => megabytes,
        };
        let rotation = Rotation {
            max_size: u64::from(megabytes) * MEGABYTE,
            max_backups: usize::try_from(self.max_backups.value).unwrap_or(usize::MAX),
            max_age: days.map(|days| DAY.saturating_mul(days)),
            compress: self.compress.value,
        };
        let csv =
            Csv { columns: self.columns.value, pretty: self.pretty.value, quote: self.quote.value };
        self.enable.value.then(|| Options {
            path: self.path.value.clone(),
            rotation: Some(rotation),
            format: if self.is_json.value { Format::JsonLines } else { Format::Csv(csv) },
            filters: self.filters.clone(),
        })
    }
}

fn filters(sources: &mut Sources) -> Vec<Filter> {
    let items = sources.take_items(FILE);
    if let Some(first) = items.get(MOST_FILTERS) {
        let what = format!("there are {MOST_FILTERS} filters at most");
        sources.findings.note(Severity::Error, first.origin.clone(), FILTERS_PATH, what);
        return Vec::new();
    }
    items.into_iter().map(|item| filter(sources, item)).collect()
}

fn filter(sources: &mut Sources, item: Item) -> Filter {
    sources.pick_in(item, |inner| Filter {
        ingress_actions: inner.pick(&INGRESS, actions).map(|it| it.value).unwrap_or_default(),
        egress_actions: inner.pick(&EGRESS, actions).map(|it| it.value).unwrap_or_default(),
    })
}

/// As in Antrea, an action that nobody knows matches nothing; it must not make the list empty,
/// which would match all.
fn actions(raw: &Raw) -> Reading<Vec<u8>> {
    let names = match read::list(raw) {
        Ok(names) => names,
        Err(why) => return Err::<Vec<u8>, _>(why).into(),
    };
    let known = |name: &String| ACTIONS.iter().find(|(word, _)| word == name).map(|(_, it)| *it);
    let actions: Vec<_> = names.iter().map(|name| known(name).unwrap_or(NO_ACTION)).collect();
    let unknown = actions.iter().enumerate().filter(|(_, action)| **action == NO_ACTION);
    let wrong = unknown.map(|(index, _)| Wrong {
        severity: Severity::Doubt,
        item: Some(index),
        why: "it is no action, and matches nothing".to_owned(),
    });
    Reading { value: Some(actions.clone()), wrong: wrong.collect() }
}

fn shown(filters: &[Filter]) -> String {
    let word = |action: &u8| {
        let known = ACTIONS.iter().find(|(_, known)| known == action);
        known.map_or("Unknown", |(word, _)| word)
    };
    let words = |actions: &[u8]| actions.iter().map(word).collect::<Vec<_>>().join(", ");
    let shown = |filter: &Filter| {
        let (ingress, egress) = (words(&filter.ingress_actions), words(&filter.egress_actions));
        format!(
            "{{ingressNetworkPolicyRuleActions: [{ingress}], \
             egressNetworkPolicyRuleActions: [{egress}]}}"
        )
    };
    format!("[{}]", filters.iter().map(shown).collect::<Vec<_>>().join(", "))
}
