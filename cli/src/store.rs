//! `fyke store`: what a store has, whether it is whole, and its rows elsewhere.
mod inspect; // what there is
mod check; // whether it is whole, and how small it can be
mod filter; // which rows, by what they say
mod wanted; // and by when
mod server; // a server of ClickHouse
mod source; // where rows come from
mod text; // rows as text
mod export; // rows become a file
mod target; // where rows go
mod import; // rows that are not there yet

pub(crate) use filter::FilterArgs;
pub(crate) use server::AccessArgs;
pub(crate) use source::Source;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Look at stores and look after them, and copy rows from one to another. A store is a directory of
/// the aggregator, or a server of ClickHouse, to which `CH_USERNAME` and `CH_PASSWORD` in the
/// environment say who we are
#[derive(Debug, clap::Subcommand)]
pub enum StoreCommand {
    /// Show what a directory has, by the names of its files
    Inspect(inspect::InspectArgs),
    /// Read every page of every file of a directory. Ends with 1 if any is damaged
    Verify(check::VerifyArgs),
    /// Merge small files of a directory, and sum up hours that are over, while no aggregator does.
    /// Nothing is dropped
    Compact(DataArgs),
    /// Write rows to a file: Parquet, CSV or JSON lines by its name. The file is there once it is
    /// complete, in the place of an older one
    Export(export::ExportArgs),
    /// Copy rows from a store or a file to a store. What is there already is not copied, so what
    /// was interrupted is simply started again
    Import(import::ImportArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// The directory of the embedded store
    #[arg(long, value_name = "DIR", env = "FYKE_DATA", default_value = "./fyke-data")]
    data: PathBuf,
}

pub fn run(
    command: &StoreCommand,
    now_ms: u64,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Inspect(args) => inspect::run(args, out),
        StoreCommand::Verify(args) => check::verify(args, out),
        StoreCommand::Compact(args) => check::compact(args, now_ms, out),
        StoreCommand::Export(args) => export::run(args, now_ms, out, errors),
        StoreCommand::Import(args) => import::run(args, now_ms, out, errors),
    }
}
