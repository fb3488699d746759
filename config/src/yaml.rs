//! YAML as a tree that remembers where everything was written.
//!
//! A mistake can only be shown with its line if the line is still known when the mistake is
//! found, and serde forgets it. So this reads the parser's events into a tree once; what the keys
//! mean is for others to say.
//!
//! A file is hostile input: its length, depth and number of values are limited, and an alias is
//! never followed, so that a short text cannot stand for a long one.
mod build; // events become the tree

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use granit_parser::{Parser, options};

use build::Builder;

/// Bytes of a file. Kubernetes allows a `ConfigMap` 1 MiB.
pub const MAX_LENGTH: u64 = 1 << 20;
/// Lists and sections within each other.
pub const MAX_DEPTH: usize = 64;
/// Keys and values together. Antrea's two files have a few hundred.
pub const MAX_VALUES: usize = 20_000;

/// A place in a text. Both count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, or `null`.
    Null,
    /// Anything else that is neither a list nor a section. YAML's own idea of numbers and truth
    /// is left out: the key decides.
    Text(String),
    List(Vec<Node>),
    Section(Vec<Entry>),
    /// `*name`, which is not followed.
    Alias,
}

/// One `key: value` of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    pub node: Node,
}

/// A key that stands twice in a section. The first one is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Sections and key, joined by dots; cut where that would be long.
    pub path: String,
    pub at: Position,
    pub first: Position,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub root: Node,
    pub duplicates: Vec<Duplicate>,
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: Position,
    pub what: String,
}

impl Position {
    /// Where a text begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl std::error::Error for SyntaxError {}

/// Reads a file that is not longer than [`MAX_LENGTH`], and never more of it.
pub fn load(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LENGTH + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_LENGTH {
        return Err(io::Error::other(format!("it is longer than {MAX_LENGTH} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        io::Error::other(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
    })
}

/// Reads the one document of `text`; an empty text is [`Value::Null`].
pub fn parse(text: &str) -> Result<Document, SyntaxError> {
    let mut options = options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event
            .map_err(|error| SyntaxError { at: position(*error.marker()), what: error.info() })?;
        builder.take(event, position(span.start))?;
    }
    let root = builder.root.unwrap_or(Node { at: Position::START, value: Value::Null });
    Ok(Document { root, duplicates: builder.duplicates })
}

fn position(marker: granit_parser::Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

impl Value {
    /// What stands there, for people.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "one value",
            Self::List(_) => "a list",
            Self::Section(_) => "a section",
            Self::Alias => "an alias",
        }
    }
}

#[cfg(test)]
mod tests;
