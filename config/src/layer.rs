//! One file, sorted into the keys it may have.

use std::sync::Arc;

use crate::yaml::{self, Document, Entry, Node, Position, Value};
use crate::{Findings, Key, Name, Origin, Severity};

/// Longer words are no misspelt key, and comparing them would cost.
const LONGEST_KEY: usize = 64;

/// A kind of file.
#[derive(Debug)]
pub struct FileKind {
    /// Its usual name, as [`Name::file`] has it.
    pub name: &'static str,
    /// Sections that are ours in a file that is not; `None` if the whole file is. Unknown keys
    /// are refused in a file of ours, doubted in a section of ours, and nobody's business
    /// elsewhere, unless one looks like a misspelt key of ours.
    pub sections: Option<&'static [&'static str]>,
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    Text(String),
    List(Vec<String>),
}

/// What a file says of its keys.
#[derive(Debug)]
pub struct Layer {
    pub(crate) kind: &'static FileKind,
    given: Vec<Given>,
}

/// A value, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    path: &'static str,
    pub(crate) raw: Raw,
    pub(crate) origin: Origin,
    /// Where the items of a list are.
    pub(crate) items: Vec<Origin>,
}

impl Given {
    pub(crate) const fn outside_files(raw: Raw, origin: Origin) -> Self {
        Self { path: "", raw, origin, items: Vec::new() }
    }
}

impl Layer {
    /// Reads the text of a file that is called `file`. Whatever is wrong is noted, and the rest
    /// is used.
    pub fn read(
        kind: &'static FileKind,
        file: &str,
        text: &str,
        keys: &[&'static Key],
        findings: &mut Findings,
    ) -> Self {
        let names = keys.iter().flat_map(|key| key.names);
        let names = names.filter(|name| name.file == kind.name).collect();
        let mut reader =
            Reader { file: file.into(), names, layer: Self { kind, given: Vec::new() }, findings };
        match yaml::parse(text) {
            Ok(document) => reader.document(&document),
            Err(error) => reader.say(Severity::Error, error.at, "", error.what),
        }
        reader.layer
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.path == path)
    }
}

struct Reader<'a> {
    file: Arc<str>,
    names: Vec<&'static Name>,
    layer: Layer,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn document(&mut self, document: &Document) {
        for it in &document.duplicates {
            let what = format!("is given twice, first in line {}; remove one", it.first.line);
            self.say(Severity::Error, it.at, &it.path, what);
        }
        match &document.root.value {
            Value::Null => {}
            Value::Section(entries) => self.section("", entries),
            other => {
                let what = format!("expected keys and values, found {}", other.kind());
                self.say(Severity::Error, document.root.at, "", what);
            }
        }
    }

    fn section(&mut self, section: &str, entries: &[Entry]) {
        for entry in entries {
            let path = join(section, &entry.key);
            if let Some(name) = self.names.iter().find(|name| name.path == path) {
                self.value(name.path, &entry.node);
            } else if self.names.iter().any(|name| below(name.path, &path).is_some()) {
                match &entry.node.value {
                    Value::Section(entries) => self.section(&path, entries),
                    Value::Null => {}
                    other => {
                        let what = format!("expected a section, found {}", other.kind());
                        self.say(Severity::Error, entry.node.at, &path, what);
                    }
                }
            } else {
                self.unknown(section, &path, entry);
            }
        }
    }

    fn value(&mut self, path: &'static str, node: &Node) {
        let raw = match &node.value {
            Value::Null => return,
            Value::Text(text) => Raw::Text(text.clone()),
            Value::List(nodes) => match nodes.iter().map(text).collect() {
                Some(items) => Raw::List(items),
                None => {
                    return self.say(Severity::Error, node.at, path, "expected a list of words");
                }
            },
            Value::Section(_) => {
                return self.say(
                    Severity::Error,
                    node.at,
                    path,
                    "expected a value, found a section",
                );
            }
            Value::Alias => {
                let what = "aliases are not followed; write the value here";
                return self.say(Severity::Error, node.at, path, what);
            }
        };
        let items = match &node.value {
            Value::List(nodes) => nodes.iter().map(|node| self.origin(node.at)).collect(),
            _ => Vec::new(),
        };
        let origin = self.origin(node.at);
        self.layer.given.push(Given { path, raw, origin, items });
    }

    fn unknown(&mut self, section: &str, path: &str, entry: &Entry) {
        let mut siblings: Vec<&str> =
            self.names.iter().filter_map(|name| below(name.path, section)).collect();
        siblings.dedup();
        let near = nearest(&entry.key, &siblings);
        let (severity, near) = match self.layer.kind.sections {
            None => (Severity::Error, near.filter(|(_, distance)| *distance <= 3)),
            Some(ours) if ours.contains(&section) => {
                (Severity::Doubt, near.filter(|(_, distance)| *distance <= 3))
            }
            Some(_) => match near.filter(|(_, distance)| *distance <= 1) {
                Some(near) => (Severity::Doubt, Some(near)),
                None => return,
            },
        };
        let what = match near {
            Some((name, _)) => format!("unknown key; did you mean {name}?"),
            None => format!("unknown key; known here are {}", siblings.join(", ")),
        };
        self.say(severity, entry.at, path, what);
    }

    fn origin(&self, at: Position) -> Origin {
        Origin::File { file: Arc::clone(&self.file), at }
    }

    fn say(&mut self, severity: Severity, at: Position, key: &str, what: impl Into<String>) {
        let key: String = key.chars().take(LONGEST_KEY).flat_map(char::escape_debug).collect();
        self.findings.note(severity, self.origin(at), key, what.into());
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The next part of `path` below `section`, if it is there.
fn below<'a>(path: &'a str, section: &str) -> Option<&'a str> {
    let rest = match section {
        "" => path,
        _ => path.strip_prefix(section)?.strip_prefix('.')?,
    };
    rest.split('.').next()
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// The name most like `word`, and in how many places they differ; capitals count for nothing.
fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<(&'a str, usize)> {
    if word.len() > LONGEST_KEY {
        return None;
    }
    let word = word.to_lowercase();
    let distance =
        |name: &&'a str| (*name, strsim::damerau_levenshtein(&word, &name.to_lowercase()));
    names.iter().map(distance).min_by_key(|(_, distance)| *distance)
}
