//! One file, sorted into the keys it may have.

mod reader; // the keys of a file, one after the other

use std::path::Path;

use crate::{Findings, Key, Origin, Severity, yaml};
use reader::Reader;

/// A kind of file.
#[derive(Debug)]
pub struct FileKind {
    /// Its usual name, as [`Name::file`](crate::Name::file) has it.
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

#[cfg(test)]
mod tests;
