//! How a database does.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, Value};
use store::clickhouse::status::{Table, Topic};

use super::server::{OrMore, ServerArgs};

/// Flags as those of `theia clickhouse status`; none means all but stack traces.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag, one member")]
pub struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Disks, and how full they are
    #[arg(long = "diskInfo")]
    disk_info: bool,
    /// Tables with their rows, bytes, columns, parts and days
    #[arg(long = "tableInfo")]
    table_info: bool,
    /// Flows inserted per second, over the last two minutes
    #[arg(long = "insertRate")]
    insert_rate: bool,
    /// What the server's threads are doing
    #[arg(long = "stackTraces", alias = "stackTrace")]
    stack_traces: bool,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    fn topics(&self) -> Vec<Topic> {
        let flags = [self.disk_info, self.table_info, self.insert_rate, self.stack_traces];
        let all = Topic::ALL.into_iter().zip(flags);
        let asked: Vec<_> = all.filter(|(_, asked)| *asked).map(|(topic, _)| topic).collect();
        if asked.is_empty() {
            Topic::ALL.into_iter().filter(|topic| *topic != Topic::StackTraces).collect()
        } else {
            asked
        }
    }
}

pub(super) async fn run(
    args: &StatusArgs,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let server = args.server.read(errors)?;
    let mut all = Map::new();
    for (number, topic) in args.topics().into_iter().enumerate() {
        let table = topic.ask(&server.client, &server.place).await.or_more()?;
        if args.json {
            all.insert(topic.word().to_owned(), json(&table));
            continue;
        }
        if number > 0 {
            writeln!(out)?;
        }
        if topic == Topic::StackTraces { blocks(&table, out)? } else { lines(&table, out)? }
    }
    if args.json {
        writeln!(out, "{}", Value::Object(all))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(table: &Table) -> Value {
    let row = |row: &Vec<String>| {
        let cells = table.columns.iter().zip(row);
        let cells = cells.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        Value::Object(cells.collect())
    };
    table.rows.iter().map(row).collect()
}

/// Columns below each other.
fn lines(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let header = table.columns.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<&Vec<String>> = [&header].into_iter().chain(&table.rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..table.columns.len()).map(width).collect();
    for row in all {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        let line = cells.join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// One value to a line, as values have lines of their own.
fn blocks(table: &Table, out: &mut impl Write) -> io::Result<()> {
    for (number, row) in table.rows.iter().enumerate() {
        writeln!(out, "Row {}:", number + 1)?;
        for (name, value) in table.columns.iter().zip(row) {
            writeln!(out, "{name}: {value}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
