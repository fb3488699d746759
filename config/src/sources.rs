//! Who gives a setting its value: the command line, then the environment, then files, then the
//! default.

use std::collections::HashMap;

use crate::layer::{Given, Item, Layer};
use crate::{Findings, Key, Origin, Raw, Setting, Severity, Status, yaml};

/// What has been read of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<T> {
    /// `None` if it cannot be used.
    pub value: Option<T>,
    pub wrong: Vec<Wrong>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// [`Severity::Doubt`] counts as an error wherever unknown keys do.
    pub severity: Severity,
    /// Which item of a list it is about.
    pub item: Option<usize>,
    pub why: String,
}

impl<T, E: ToString> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        let wrong =
            |error: E| Wrong { severity: Severity::Error, item: None, why: error.to_string() };
        match result {
            Ok(value) => Self { value: Some(value), wrong: Vec::new() },
            Err(error) => Self { value: None, wrong: vec![wrong(error)] },
        }
    }
}

/// Everything that may give a value.
#[derive(Debug, Default)]
pub struct Sources {
    /// By [`Key::flag`].
    pub flags: HashMap<&'static str, Raw>,
    /// By [`Key::variable`].
    pub environment: HashMap<&'static str, String>,
    /// Which of them wins is told by the order of [`Key::names`].
    pub layers: Vec<Layer>,
    pub findings: Findings,
}

/// One that gives a value to a key.
struct Candidate {
    given: Given,
    /// The file and the path in it.
    name: Option<(&'static str, &'static str)>,
    status: Status,
    strict: bool,
}

impl Sources {
    /// Chooses the value of a setting. Every value somebody gives is read, so that a mistake in
    /// one that is overruled is told as well. `None` if nobody gives one that can be used and
    /// there is no default.
    pub fn pick<T, R: Into<Reading<T>>>(
        &mut self,
        key: &Key,
        read: impl Fn(&Raw) -> R,
    ) -> Option<Setting<T>> {
        let mut winner: Option<(Setting<T>, Option<&'static str>)> = None;
        for candidate in self.candidates(key) {
            let reading = read(&candidate.given.raw).into();
            for wrong in &reading.wrong {
                self.tell(key, &candidate, wrong);
            }
            let Some(value) = reading.value else { continue };
            let file = candidate.name.map(|(file, _)| file);
            let same_file = winner.as_ref().is_some_and(|(_, winner)| *winner == file);
            self.tell_name(key, &candidate, winner.is_some(), same_file);
            if winner.is_none() {
                winner = Some((Setting::new(value, candidate.given.origin), file));
            }
        }
        winner.map(|(setting, _)| setting).or_else(|| {
            let value = read(&Raw::of_default(key.default)?).into().value?;
            Some(Setting::new(value, Origin::Default))
        })
    }

    /// Takes out the sections of the lists in a file, in their order.
    pub fn take_items(&mut self, file: &str) -> Vec<Item> {
        let layer = self.layers.iter_mut().find(|layer| layer.kind.name == file);
        layer.map(|layer| std::mem::take(&mut layer.items)).unwrap_or_default()
    }

    /// Lets `pick` choose the values of one item, of which nobody else speaks. What there is to
    /// say about it is told with its name.
    pub fn pick_in<T>(&mut self, item: Item, pick: impl FnOnce(&mut Self) -> T) -> T {
        let mut inner = Self { layers: vec![item.layer], ..Self::default() };
        let picked = pick(&mut inner);
        for finding in inner.findings.iter() {
            let origin = finding.origin.clone().unwrap_or_else(|| item.origin.clone());
            let key = format!("{}.{}", item.name, finding.key);
            self.findings.note(finding.severity, origin, key, &finding.what);
        }
        picked
    }

    /// Whether there is a file of this name, whatever it says.
    pub fn has_file(&self, file: &str) -> bool {
        self.layers.iter().any(|layer| layer.kind.name == file)
    }

    /// Where a file says something of `path`.
    pub fn place(&self, file: &str, path: &str) -> Option<&Origin> {
        let layer = self.layers.iter().find(|layer| layer.kind.name == file)?;
        layer.get(path).filter(|given| !given.raw.is_empty()).map(|given| &given.origin)
    }

    fn candidates(&self, key: &Key) -> Vec<Candidate> {
        let outside = |raw: Raw, origin| Candidate {
            given: Given::outside_files(raw, origin),
            name: None,
            status: Status::Current,
            strict: true,
        };
        let flag = key
            .flag
            .and_then(|flag| Some(outside(self.flags.get(flag)?.clone(), Origin::Flag(flag))));
        let variable = key.variable.and_then(|name| {
            let text = self.environment.get(name)?.clone();
            Some(outside(Raw::Text(text), Origin::Environment(name)))
        });
        let named = key.names.iter().filter_map(|name| {
            let layer = self.layers.iter().find(|layer| layer.kind.name == name.file)?;
            Some(Candidate {
                given: layer.get(name.path)?.clone(),
                name: Some((name.file, name.path)),
                status: name.status,
                strict: layer.kind.sections.is_none(),
            })
        });
        let all = flag.into_iter().chain(variable).chain(named);
        all.filter(|it| !it.given.raw.is_empty()).collect()
    }

    fn tell(&mut self, key: &Key, candidate: &Candidate, wrong: &Wrong) {
        let severity = match wrong.severity {
            Severity::Doubt if candidate.strict => Severity::Error,
            severity => severity,
        };
        let item = wrong.item.and_then(|item| candidate.given.items.get(item));
        let origin = item.unwrap_or(&candidate.given.origin);
        let found = candidate.given.raw.shown(wrong.item);
        let what = format!("expected {}, found {found}: {}", key.form, wrong.why);
        self.findings.note(severity, origin.clone(), candidate.path(key), what);
    }

    fn tell_name(&mut self, key: &Key, candidate: &Candidate, is_late: bool, same_file: bool) {
        let (Status::Other(whose), Some((file, path))) = (candidate.status, candidate.name) else {
            return;
        };
        let what = match (key.current_name(file), is_late, same_file) {
            (Some(current), false, _) => format!("{whose}; write {current}"),
            (Some(current), true, true) => format!("has no effect beside {current}; remove it"),
            (None, false, _) => whose.to_owned(),
            (_, true, _) => return,
        };
        self.findings.note(Severity::Note, candidate.given.origin.clone(), path, what);
    }
}

impl Candidate {
    fn path(&self, key: &Key) -> &'static str {
        self.name.map_or_else(|| key.name(), |(_, path)| path)
    }
}

impl Raw {
    fn of_default(default: &str) -> Option<Self> {
        // An IPv6 address with a port begins as a list does.
        let Ok(yaml::Document { root, .. }) = yaml::parse(default) else {
            return Some(Self::Text(default.to_owned()));
        };
        match root.value {
            yaml::Value::Text(text) => Some(Self::Text(text)),
            yaml::Value::List(nodes) => {
                let text = |node| match node {
                    yaml::Node { value: yaml::Value::Text(text), .. } => Some(text),
                    _ => None,
                };
                nodes.into_iter().map(text).collect::<Option<_>>().map(Self::List)
            }
            _ => None,
        }
    }

    /// As in Antrea, an empty text is as good as none. An empty list is one.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    fn shown(&self, item: Option<usize>) -> String {
        let text = match (self, item) {
            (Self::Text(text), _) => text,
            (Self::List(items), Some(item)) => match items.get(item) {
                Some(text) => text,
                None => return "a list".to_owned(),
            },
            (Self::List(_), None) => return "a list".to_owned(),
        };
        format!("{:?}", text.chars().take(60).collect::<String>())
    }
}
