//! The keys of a file, one after the other.

use std::sync::Arc;

use super::{Given, Item, Items, Layer, Raw};
use crate::yaml::{Document, Entry, Node, Position, Value};
use crate::{Findings, Name, Origin, Severity};

/// Characters of a key that a message shows.
const SHOWN: usize = 64;
/// Longer than any key there is: what is behind need not be compared.
const LONGEST_NAME: usize = 64;
/// Words that differ in more places are different words.
const MOST_PLACES: usize = 3;

/// Reads a file, or one section of a list in it.
pub(super) struct Reader<'a> {
    pub(super) file: Arc<str>,
    /// The item this is about, with a dot behind it.
    pub(super) within: String,
    pub(super) names: Vec<&'static Name>,
    pub(super) layer: Layer,
    pub(super) findings: &'a mut Findings,
}

impl Reader<'_> {
    pub(super) fn document(&mut self, document: &Document) {
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
            // Joined by dots, such a key would stand for one in another place.
            if entry.key.is_empty() || entry.key.contains('.') {
                self.unknown(section, &path, entry);
            } else if let Some(items) = self.items_at(&path) {
                self.items(items, &entry.node);
            } else if let Some(name) = self.names.iter().find(|name| name.path == path) {
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

    /// Items have none of their own.
    fn items_at(&self, path: &str) -> Option<&'static Items> {
        let items = self.layer.kind.items.iter().find(|items| items.path == path);
        items.filter(|_| self.within.is_empty())
    }

    fn items(&mut self, items: &'static Items, node: &Node) {
        let nodes = match &node.value {
            Value::Null => return,
            Value::List(nodes) => nodes,
            other => {
                let what = format!("expected a list of sections, found {}", other.kind());
                return self.say(Severity::Error, node.at, items.path, what);
            }
        };
        for (index, node) in nodes.iter().enumerate() {
            let name = format!("{}[{index}]", items.path);
            let Value::Section(entries) = &node.value else {
                let what = format!("expected a section, found {}", node.value.kind());
                self.say(Severity::Error, node.at, &name, what);
                continue;
            };
            let kind = self.layer.kind;
            let names = items.keys.iter().flat_map(|key| key.names);
            let mut reader = Reader {
                file: Arc::clone(&self.file),
                within: format!("{name}."),
                names: names.filter(|name| name.file == kind.name).collect(),
                layer: Layer::empty(kind),
                findings: &mut *self.findings,
            };
            reader.section("", entries);
            let layer = reader.layer;
            let origin = self.origin(node.at);
            self.layer.items.push(Item { name, origin, layer });
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
            None => (Severity::Error, near),
            Some(ours) if ours.contains(&section) => (Severity::Doubt, near),
            Some(_) => match near.filter(|(_, places)| *places <= 1) {
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

    pub(super) fn say(
        &mut self,
        severity: Severity,
        at: Position,
        key: &str,
        what: impl Into<String>,
    ) {
        let within = self.within.chars();
        let key: String =
            within.chain(key.chars()).take(SHOWN).flat_map(char::escape_debug).collect();
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

/// The name most like `word`, and in how many places they differ, if that is [`MOST_PLACES`] at
/// most; capitals count for nothing.
fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<(&'a str, usize)> {
    let word: String = word.chars().take(LONGEST_NAME).flat_map(char::to_lowercase).collect();
    let alike = names.iter().filter(|name| name.len().abs_diff(word.len()) <= MOST_PLACES);
    let places = alike.map(|name| (*name, strsim::osa_distance(&word, &name.to_lowercase())));
    places.filter(|(_, places)| *places <= MOST_PLACES).min_by_key(|(_, places)| *places)
}
