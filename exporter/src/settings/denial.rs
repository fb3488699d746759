//! Where denied packets are heard of.

use std::path::PathBuf;

use config::write::{Line, text};
use config::{Key, Raw, Reading, Setting, Severity, Sources, Wrong, read};
use jiff::tz::TimeZone;

use super::print::{line, list};
use super::{keys, values};
use crate::deny::nflog::MAX_GROUPS;
use crate::deny::nfqueue::{Fate, MAX_QUEUES};
use crate::deny::ovs;
use crate::deny::prefix::PrefixRule;

/// Sources of denied packets; those that are not given are off.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// As it was given; [`Denial::ovs_options`] is what it means.
    pub ovs: Setting<Option<String>>,
    pub ovs_controller: Setting<Option<u16>>,
    pub ovs_tables: Setting<Option<Vec<(String, u8)>>>,
    pub nflog: Setting<Option<Vec<u16>>>,
    pub prefixes: Setting<Option<Vec<PrefixRule>>>,
    pub nfqueue: Setting<Option<Vec<u16>>>,
    pub fate: Setting<Fate>,
    pub fail_open: Setting<bool>,
    pub audit_log: Setting<Option<PathBuf>>,
    /// As it was given; [`Denial::zone`] is what it means.
    pub audit_zone: Setting<Option<String>>,
}

pub(super) fn pick(sources: &mut Sources) -> Option<Denial> {
    let ovs =
        Setting::optional(sources.pick(&keys::OVS, |raw: &Raw| read::text(raw).map(str::to_owned)));
    let ovs_controller = Setting::optional(sources.pick(&keys::OVS_CONTROLLER, controller));
    let ovs_tables = Setting::optional(sources.pick(&keys::OVS_TABLES, tables));
    let nflog = Setting::optional(sources.pick(&keys::NFLOG, |raw: &Raw| numbers(raw, MAX_GROUPS)));
    let prefixes = Setting::optional(sources.pick(&keys::NFLOG_PREFIXES, prefixes));
    let nfqueue =
        Setting::optional(sources.pick(&keys::NFQUEUE, |raw: &Raw| numbers(raw, MAX_QUEUES)));
    let fate = sources.pick(&keys::NFQUEUE_VERDICT, fate);
    let fail_open = sources.pick(&keys::NFQUEUE_FAIL_OPEN, read::truth);
    let audit_log = Setting::optional(sources.pick(&keys::AUDIT_LOG, values::path));
    let audit_zone = Setting::optional(sources.pick(&keys::AUDIT_LOG_ZONE, zone));
    let (fate, fail_open) = (fate?, fail_open?);
    Some(Denial {
        ovs,
        ovs_controller,
        ovs_tables,
        nflog,
        prefixes,
        nfqueue,
        fate,
        fail_open,
        audit_log,
        audit_zone,
    })
}

impl Denial {
    /// How to watch Open vSwitch, if it is to be watched.
    pub fn ovs_options(&self) -> Option<ovs::Options> {
        let bridge = self.ovs.value.as_deref().filter(|bridge| !bridge.is_empty())?;
        let mut options = ovs::Options::of_bridge(bridge);
        if bridge.contains('/') {
            options.socket = bridge.into();
        }
        options.controller = self.ovs_controller.value;
        options.tables = self.ovs_tables.value.clone().unwrap_or_default();
        Some(options)
    }

    /// In which the Agent writes its log.
    pub fn zone(&self) -> TimeZone {
        let given = self.audit_zone.value.as_deref();
        given.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
    }

    pub(super) fn lines(&self) -> [Line; 10] {
        let maybe = |it: &Option<Vec<u16>>| it.as_ref().map_or("null".to_owned(), |it| list(it));
        let rules = |it: &Option<Vec<PrefixRule>>| {
            let quoted = |rules: &Vec<PrefixRule>| {
                list(&rules.iter().map(|rule| text(rule.text())).collect::<Vec<_>>())
            };
            it.as_ref().map_or("null".to_owned(), quoted)
        };
        let path = |it: &Option<PathBuf>| {
            text(&it.as_ref().map(|path| path.to_string_lossy()).unwrap_or_default())
        };
        let tables = |it: &Option<Vec<(String, u8)>>| {
            let pair = |(name, number): &(String, u8)| text(&format!("{name}={number}"));
            let pairs = |it: &Vec<_>| list(&it.iter().map(pair).collect::<Vec<_>>());
            it.as_ref().map_or("null".to_owned(), pairs)
        };
        [
            line(&keys::OVS, &self.ovs, |it| text(it.as_deref().unwrap_or_default())),
            line(&keys::OVS_CONTROLLER, &self.ovs_controller, |it| {
                it.map_or("null".to_owned(), |it| it.to_string())
            }),
            line(&keys::OVS_TABLES, &self.ovs_tables, tables),
            line(&keys::NFLOG, &self.nflog, maybe),
            line(&keys::NFLOG_PREFIXES, &self.prefixes, rules),
            line(&keys::NFQUEUE, &self.nfqueue, maybe),
            line(&keys::NFQUEUE_VERDICT, &self.fate, |it| it.word().to_owned()),
            line(&keys::NFQUEUE_FAIL_OPEN, &self.fail_open, bool::to_string),
            line(&keys::AUDIT_LOG, &self.audit_log, path),
            line(&keys::AUDIT_LOG_ZONE, &self.audit_zone, |it| {
                text(it.as_deref().unwrap_or_default())
            }),
        ]
    }

    /// Each key, and whether it differs in `new`.
    pub(super) fn differing(&self, new: &Self) -> [(&'static Key, bool); 10] {
        [
            (&keys::OVS, self.ovs.value != new.ovs.value),
            (&keys::OVS_CONTROLLER, self.ovs_controller.value != new.ovs_controller.value),
            (&keys::OVS_TABLES, self.ovs_tables.value != new.ovs_tables.value),
            (&keys::NFLOG, self.nflog.value != new.nflog.value),
            (&keys::NFLOG_PREFIXES, self.prefixes.value != new.prefixes.value),
            (&keys::NFQUEUE, self.nfqueue.value != new.nfqueue.value),
            (&keys::NFQUEUE_VERDICT, self.fate.value != new.fate.value),
            (&keys::NFQUEUE_FAIL_OPEN, self.fail_open.value != new.fail_open.value),
            (&keys::AUDIT_LOG, self.audit_log.value != new.audit_log.value),
            (&keys::AUDIT_LOG_ZONE, self.audit_zone.value != new.audit_zone.value),
        ]
    }
}

fn numbers(raw: &Raw, max: usize) -> Reading<Vec<u16>> {
    items(raw, max, |item| number(item).ok_or("it is not a number from 0 to 65535"))
}

fn controller(raw: &Raw) -> Result<u16, &'static str> {
    let text = read::text(raw)?;
    number(text).ok_or("it is not a number from 0 to 65535")
}

/// 256 tables are all there are.
fn tables(raw: &Raw) -> Reading<Vec<(String, u8)>> {
    items(raw, 256, |item| {
        let (name, table) = item.split_once('=').ok_or("it is not NAME=NUMBER")?;
        let table = number(table).ok_or("its number is not one from 0 to 255")?;
        if !ovs::is_policy_table(name) {
            return Err("no table of that name enforces policies");
        }
        Ok((name.to_owned(), table))
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn prefixes(raw: &Raw) -> Reading<Vec<PrefixRule>> {
    items(raw, 256, PrefixRule::read)
}

fn items<T: PartialEq>(
    raw: &Raw,
    max: usize,
    read_one: impl Fn(&str) -> Result<T, &'static str>,
) -> Reading<Vec<T>> {
    let items = match read::list(raw) {
        Ok(items) if items.len() <= max => items,
        Ok(items) => {
            let why = format!("it has {} items; {max} are possible", items.len());
            return Err::<Vec<_>, _>(why).into();
        }
        Err(why) => return Err::<Vec<_>, _>(why).into(),
    };
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match read_one(item) {
            Ok(item) if known.contains(&item) => {}
            Ok(item) => known.push(item),
            Err(why) => {
                let (item, why) = (Some(index), why.to_owned());
                wrong.push(Wrong { severity: Severity::Error, item, why });
            }
        }
    }
    Reading { value: Some(known), wrong }
}

fn fate(raw: &Raw) -> Result<Fate, &'static str> {
    let word = read::text(raw)?;
    Fate::ALL.into_iter().find(|it| it.word() == word).ok_or("it is none of these")
}

fn zone(raw: &Raw) -> Result<String, &'static str> {
    let name = read::text(raw)?;
    match TimeZone::get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err("this machine knows no such time zone"),
    }
}
