//! What a database should have.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use store::clickhouse::migrations::{Asked, Told, migrate};
use store::clickhouse::schema::{Keep, Place};

use super::server::ServerArgs;

#[derive(Debug, Clone, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keep: KeepArgs,
    /// Drop the older table when its rows have been taken over, and what its views had
    #[arg(long)]
    drop_old: bool,
    /// Print the statements that a new database wants, and ask no server
    #[arg(long)]
    print: bool,
}

/// How long rows are kept. What is not said stays as it is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct KeepArgs {
    /// How long flows are kept, such as 30d, 12h or forever; of a new table 30d
    #[arg(long, value_name = "TIME")]
    ttl: Option<Keep>,
    /// How long sums per minute are kept; of new tables 30d
    #[arg(long, value_name = "TIME")]
    ttl_1m: Option<Keep>,
    /// How long sums per five minutes are kept; of new tables 90d
    #[arg(long, value_name = "TIME")]
    ttl_5m: Option<Keep>,
    /// How long sums per hour are kept; of new tables 400d
    #[arg(long, value_name = "TIME")]
    ttl_1h: Option<Keep>,
}

impl KeepArgs {
    pub(super) fn asked(&self, place: Place, drop_old: bool) -> Asked {
        Asked {
            place,
            flows: self.ttl,
            minutes: self.ttl_1m,
            five_minutes: self.ttl_5m,
            hours: self.ttl_1h,
            drop_old,
        }
    }
}

/// By what others know who is at it. A container that is started again is the same.
fn who() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

pub(super) async fn run(
    args: &MigrateArgs,
    out: &mut (impl Write + Send),
    errors: &mut (impl Write + Send),
) -> anyhow::Result<ExitCode> {
    if args.print {
        let asked = args.keep.asked(args.server.place()?, false);
        for statement in asked.schema().statements() {
            writeln!(out, "{statement};\n")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let server = args.server.read(errors)?;
    let asked = args.keep.asked(server.place, args.drop_old);
    let mut written = Ok(());
    let mut tell = |told: Told| {
        let line = match told {
            Told::Done(what) => what,
            Told::Copied { rows, of } => format!("copied {rows} of {of} rows"),
        };
        let now = writeln!(out, "{line}");
        written = std::mem::replace(&mut written, Ok(())).and(now);
    };
    let outcome = migrate(&server.client, &asked, &who(), &mut tell).await;
    let outcome = outcome.context("not at its end; it goes on when it is started again")?;
    written?;
    if outcome.changes == 0 {
        writeln!(out, "nothing to do")?;
    }
    if !outcome.kept.is_empty() {
        let kept = outcome.kept.join(", ");
        writeln!(out, "kept, and dropped with --drop-old: {kept}")?;
    }
    Ok(ExitCode::SUCCESS)
}
