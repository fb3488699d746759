//! Rows that are not there yet.
//!
//! Time is cut into slices of about as many rows. Of each, the rows that the target has are known
//! again by all of their values, and what is left of the source's is copied. So nothing needs to be
//! remembered of a copy that was interrupted, and it does not matter how either store has sorted or
//! merged its rows meanwhile.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use store::LAST_TIME_MS;
use store::query::{Column, Range};

use super::server::AccessArgs;
use super::source::Source;
use super::target::{Target, identity};
use super::wanted::WantedArgs;

/// Slices of which the target has more rows take too much memory.
const MOST: u64 = 8_000_000;
/// How often it is told how far it is.
const TOLD: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// A store's directory, a server of ClickHouse (http://HOST:PORT or https://), a directory of
    /// Parquet files, or a file: NAME.parquet, NAME.csv or NAME.jsonl
    #[arg(long, value_name = "DIR|URL|FILE")]
    from: String,
    /// A store's directory, to which no aggregator writes now, or a server of ClickHouse
    #[arg(long, value_name = "DIR|URL")]
    pub(super) to: String,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    pub(super) access: AccessArgs,
    /// What ClickHouse's column clusterUUID is to say of the rows
    #[arg(long, value_name = "UUID", default_value = "")]
    pub(super) cluster_uuid: String,
    /// Rows that are compared at a time, and of which at most so many are stored together; each takes about 50 bytes
    #[arg(long, value_name = "ROWS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub(super) slice: u64,
}

pub(super) fn run(
    args: &ImportArgs,
    now_ms: u64,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let columns = Column::all_stored();
    let source = Source::open(&args.from, &args.access, errors)?;
    let target = Target::open(args, columns.clone(), errors)?;
    let range = args.wanted.range(now_ms);
    let last = Range { until_ms: range.until_ms.min(LAST_TIME_MS + 1), ..range };
    let beyond = Range { since_ms: range.since_ms.max(LAST_TIME_MS + 1), ..range };
    if beyond.since_ms < beyond.until_ms {
        let left_out = source.span(&args.wanted.span(beyond))?.rows;
        if left_out > 0 {
            writeln!(errors, "{left_out} rows of flows that end after the year 9999 are left out")?;
        }
    }
    let mut import = Import { args, columns, source, target, copied: 0, same: 0, told: None };
    import.all(last, errors)?;
    let Import { copied, same, .. } = import;
    let told = writeln!(out, "{copied} rows copied, {same} were there already");
    import.source.check()?;
    told?;
    Ok(ExitCode::SUCCESS)
}

struct Import<'a> {
    args: &'a ImportArgs,
    columns: Vec<Column>,
    source: Source,
    target: Target,
    copied: u64,
    same: u64,
    told: Option<Instant>,
}

impl Import<'_> {
    fn all(&mut self, range: Range, errors: &mut impl Write) -> anyhow::Result<()> {
        let wanted = &self.args.wanted;
        let span = self.source.span(&wanted.span(range))?;
        let mut left = Vec::new();
        if let Some((first, last)) = span.ends {
            let until_ms = last.saturating_add(1);
            left.push(Range { since_ms: first, until_ms });
        }
        // Whose end is not told ended at 0.
        if range.contains(0) {
            left.push(Range { since_ms: 0, until_ms: 1 });
        }
        while let Some(range) = left.pop() {
            let query = wanted.span(range);
            let rows = self.source.span(&query)?.rows;
            if rows == 0 {
                continue;
            }
            let is_one = range.len_ms() == 1;
            // What is cut anyway is not looked for in the target.
            let is_cut = !is_one && rows > self.args.slice;
            let there = if is_cut { 0 } else { self.target.there().span(&query)?.rows };
            if is_cut || !is_one && there > self.args.slice {
                let middle = range.since_ms + range.len_ms() / 2;
                left.push(Range { since_ms: middle, ..range });
                left.push(Range { until_ms: middle, ..range });
                continue;
            }
            if there > MOST {
                let at = range.since_ms;
                bail!("{there} flows end in one millisecond, {at} since 1970, more than {MOST}");
            }
            self.slice(range, there > 0)?;
            if self.told.is_none_or(|told| told.elapsed() >= TOLD) {
                self.told = Some(Instant::now());
                let (seen, copied) = (self.copied + self.same, self.copied);
                writeln!(errors, "{seen} of {} rows, {copied} of them copied", span.rows)?;
            }
        }
        self.target.flush()
    }

    fn slice(&mut self, range: Range, is_any_there: bool) -> anyhow::Result<()> {
        let query = self.args.wanted.rows(range);
        let columns = &self.columns;
        // How often each row is there: rows that are alike in everything are as many as they are.
        let mut there: HashMap<u128, u32> = HashMap::new();
        if is_any_there {
            self.target.there().rows(&query, &mut |rows| {
                for values in &rows {
                    *there.entry(identity(columns, values)).or_default() += 1;
                }
                Ok(())
            })?;
        }
        let (target, copied, same) = (&mut self.target, &mut self.copied, &mut self.same);
        self.source.rows(&query, &mut |rows| {
            for values in &rows {
                let identity = identity(columns, values);
                match there.get_mut(&identity) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        *same += 1;
                    }
                    _ => {
                        target.take(values, identity)?;
                        *copied += 1;
                    }
                }
            }
            Ok(())
        })
    }
}
