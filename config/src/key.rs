//! The description of a setting: each is described once, and files, checks and reference pages
//! follow from that.

/// A setting: what it is called where, and what it means.
#[derive(Debug)]
pub struct Key {
    /// Its names in files, the one that wins first.
    pub names: &'static [Name],
    /// The option of the command line, without dashes. It wins over everything.
    pub flag: Option<&'static str>,
    /// The environment variable, which wins over files.
    pub variable: Option<&'static str>,
    /// What a value looks like, for people.
    pub form: &'static str,
    /// As a file would write it; empty if there is none.
    pub default: &'static str,
    /// What it means, in sentences.
    pub doc: &'static str,
}

/// A name in one kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The file's usual name.
    pub file: &'static str,
    /// Sections and key, joined by dots.
    pub path: &'static str,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Current,
    /// Still read, with a note. The text says whose name it is.
    Other(&'static str),
}

impl Name {
    pub const fn current(file: &'static str, path: &'static str) -> Self {
        Self { file, path, status: Status::Current }
    }

    pub const fn other(file: &'static str, path: &'static str, whose: &'static str) -> Self {
        Self { file, path, status: Status::Other(whose) }
    }
}

impl Key {
    /// A key without anything, to describe others by what they have.
    pub const NONE: Self =
        Self { names: &[], flag: None, variable: None, form: "", default: "", doc: "" };

    /// What messages call it: the first name there is.
    pub fn name(&self) -> &'static str {
        let name = self.names.first().map(|name| name.path);
        name.or(self.flag).or(self.variable).unwrap_or_default()
    }

    /// Its current name in `file`.
    pub fn current_name(&self, file: &str) -> Option<&'static str> {
        let current = |name: &&Name| name.file == file && name.status == Status::Current;
        self.names.iter().find(current).map(|name| name.path)
    }
}
