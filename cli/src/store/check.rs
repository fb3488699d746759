//! Whether a store is whole, and how small it can be.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use store::{Checked, Maintenance, MaintenanceOptions};

use crate::output::verdict;

use super::DataArgs;

#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Move damaged files to the directory quarantine, while no aggregator runs: what remains is
    /// whole
    #[arg(long)]
    fix: bool,
}

/// Who looks after a store only now drops nothing: its aggregator knows how long rows are kept.
fn keep_all() -> MaintenanceOptions {
    MaintenanceOptions {
        raw: None,
        minute: None,
        five_minutes: None,
        hour: None,
        limit: None,
        small_files: 2,
    }
}

pub(super) fn verify(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let dir = &args.data.data;
    let (mut files, mut rows, mut faults, mut aside) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut written = Ok(());
    let mut each = |checked: Checked| {
        files += 1;
        rows += checked.rows;
        let Some(fault) = checked.fault else { return };
        faults += 1;
        aside += u64::from(checked.is_damaged);
        let path = checked.path.display();
        let now = match checked.torn_at {
            Some(offset) => writeln!(out, "{path}: torn at byte {offset}: {fault}"),
            None => writeln!(out, "{path}: {fault}"),
        };
        written = std::mem::replace(&mut written, Ok(())).and(now);
    };
    if args.fix {
        Maintenance::open(dir, keep_all())?.repair(&mut each)?;
    } else {
        store::verify(dir, &mut each)?;
    }
    let mut told = written
        .and_then(|()| writeln!(out, "{files} files with {rows} rows, {faults} of them at fault"));
    if args.fix {
        told = told.and_then(|()| writeln!(out, "{aside} set aside"));
    }
    verdict(faults == if args.fix { aside } else { 0 }, told)
}

pub(super) fn compact(
    args: &DataArgs,
    now_ms: u64,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let mut maintenance = Maintenance::open(&args.data, keep_all())?;
    let counters = maintenance.counters();
    let done = || counters.merges.load(Relaxed) + counters.roll_ups.load(Relaxed);
    // What a pass makes may be what the next one merges.
    loop {
        let before = done();
        maintenance.pass(now_ms, &AtomicBool::new(false))?;
        if done() == before {
            break;
        }
    }
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    writeln!(
        out,
        "{} files became {}; {} files of sums made; {} damaged files set aside",
        count(&counters.files_merged),
        count(&counters.merges),
        count(&counters.roll_ups),
        count(&counters.files_quarantined),
    )?;
    let left = count(&counters.files_left);
    if left > 0 {
        writeln!(out, "{left} times a file could not be merged; the log says why")?;
    }
    let usage = counters.usage();
    let (files, bytes) =
        usage.iter().fold((0, 0), |sum, tier| (sum.0 + tier.files, sum.1 + tier.bytes));
    writeln!(out, "now {files} files with {bytes} bytes")?;
    Ok(ExitCode::SUCCESS)
}
