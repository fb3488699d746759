//! `fyke clickhouse`: a database of ClickHouse as flows want it.
mod server; // which server
mod migrate; // what it should have
mod status; // how it does
mod watch; // how large it becomes

use std::io::Write;
use std::process::ExitCode;

use store::clickhouse::{Difference, Found, differences};

pub(crate) use server::connect;
use server::{OrMore, ServerArgs};

use crate::output::verdict;

/// Make, upgrade and look at the tables of a ClickHouse database. `CH_USERNAME` and `CH_PASSWORD` in
/// the environment say who we are
#[derive(Debug, clap::Subcommand)]
pub enum ClickHouseCommand {
    /// Make what is missing, take over an older table with its rows, and add what is new. What was
    /// interrupted goes on; what is done is not done again
    Migrate(migrate::MigrateArgs),
    /// Show what is otherwise than it should be, column by column. Ends with 1 if anything is
    Diff(DiffArgs),
    /// Show disks, tables, what comes in, and what the server is busy with
    Status(status::StatusArgs),
    /// Drop the oldest days while the database is too large, for as long as this runs
    Watch(watch::WatchArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub struct DiffArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keep: migrate::KeepArgs,
    /// Print one JSON object per line instead
    #[arg(long)]
    json: bool,
}

pub fn run(
    command: &ClickHouseCommand,
    out: &mut (impl Write + Send),
    errors: &mut (impl Write + Send),
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            ClickHouseCommand::Migrate(args) => migrate::run(args, out, errors).await,
            ClickHouseCommand::Diff(args) => diff(args, out, errors).await,
            ClickHouseCommand::Status(args) => status::run(args, out, errors).await,
            ClickHouseCommand::Watch(args) => watch::run(args, out, errors).await,
        }
    })
}

async fn diff(
    args: &DiffArgs,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let server = args.server.read(errors)?;
    let asked = args.keep.asked(server.place, false);
    let found = Found::read(&server.client, &asked.place.database).await.or_more()?;
    let differences = differences(&asked, &found);
    let told = differences.iter().try_for_each(|difference| {
        if !args.json {
            return writeln!(out, "{difference}");
        }
        let line = serde_json::json!({
            "object": difference.object,
            "part": difference.part,
            "expected": difference.expected,
            "found": difference.found,
        });
        writeln!(out, "{line}")
    });
    verdict(differences.iter().all(Difference::is_harmless), told)
}
