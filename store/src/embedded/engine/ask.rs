//! From a query to its answer, by several threads.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::finish::finish;
use super::groups::{self, Groups};
use super::packed::Packed;
use super::page::{self, Best, Page, Stream};
use super::progress::Control;
use super::scan::{Halt, Scan, Sink};
use super::tier::{Part, parts};
use super::units::{Unit, units};
use super::{Choice, Progress, choose_tier};
use crate::embedded::layout::Tier;
use crate::embedded::listing;
use crate::embedded::{Hot, Reader, Scan as Report, Skipped};
use crate::query::{Answer, AskError, Grouping, Listing, Query, RowOrder, Rows, Value, Wanted};

/// What one value of a stored row takes in an answer.
const VALUE_SIZE: usize = size_of::<Value>();

/// How to answer, rather than what.
#[derive(Debug, Clone, Default)]
pub struct AskOptions {
    /// Threads that read files; 0 is 1.
    pub threads: usize,
    /// The rows that the writer of this process holds.
    pub hot: Option<Hot>,
    /// Not another tier than this.
    pub tier: Option<Tier>,
    pub progress: Progress,
}

/// An answer, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub answer: Answer,
    pub choice: Choice,
    /// Files, and those that could not be read: their rows are missing.
    pub scan: Report,
}

impl Reader {
    /// Answers a query. Rows without an order are collected; see [`Self::stream`].
    pub fn ask(&self, query: &Query, options: &AskOptions) -> Result<Answered, AskError> {
        query.check()?;
        match &query.wanted {
            Wanted::Rows(listing) if listing.order == RowOrder::AsStored => {
                self.collect(query, options)
            }
            Wanted::Rows(listing) => Asked::new(self, query, options)?.page(listing),
            Wanted::Groups(grouping) => {
                let asked = Asked::new(self, query, options)?;
                match groups::parts(grouping, query.range).1 {
                    0..=64 => asked.groups::<u64>(grouping),
                    65..=128 => asked.groups::<u128>(grouping),
                    _ => asked.groups::<[u128; 2]>(grouping),
                }
            }
        }
    }

    /// Hands the rows of a query [`RowOrder::AsStored`] on in batches, until it has all or is told
    /// to stop; of a query of another kind, nothing.
    pub fn stream(
        &self,
        query: &Query,
        options: &AskOptions,
        each: &mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
    ) -> Result<Report, AskError> {
        query.check()?;
        let Wanted::Rows(listing) = &query.wanted else { return Ok(Report::default()) };
        let asked = Asked::new(self, query, options)?;
        let Some(mut scan) = Scan::new(query, page::columns(listing), None, &asked.control) else {
            return Ok(Report::default());
        };
        let mut stream = Stream::new(listing, each);
        let mut report = asked.report.clone();
        for unit in &asked.units {
            asked.unit(unit, &mut scan, &mut stream, &mut report)?;
        }
        Ok(report)
    }

    fn collect(&self, query: &Query, options: &AskOptions) -> Result<Answered, AskError> {
        let mut rows = Vec::new();
        let (mut bytes, mut is_full) = (0, false);
        let scan = self.stream(query, options, &mut |batch| {
            bytes += batch.iter().map(|row| row.len() * VALUE_SIZE).sum::<usize>();
            is_full = bytes > query.limits.memory;
            rows.extend(batch);
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if is_full {
            return Err(AskError::Memory { limit: query.limits.memory });
        }
        let answer = Answer::Rows(Rows { rows, next: None });
        Ok(Answered { answer, choice: choose_tier(query), scan })
    }
}

/// A query, and all that it needs.
struct Asked<'a> {
    dir: &'a Path,
    query: &'a Query,
    threads: usize,
    choice: Choice,
    control: Control,
    units: Vec<Unit>,
    /// What the listing has ruled out.
    report: Report,
}

impl<'a> Asked<'a> {
    fn new(reader: &'a Reader, query: &'a Query, options: &AskOptions) -> Result<Self, AskError> {
        let choice = match options.tier {
            Some(tier) => Choice { tier, why: "asked for".to_owned() },
            None => choose_tier(query),
        };
        let parts = match options.tier {
            Some(tier) => vec![Part { range: query.range, tier }],
            None => parts(query.range, choice.tier),
        };
        let (units, report) = units(reader, query, &parts, options.hot.as_ref())?;
        let control = Control::new(options.progress.clone(), query.limits);
        let threads = options.threads.max(1);
        Ok(Self { dir: reader.dir(), query, threads, choice, control, units, report })
    }

    fn groups<K: Packed>(self, grouping: &Grouping) -> Result<Answered, AskError> {
        let columns = groups::columns(grouping);
        let (found, scan) = self.run(|| {
            let scan = Scan::new(self.query, columns.clone(), None, &self.control)?;
            Some((scan, Groups::<K>::new(grouping, self.query.range)))
        })?;
        let mut found = found.into_iter();
        let mut groups = found.next().unwrap_or_else(|| Groups::new(grouping, self.query.range));
        for other in found {
            groups.absorb(&other);
        }
        let answer = Answer::Groups(finish(&groups, grouping, self.query.range));
        Ok(Answered { answer, choice: self.choice, scan })
    }

    fn page(self, listing: &Listing) -> Result<Answered, AskError> {
        let columns = page::columns(listing);
        let (found, scan) = self.run(|| {
            let best = Best::new(listing);
            let scan = Scan::new(self.query, columns.clone(), best, &self.control)?;
            let page = Page::new(listing, scan.conditions());
            Some((scan, page))
        })?;
        let page = found.into_iter().reduce(|mut page, other| {
            page.absorb(other);
            page
        });
        let rows = page.map(|page| page.finish(listing)).unwrap_or_default();
        Ok(Answered { answer: Answer::Rows(rows), choice: self.choice, scan })
    }

    /// Lets each thread take the next unit until none is left.
    fn run<'s, S: Sink + Send>(
        &'s self,
        start: impl Fn() -> Option<(Scan<'s>, S)> + Sync,
    ) -> Result<(Vec<S>, Report), AskError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Option<(S, Report)>, AskError> {
            let Some((mut scan, mut sink)) = start() else { return Ok(None) };
            let mut report = Report::default();
            while let Some(unit) = self.units.get(next.fetch_add(1, Relaxed)) {
                let done = self.unit(unit, &mut scan, &mut sink, &mut report);
                if done.is_err() {
                    // Nobody needs to begin anything more.
                    next.store(self.units.len(), Relaxed);
                }
                done?;
            }
            Ok(Some((sink, report)))
        };
        let threads = self.threads.min(self.units.len().max(1));
        let done: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = vec![work()];
            done.extend(others.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            done
        });
        let mut report = self.report.clone();
        let mut sinks = Vec::new();
        for done in done {
            let Some((sink, its)) = done? else { continue };
            sinks.push(sink);
            report.files += its.files;
            report.skipped += its.skipped;
            let skipped = [report.first_skipped.take(), its.first_skipped];
            let skipped = skipped.into_iter().flatten();
            report.first_skipped = skipped.min_by(|one, other| one.path.cmp(&other.path));
        }
        Ok((sinks, report))
    }

    /// Shows the rows of a unit to `sink`. A file that cannot be read costs its own rows only.
    fn unit(
        &self,
        unit: &Unit,
        scan: &mut Scan<'_>,
        sink: &mut impl Sink,
        report: &mut Report,
    ) -> Result<(), AskError> {
        let (file, done) = match unit {
            Unit::Rows(batch) => {
                scan.within(self.query.range);
                (None, scan.batch(batch, sink))
            }
            Unit::File(file, _) if !sink.wants(file.ends()) => return Ok(()),
            Unit::File(file, range) => {
                scan.within(*range);
                report.files += 1;
                let opened = listing::open(self.dir, file).map_err(Halt::from);
                let done = opened.and_then(|opened| scan.file(opened, file, sink));
                (Some(file), done)
            }
        };
        match (done, file) {
            (Ok(()), _) => Ok(()),
            (Err(Halt::Ask(error)), _) => Err(error),
            (Err(error), file) => {
                sink.lost();
                report.skipped += 1;
                let path = file.map_or_else(|| self.dir.to_owned(), |file| file.path.clone());
                let skipped = Skipped { path, reason: error.to_string() };
                report.first_skipped.get_or_insert(skipped);
                Ok(())
            }
        }
    }
}
