//! Rows become a file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use store::Encoder;
use store::query::{Column, Value};

use super::server::AccessArgs;
use super::source::Source;
use super::text::{Format, Object, row, shown};
use super::wanted::WantedArgs;

#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// A store's directory, or a server of ClickHouse: http://HOST:PORT or https://
    #[arg(long, value_name = "DIR|URL", env = "FYKE_DATA", default_value = "./fyke-data")]
    from: String,
    /// NAME.parquet, NAME.csv or NAME.jsonl
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(
    args: &ExportArgs,
    now_ms: u64,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let format = Format::of(&args.to)?;
    let source = Source::open(&args.from, &args.access, errors)?;
    let range = args.wanted.range(now_ms);
    let all = source.span(&args.wanted.span(range))?.rows;
    let aside = aside(&args.to);
    let failed = || format!("{} cannot be written", aside.display());
    let mut file = Rows::new(format, File::create(&aside).with_context(failed)?)?;
    let (mut rows, mut told) = (0, 0);
    source.rows(&args.wanted.rows(range), &mut |batch| {
        for values in &batch {
            file.push(values)?;
        }
        rows += batch.len() as u64;
        if rows >= told + 1_000_000 {
            told = rows;
            writeln!(errors, "{rows} of {all} rows")?;
        }
        Ok(())
    })?;
    file.finish()?.sync_all().with_context(failed)?;
    fs::rename(&aside, &args.to).with_context(failed)?;
    let told = writeln!(out, "{rows} rows in {}", args.to.display());
    source.check()?;
    told?;
    Ok(ExitCode::SUCCESS)
}

/// Where the file is until it is complete.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// A file that is being written.
struct Rows {
    columns: Vec<Column>,
    writer: Writer,
}

enum Writer {
    Parquet(Box<Encoder<BufWriter<File>>>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
    JsonLines(BufWriter<File>),
}

impl Rows {
    fn new(format: Format, file: File) -> anyhow::Result<Self> {
        let columns = Column::all_stored();
        let file = BufWriter::new(file);
        let writer = match format {
            Format::Parquet => Writer::Parquet(Box::new(Encoder::new(file)?)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                writer.write_record(columns.iter().map(|column| column.name()))?;
                Writer::Csv(Box::new(writer))
            }
            Format::JsonLines => Writer::JsonLines(file),
        };
        Ok(Self { columns, writer })
    }

    fn push(&mut self, values: &[Value]) -> anyhow::Result<()> {
        match &mut self.writer {
            Writer::Parquet(encoder) => {
                let row = row(&self.columns, values)?;
                encoder.append(std::slice::from_ref(&row.record), row.inserted_ms)?;
            }
            Writer::Csv(writer) => writer.write_record(values.iter().map(shown))?,
            Writer::JsonLines(file) => {
                serde_json::to_writer(&mut *file, &Object(&self.columns, values))?;
                file.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<File> {
        let file = match self.writer {
            Writer::Parquet(encoder) => encoder.finish()?,
            Writer::Csv(writer) => writer.into_inner().map_err(csv::IntoInnerError::into_error)?,
            Writer::JsonLines(file) => file,
        };
        Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?)
    }
}
