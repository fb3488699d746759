//! How large a database becomes.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use config::size;
use daemon::Shutdown;
use store::clickhouse::schema::{Retention, Schema};
use store::clickhouse::watchdog::{Round, round};

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
    let look = || round(&server.client, &schema, args.max_bytes, args.keep_free);
    if args.once {
        tell(&look().await.or_more()?, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut shutdown = Shutdown::listen()?;
    loop {
        // A server that is away now may be there in the next round.
        match look().await {
            Ok(round) => tell(&round, out)?,
            Err(error) => writeln!(errors, "fyke clickhouse: {error}")?,
        }
        tokio::select! {
            _ = shutdown.requested() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(args.interval) => {}
        }
    }
}

fn tell(round: &Round, out: &mut impl Write) -> std::io::Result<()> {
    for day in &round.dropped {
        writeln!(out, "dropped {} of {}: {} bytes", day.day, day.table, day.bytes)?;
    }
    if round.over > 0 {
        let Round { over, limit, .. } = round;
        writeln!(
            out,
            "{over} bytes more than {limit} are left: they are of today, or of tables of others"
        )?;
    }
    Ok(())
}
