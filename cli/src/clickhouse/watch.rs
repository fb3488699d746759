//! How large a database becomes.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use config::size;
use daemon::Shutdown;
use store::clickhouse::schema::{Retention, Schema};
use store::clickhouse::watchdog::{Dropped, Round, round};
use store::clickhouse::{ClickHouseError, Client};

use super::server::{OrMore, ServerArgs};

#[derive(Debug, Clone, clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Bytes that the database may have, such as 200GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_bytes: Option<u64>,
    /// Hundredths of its disks that stay free, however little the database has
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=99), default_value = "10")]
    keep_free: u8,
    /// How often to look
    #[arg(long, value_name = "DURATION", value_parser = config::duration::parse_timeout, default_value = "1m")]
    interval: Duration,
    /// Look once, and end
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(
    args: &WatchArgs,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let server = args.server.read(errors)?;
    let schema = Schema::new(server.place, Retention::default());
    if args.once {
        look(&server.client, &schema, args, out).await?.or_more()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut shutdown = Shutdown::listen()?;
    loop {
        // A server that is away now may be there in the next round.
        // Who watches must not end as if all were well because nobody reads what it does.
        let told = look(&server.client, &schema, args, out).await;
        if let Err(error) = told.map_err(|error| anyhow!("{error}"))? {
            writeln!(errors, "fyke clickhouse: {error}")?;
        }
        tokio::select! {
            _ = shutdown.requested() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(args.interval) => {}
        }
    }
}

/// One round, which is told as it goes. An error of the output ends it all, and one of the server
/// this round.
async fn look(
    client: &Client,
    schema: &Schema,
    args: &WatchArgs,
    out: &mut impl Write,
) -> std::io::Result<Result<(), ClickHouseError>> {
    let mut told = Ok(());
    let tell = |Dropped { table, day, bytes }: &Dropped| {
        if told.is_ok() {
            told = writeln!(out, "dropped {day} of {table}: {bytes} bytes");
        }
    };
    let round = round(client, schema, args.max_bytes, args.keep_free, tell).await;
    told?;
    Ok(match round {
        Ok(Round { over, limit, .. }) if over > 0 => {
            writeln!(
                out,
                "{over} bytes more than {limit} are left: they are of today, or of tables of others"
            )?;
            Ok(())
        }
        round => round.map(drop),
    })
}
