//! Where denied packets are heard of.

use std::path::PathBuf;

use config::write::{Line, text};
use config::{Key, Raw, Reading, Setting, Severity, Sources, Wrong, read};
use jiff::tz::TimeZone;

use super::print::{line, list};
use super::{keys, optional, values};
use crate::deny::nflog::MAX_GROUPS;
use crate::deny::nfqueue::{Fate, MAX_QUEUES};
use crate::deny::prefix::PrefixRule;

/// Sources of denied packets; those that are not given are off.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
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
    let nflog = optional(sources.pick(&keys::NFLOG, |raw: &Raw| numbers(raw, MAX_GROUPS)));
    let prefixes = optional(sources.pick(&keys::NFLOG_PREFIXES, prefixes));
    let nfqueue = optional(sources.pick(&keys::NFQUEUE, |raw: &Raw| numbers(raw, MAX_QUEUES)));
    let fate = sources.pick(&keys::NFQUEUE_VERDICT, fate);
    let fail_open = sources.pick(&keys::NFQUEUE_FAIL_OPEN, read::truth);
    let audit_log = optional(sources.pick(&keys::AUDIT_LOG, values::path));
    let audit_zone = optional(sources.pick(&keys::AUDIT_LOG_ZONE, zone));
    let (fate, fail_open) = (fate?, fail_open?);
    Some(Denial { nflog, prefixes, nfqueue, fate, fail_open, audit_log, audit_zone })
}

impl Denial {
    /// In which the Agent writes its log.
    pub fn zone(&self) -> TimeZone {
        let given = self.audit_zone.value.as_deref();
        given.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
    }

    pub(super) fn lines(&self) -> [Line; 7] {
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
        [
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
    pub(super) fn differing(&self, new: &Self) -> [(&'static Key, bool); 7] {
        [
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
    items(raw, max, |item| {
        let is_number = item.bytes().all(|byte| byte.is_ascii_digit());
        item.parse().ok().filter(|_| is_number).ok_or("it is not a number from 0 to 65535")
    })
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
