//! Where rows come from.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, bail};
use store::query::{Answer, Query, Value};
use store::{AskOptions, Reader, Tier};

use super::server::{AccessArgs, Server};
use super::text::{Converted, Format};

pub(crate) enum Source {
    Files(Files),
    Server(Rc<Server>),
}

/// A store's files, or others.
pub(crate) struct Files {
    reader: Reader,
    /// The first file that cannot be read, and why.
    unreadable: RefCell<Option<String>>,
    /// What was made of text, for as long as it is read.
    converted: Option<Converted>,
}

/// How many rows there are, and when the first and the last of their flows ended, unless that is
/// not told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub rows: u64,
    pub ends: Option<(u64, u64)>,
}

impl Source {
    /// By a URL, a store's directory, a directory of Parquet files, or a file.
    pub(crate) fn open(
        place: &str,
        access: &AccessArgs,
        errors: &mut impl Write,
    ) -> anyhow::Result<Self> {
        if place.contains("://") {
            let address = place.parse().with_context(|| format!("{place} is no server"))?;
            return Ok(Self::Server(Rc::new(Server::open(address, access, errors)?)));
        }
        let path = Path::new(place);
        let format = Format::of(path);
        // Of what is nothing, the error says what is missing.
        if path.join("flows").is_dir() || !path.is_dir() && format.is_err() {
            return Ok(Self::Files(Files::of(Reader::open(path)?)));
        }
        if path.is_dir() {
            let files = parquet_files(path)?;
            if files.is_empty() {
                Reader::open(path)?;
            }
            return Ok(Self::Files(Files::of(Reader::of_files(&files))));
        }
        if format? == Format::Parquet {
            fs::metadata(path).with_context(|| format!("{place} cannot be read"))?;
            return Ok(Self::Files(Files::of(Reader::of_files(&[path.to_owned()]))));
        }
        let converted = Converted::new(path)?;
        let reader = Reader::of_files(&[converted.path().to_owned()]);
        Ok(Self::Files(Files { converted: Some(converted), ..Files::of(reader) }))
    }

    pub(crate) fn ask(&self, query: &Query) -> anyhow::Result<Answer> {
        match self {
            Self::Files(files) => {
                let answered = files.reader.ask(query, &options())?;
                files.note(&answered.scan);
                Ok(answered.answer)
            }
            Self::Server(server) => server.ask(query),
        }
    }

    pub(super) fn span(&self, query: &Query) -> anyhow::Result<Span> {
        let answer = self.ask(query)?;
        let Answer::Groups(groups) = answer else { return Ok(Span::default()) };
        let values = groups.groups.first().map(|group| group.values.as_slice());
        Ok(match values {
            Some([Value::Number(rows), Value::Number(first), Value::Number(last)]) => {
                Span { rows: *rows, ends: Some((*first, *last)) }
            }
            Some([Value::Number(rows), ..]) => Span { rows: *rows, ends: None },
            _ => Span::default(),
        })
    }

    pub(crate) fn rows(
        &self,
        query: &Query,
        each: &mut dyn FnMut(Vec<Vec<Value>>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Files(files) => files.rows(query, each),
            Self::Server(server) => server.rows(query, each),
        }
    }

    /// The first file of which rows were left out, and why.
    pub(crate) fn unreadable(&self) -> Option<String> {
        let Self::Files(files) = self else { return None };
        let mut what = files.unreadable.borrow().clone()?;
        if files.converted.is_some() {
            what.push_str(" (which was made of text)");
        }
        Some(what)
    }

    /// Fails if rows were left out because they cannot be read.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Some(what) = self.unreadable() else { return Ok(()) };
        bail!("all but the rows of files that cannot be read, such as {what}")
    }
}

impl Files {
    pub(super) fn of(reader: Reader) -> Self {
        Self { reader, unreadable: RefCell::default(), converted: None }
    }

    fn note(&self, scan: &store::Scan) {
        if let Some(skipped) = &scan.first_skipped {
            let what = format!("{}: {}", skipped.path.display(), skipped.reason);
            self.unreadable.borrow_mut().get_or_insert(what);
        }
    }

    fn rows(
        &self,
        query: &Query,
        each: &mut dyn FnMut(Vec<Vec<Value>>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut done = Ok(());
        let scan = self.reader.stream(query, &options(), &mut |rows| {
            done = each(rows);
            if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        self.note(&scan);
        done
    }
}

/// Records, and no sums of them.
fn options() -> AskOptions {
    AskOptions { tier: Some(Tier::Raw), ..AskOptions::default() }
}

fn parquet_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))? {
        let path = entry?.path();
        if path.is_file() && Format::of(&path).is_ok_and(|format| format == Format::Parquet) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
