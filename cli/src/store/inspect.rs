//! What there is.

use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Inspection, PartitionInfo, Tier, Usage, inspect};

use super::DataArgs;

#[derive(Debug, Clone, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    data: DataArgs,
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Output {
    /// One line per partition, then one per tier
    #[default]
    Table,
    /// One JSON object; times are milliseconds since 1970
    Json,
}

pub(super) fn run(args: &InspectArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let found = inspect(&args.data.data)?;
    match args.output {
        Output::Table => table(&found, out)?,
        Output::Json => writeln!(out, "{}", object(&found))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// When the first and the last flows of a tier ended.
fn ends(found: &Inspection, tier: Tier) -> Option<(u64, u64)> {
    let ends = found.partitions.iter().filter(|partition| partition.tier == tier);
    ends.filter_map(|partition| partition.ends).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn table(found: &Inspection, out: &mut impl Write) -> std::io::Result<()> {
    let line = |name: &str, tier: Tier, usage: Usage, ends: Option<(u64, u64)>| {
        let Usage { files, rows, bytes } = usage;
        let [first, last] = [ends.map(|ends| ends.0), ends.map(|ends| ends.1)].map(time);
        let tier = tier.name();
        format!("{name:<16}  {tier:<4}  {files:>7}  {rows:>12}  {bytes:>14}  {first:<20}  {last}")
    };
    writeln!(
        out,
        "{:<16}  TIER  {:>7}  {:>12}  {:>14}  {:<20}  LAST END",
        "INSERTED (UTC)", "FILES", "ROWS", "BYTES", "FIRST END"
    )?;
    for PartitionInfo { tier, start_ms, usage, ends, .. } in &found.partitions {
        let start = time(Some(*start_ms));
        let name = start.get(..16).unwrap_or(&start);
        writeln!(out, "{}", line(name, *tier, *usage, *ends))?;
    }
    for (tier, usage) in Tier::ALL.into_iter().zip(found.tiers) {
        writeln!(out, "{}", line("all", tier, usage, ends(found, tier)))?;
    }
    if found.replaced > 0 {
        writeln!(out, "replaced and not yet moved away: {} files", found.replaced)?;
    }
    for (path, bytes) in &found.quarantined {
        writeln!(out, "set aside as damaged: {} ({bytes} bytes)", path.display())?;
    }
    Ok(())
}

fn time(ms: Option<u64>) -> String {
    let time = ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn object(found: &Inspection) -> Value {
    let of = |tier: Tier, usage: Usage, ends: Option<(u64, u64)>| {
        json!({
            "tier": tier.name(),
            "files": usage.files,
            "rows": usage.rows,
            "bytes": usage.bytes,
            "firstEnd": ends.map(|ends| ends.0),
            "lastEnd": ends.map(|ends| ends.1),
        })
    };
    let tiers = Tier::ALL.into_iter().zip(found.tiers);
    let tiers: Vec<_> = tiers.map(|(tier, usage)| of(tier, usage, ends(found, tier))).collect();
    let partition = |partition: &PartitionInfo| {
        let mut object = of(partition.tier, partition.usage, partition.ends);
        object["insertedFrom"] = partition.start_ms.into();
        object["insertedUntil"] = partition.end_ms.into();
        object
    };
    let aside = found.quarantined.iter();
    let aside: Vec<_> = aside
        .map(|(path, bytes)| json!({ "path": path.display().to_string(), "bytes": bytes }))
        .collect();
    json!({
        "tiers": tiers,
        "partitions": found.partitions.iter().map(partition).collect::<Vec<_>>(),
        "replaced": found.replaced,
        "quarantined": aside,
    })
}
