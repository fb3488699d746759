//! `fyke flows`: what has been recorded.
//!
//! Reads the embedded store, beside the aggregator that writes it, or a server of ClickHouse. Only
//! flows go to the output, so that it can be piped; what the reader should know besides goes to the
//! standard error.
mod gather; // records become flows
mod csv; // columns for spreadsheets
mod json; // one object per line
mod table; // one line per flow, for people

#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use store::Flow;

use crate::store::{AccessArgs, FilterArgs, Source};
use gather::{Asked, Gathered};

pub use table::table;

/// Show recorded flows, newest first
#[derive(Debug, Clone, clap::Args)]
pub struct FlowsArgs {
    /// A store's directory, or a server of ClickHouse, http://HOST:PORT or https://, to which
    /// `CH_USERNAME` and `CH_PASSWORD` in the environment say who we are
    #[arg(long, value_name = "DIR|URL", env = "FYKE_DATA", default_value = "./fyke-data")]
    data: String,
    /// Only what was recorded in the time before now, such as 15m, 1h or 24h
    #[arg(long, value_name = "DURATION", value_parser = config::duration::parse)]
    since: Option<Duration>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// At most so many flows; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// How to show them
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

/// How flows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// One line per flow, for people
    #[default]
    Table,
    /// One JSON object per line, with every attribute
    Json,
    /// Every attribute, with a header
    Csv,
}

impl FlowsArgs {
    fn asked(&self, now_ms: u64) -> Asked {
        let ago = |since: Duration| u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Asked {
            since_ms: self.since.map(|since| now_ms.saturating_sub(ago(since))),
            filter: self.filter.predicate(),
            limit: if self.limit == 0 { usize::MAX } else { self.limit },
        }
    }
}

/// Shows the flows that match, as of `now_ms` (milliseconds since 1970).
pub fn run(
    args: &FlowsArgs,
    now_ms: u64,
    out: &mut dyn Write,
    errors: &mut impl Write,
) -> anyhow::Result<()> {
    let source = Source::open(&args.data, &args.access, errors)?;
    let gathered = args.asked(now_ms).gather(&source)?;
    let mut out = BufWriter::new(out);
    show(&gathered.flows, args.output, &mut out)?;
    out.flush()?;
    for remark in remarks(&gathered, source.unreadable()) {
        writeln!(errors, "{remark}")?;
    }
    Ok(())
}

fn show(flows: &[Flow], output: Output, out: &mut dyn Write) -> io::Result<()> {
    match output {
        Output::Table => table(flows, out),
        Output::Json => json::lines(flows, out),
        Output::Csv => csv::rows(flows, out),
    }
}

/// What the flows that are shown do not tell.
fn remarks(gathered: &Gathered, unreadable: Option<String>) -> Vec<String> {
    let shown = gathered.flows.len();
    let cut = gathered.is_cut.then(|| format!("the newest {shown} flows; --limit 0 shows all"));
    let missing =
        |what| format!("files cannot be read and their flows are missing, the first is {what}");
    cut.into_iter().chain(unreadable.map(missing)).collect()
}
