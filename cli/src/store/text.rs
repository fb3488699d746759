//! Rows as text: CSV with a header, or JSON lines. Columns have the names that they have in files.
//! Times are milliseconds since 1970; what is absent is empty, or null.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, bail};
use csv::StringRecord;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value as Json};
use store::query::{Column, Kind, Value, row_of};
use store::{Encoder, Row};

/// Bytes that one row may have as text.
const LONGEST: usize = 16 << 20;
/// Names that are tried for a temporary file.
const ATTEMPTS: u32 = 100;

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
    JsonLines,
}

impl Format {
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => bail!("{}: expected a name with .parquet, .csv or .jsonl", path.display()),
        }
    }
}

/// A row as one JSON object.
pub(super) struct Object<'a>(pub &'a [Column], pub &'a [Value]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, value) in self.0.iter().zip(self.1) {
            match value {
                Value::None => map.serialize_entry(column.name(), &())?,
                Value::Number(number) => map.serialize_entry(column.name(), number)?,
                value => map.serialize_entry(column.name(), &shown(value))?,
            }
        }
        map.end()
    }
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Number(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Address(address) => address.to_string(),
        Value::Text(text) => text.to_string(),
    }
}

/// What a text stands for; `None` if it is none of the column's values.
fn value(column: Column, text: &str) -> Option<Value> {
    Some(match column.kind() {
        Kind::Text | Kind::Labels => Value::from(text),
        _ if text.is_empty() => Value::None,
        Kind::Address => Value::address(Some(text.parse().ok()?)),
        Kind::Number | Kind::Port | Kind::Time => Value::Number(text.parse().ok()?),
    })
}

/// Rows of text as a Parquet file, which goes when this does.
pub(super) struct Converted(PathBuf);

impl Converted {
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        let (converted, file) = Self::create()?;
        let mut encoder = Encoder::new(BufWriter::new(file))?;
        read(path, &mut |row| {
            Ok(encoder.append(std::slice::from_ref(&row.record), row.inserted_ms)?)
        })?;
        encoder.finish()?.into_inner().context("the temporary file cannot be written")?;
        Ok(converted)
    }

    fn create() -> anyhow::Result<(Self, File)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        for attempt in 0..ATTEMPTS {
            let name = format!("fyke-{}-{attempt}.parquet", std::process::id());
            let path = std::env::temp_dir().join(name);
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => {
                    let file = opened.with_context(|| format!("{}", path.display()))?;
                    return Ok((Self(path), file));
                }
            }
        }
        bail!("no name is left for a temporary file in {}", std::env::temp_dir().display());
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Converted {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

/// A file of which at most so much is read before a row is complete.
struct Metered {
    file: File,
    since_row: Rc<Cell<usize>>,
}

impl Read for Metered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.since_row.set(self.since_row.get() + read);
        if self.since_row.get() > LONGEST {
            return Err(io::Error::other("a row has more than 16 MiB"));
        }
        Ok(read)
    }
}

fn read(path: &Path, each: &mut dyn FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let since_row = Rc::new(Cell::new(0));
    let metered = Metered { file, since_row: Rc::clone(&since_row) };
    let mut number = 0;
    let mut each = |row: anyhow::Result<Row>| {
        number += 1;
        since_row.set(0);
        each(row.with_context(|| format!("{}: row {number}", path.display()))?)
    };
    if Format::of(path)? == Format::JsonLines {
        for line in BufReader::new(metered).lines() {
            each(line.map_err(Into::into).and_then(|line| of_json(&line)))?;
        }
        return Ok(());
    }
    let mut reader = csv::Reader::from_reader(metered);
    let columns = reader.headers().context("the header")?.iter().map(column);
    let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
    for record in reader.records() {
        each(record.map_err(Into::into).and_then(|record| of_csv(&columns, &record)))?;
    }
    Ok(())
}

fn column(name: &str) -> anyhow::Result<Column> {
    Column::by_name(name).with_context(|| format!("there is no column {name:?}"))
}

fn of_csv(columns: &[Column], record: &StringRecord) -> anyhow::Result<Row> {
    let values = columns.iter().zip(record).map(|(column, text)| {
        value(*column, text).with_context(|| format!("{column} cannot be {text:?}"))
    });
    row(columns, &values.collect::<anyhow::Result<Vec<_>>>()?)
}

fn of_json(line: &str) -> anyhow::Result<Row> {
    let object: Map<String, Json> = serde_json::from_str(line)?;
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for (name, json) in &object {
        let column = column(name)?;
        let told = match json {
            Json::Null => Some(Value::None),
            Json::Number(number) => value(column, &number.to_string()),
            Json::String(text) => value(column, text),
            _ => None,
        };
        columns.push(column);
        values.push(told.with_context(|| format!("{column} cannot be {json}"))?);
    }
    row(&columns, &values)
}

pub(super) fn row(columns: &[Column], values: &[Value]) -> anyhow::Result<Row> {
    row_of(columns, values).map_err(|column| anyhow::anyhow!("{column} cannot have its value"))
}
