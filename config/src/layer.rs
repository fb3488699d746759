//! One file, sorted into the keys it may have.

use std::path::Path;
use std::sync::Arc;

use crate::yaml::{self, Document, Entry, Node, Position, Value};
use crate::{Findings, Key, Name, Origin, Severity};

/// Characters of a key that a message shows.
const SHOWN: usize = 64;
/// Longer than any key there is: what is behind need not be compared.
const LONGEST_NAME: usize = 64;
/// Words that differ in more places are different words.
const MOST_PLACES: usize = 3;

/// A kind of file.
#[derive(Debug)]
pub struct FileKind {
    /// Its usual name, as [`Name::file`] has it.
    pub name: &'static str,
    /// Sections that are ours in a file that is not; `None` if the whole file is. Unknown keys
    /// are refused in a file of ours, doubted in a section of ours, and nobody's business
    /// elsewhere, unless one looks like a misspelt key of ours.
    pub sections: Option<&'static [&'static str]>,
    /// Keys whose values are lists of sections.
    pub items: &'static [Items],
}

/// A key whose value is a list of sections.
#[derive(Debug)]
pub struct Items {
    pub path: &'static str,
    /// What each section may have.
    pub keys: &'static [&'static Key],
}

/// One section of such a list.
#[derive(Debug)]
pub struct Item {
    /// Such as `destinations[0]`.
    pub name: String,
    pub origin: Origin,
    pub layer: Layer,
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
    pub(crate) items: Vec<Item>,
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
        let mut reader = Reader {
            file: file.into(),
            within: String::new(),
            names,
            layer: Self::empty(kind),
            findings,
        };
        match yaml::parse(text) {
            Ok(document) => reader.document(&document),
            Err(error) => reader.say(Severity::Error, error.at, "", error.what),
        }
        reader.layer
    }

    /// As [`Layer::read`], of a file that could perhaps not be read, which is an error then.
    pub fn of_file(
        kind: &'static FileKind,
        path: &Path,
        text: &Result<String, String>,
        keys: &[&'static Key],
        findings: &mut Findings,
    ) -> Option<Self> {
        let shown = path.display().to_string();
        match text {
            Ok(text) => Some(Self::read(kind, &shown, text, keys, findings)),
            Err(why) => {
                let what = format!("{} cannot be read: {why}", shown.escape_debug());
                findings.note(Severity::Error, None, "", what);
                None
            }
        }
    }

    const fn empty(kind: &'static FileKind) -> Self {
        Self { kind, given: Vec::new(), items: Vec::new() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.path == path)
    }
}

struct Reader<'a> {
    file: Arc<str>,
    /// The item this is about, with a dot behind it.
    within: String,
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

    fn say(&mut self, severity: Severity, at: Position, key: &str, what: impl Into<String>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;

    static FILE: FileKind = FileKind { name: "f", sections: None, items: &[] };
    static FOREIGN: FileKind = FileKind { name: "f", sections: Some(&["ours"]), items: &[] };
    static KEY: Key = Key {
        names: &[Name::current("f", "ours.interval"), Name::current("other", "elsewhere")],
        flag: None,
        variable: None,
        form: "a word",
        default: "x",
        doc: "",
    };

    fn told(kind: &'static FileKind, text: &str) -> (Option<Raw>, Vec<String>) {
        let mut findings = Findings::default();
        let layer = Layer::read(kind, "f", text, &[&KEY], &mut findings);
        let raw = layer.get("ours.interval").map(|given| given.raw.clone());
        (raw, findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_value_is_found_in_its_section() {
        let word = |word: &str| Some(Raw::Text(word.into()));
        assert_eq!(told(&FILE, "ours: {interval: 7}"), (word("7"), vec![]));
        assert_eq!(told(&FILE, "ours:\n"), (None, vec![]));
        assert_eq!(told(&FILE, "ours: {interval: }"), (None, vec![]));
        let list = Raw::List(vec!["a".into(), "b".into()]);
        assert_eq!(told(&FILE, "ours: {interval: [a, b]}"), (Some(list), vec![]));
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        for (text, finding) in [
            (
                "ours: {interval: {a: 1}}",
                "f:1:18: error: ours.interval: expected a value, found a section",
            ),
            ("ours: {interval: [[a]]}", "f:1:18: error: ours.interval: expected a list of words"),
            ("ours: 7", "f:1:7: error: ours: expected a section, found one value"),
            ("[ours]", "f:1:1: error: expected keys and values, found a list"),
            (
                "a: &a 1\nours: {interval: *a}",
                "f:2:18: error: ours.interval: aliases are not followed; write the value here",
            ),
        ] {
            let (raw, findings) = told(&FILE, text);
            assert!(raw.is_none() && findings.iter().any(|it| it == finding), "{findings:?}");
        }
    }

    #[test]
    fn an_unknown_key_counts_by_whose_the_file_is() {
        let text = "ours: {intervall: 1, new: 2}\nothers: {intervall: 3}\nour: {}\n";
        let (_, findings) = told(&FILE, text);
        assert_eq!(
            findings,
            [
                "f:1:8: error: ours.intervall: unknown key; did you mean interval?",
                "f:1:22: error: ours.new: unknown key; known here are interval",
                "f:2:1: error: others: unknown key; did you mean ours?",
                "f:3:1: error: our: unknown key; did you mean ours?",
            ]
        );
        let (_, findings) = told(&FOREIGN, text);
        assert_eq!(
            findings,
            [
                "f:1:8: warning: ours.intervall: unknown key; did you mean interval?",
                "f:1:22: warning: ours.new: unknown key; known here are interval",
                "f:3:1: warning: our: unknown key; did you mean ours?",
            ]
        );
    }

    #[test]
    fn items_are_read_each_by_itself() {
        static KIND: FileKind =
            FileKind { name: "f", sections: None, items: &[Items { path: "list", keys: &[&KEY] }] };
        let mut sources = crate::Sources::default();
        let text =
            "list:\n- ours: {interval: a}\n- b\n- {our: 1, list: []}\n- ours: {interval: [c]}\n";
        let layer = Layer::read(&KIND, "f", text, &[], &mut sources.findings);
        sources.layers.push(layer);
        let mut read = Vec::new();
        for item in sources.take_items("f") {
            let picked = sources.pick_in(item, |inner| {
                inner.pick(&KEY, |raw| crate::read::text(raw).map(str::to_owned))
            });
            read.push(picked.map(|it| (it.value, it.origin.to_string())));
        }
        let at = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
        let default = || at("x", "default");
        assert_eq!(read, [at("a", "f:2:20"), default(), default()]);
        let told: Vec<_> = sources.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "f:3:3: error: list[1]: expected a section, found one value",
                "f:4:4: error: list[2].our: unknown key; did you mean ours?",
                "f:4:12: error: list[2].list: unknown key; known here are ours",
                "f:5:20: error: list[3].ours.interval: expected a word, found a list: one value is wanted",
            ]
        );
    }

    #[test]
    fn a_key_stands_for_nothing_in_another_place() {
        for (text, finding) in [
            ("ours.interval: 7", "f:1:1: error: ours.interval: unknown key; known here are ours"),
            ("'': {ours: {interval: 7}}", "f:1:1: error: unknown key; known here are ours"),
            (
                "ours: {'': {interval: 7}}",
                "f:1:8: error: ours.: unknown key; known here are interval",
            ),
        ] {
            assert_eq!(told(&FILE, text), (None, vec![finding.to_owned()]));
        }
    }

    #[test]
    fn a_long_key_is_shown_in_part() {
        let (_, findings) = told(&FILE, &format!("{}: 1", "k\u{7}".repeat(500)));
        assert!(findings.concat().len() < 600, "{findings:?}");
    }

    #[test]
    fn who_comes_first_wins_and_all_are_read() {
        static OTHER: FileKind = FileKind { name: "other", sections: None, items: &[] };
        let mut sources = crate::Sources::default();
        for (kind, text) in [(&OTHER, "elsewhere: 1"), (&FILE, "ours: {interval: [1]}")] {
            let layer = Layer::read(kind, kind.name, text, &[&KEY], &mut sources.findings);
            sources.layers.push(layer);
        }
        let picked = sources.pick(&KEY, |raw| crate::read::text(raw).map(str::to_owned));
        let at = Position { line: 1, column: 12 };
        let origin = Origin::File { file: "other".into(), at };
        assert_eq!(picked, Some(Setting::new("1".to_owned(), origin)));
        let mistake =
            "f:1:18: error: ours.interval: expected a word, found a list: one value is wanted";
        assert_eq!(sources.findings.to_string(), mistake);
    }
}
