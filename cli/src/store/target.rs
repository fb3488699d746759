//! Where rows go.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, bail};
use flow::FlowRecord;
use store::clickhouse::{Block, Columns, Insert};
use store::query::{Column, Kind, Value};
use store::{LAST_TIME_MS, Reader, Row, Writer};

use super::import::ImportArgs;
use super::server::Server;
use super::source::{Files, Source};
use super::text::row;

/// Rows that are stored together, at most.
const HELD_ROWS: u64 = 32_768;
/// Bytes of their names, whose length others decide.
const HELD_TEXT: usize = 64 << 20;
const TABLE: &str = "flows";

pub(super) struct Target {
    there: Source,
    place: Place,
    columns: Vec<Column>,
    held: Vec<Row>,
    most: u64,
    /// Bytes of names in these, and a number that follows from all of their values.
    text: usize,
    token: DefaultHasher,
}

enum Place {
    Store(Box<Writer>),
    Server { server: Rc<Server>, columns: Columns, cluster_uuid: String },
}

impl Target {
    pub(super) fn open(
        args: &ImportArgs,
        columns: Vec<Column>,
        errors: &mut impl Write,
    ) -> anyhow::Result<Self> {
        let place = &args.to;
        let (there, place) = if place.contains("://") {
            let address = place.parse().with_context(|| format!("{place} is no server"))?;
            let server = Rc::new(Server::open(address, &args.access, errors)?);
            let missing = server.missing();
            if let Some(first) = missing.first() {
                let count = missing.len();
                bail!(
                    "the table {TABLE} lacks {count} columns, such as {first}, and would not keep \
                     them: run `fyke clickhouse migrate`"
                );
            }
            let columns = server.wait(Columns::read(&server.client, TABLE))?;
            let there = Source::Server(Rc::clone(&server));
            let cluster_uuid = args.cluster_uuid.clone();
            (there, Place::Server { server, columns, cluster_uuid })
        } else {
            let dir = Path::new(place);
            let writer = Writer::open(dir)?;
            let there = Source::Files(Files::of(Reader::open(dir)?));
            (there, Place::Store(Box::new(writer)))
        };
        let (held, most, token) = (Vec::new(), args.slice.min(HELD_ROWS), DefaultHasher::new());
        Ok(Self { there, place, columns, held, most, text: 0, token })
    }

    /// What is there already, but for what was taken since [`Self::flush`].
    pub(super) fn there(&self) -> &Source {
        &self.there
    }

    /// Takes a row, which is known by `identity`.
    pub(super) fn take(&mut self, values: &[Value], identity: u128) -> anyhow::Result<()> {
        self.held.push(row(&self.columns, values)?);
        identity.hash(&mut self.token);
        self.text += values.iter().map(text_size).sum::<usize>();
        if self.held.len() as u64 >= self.most || self.text >= HELD_TEXT {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Makes all rows durable.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let mut held = std::mem::take(&mut self.held);
        let token = std::mem::take(&mut self.token).finish();
        self.text = 0;
        if held.is_empty() {
            return Ok(());
        }
        // Rows of one hour become one file; each keeps its time of insertion.
        held.sort_by_key(|row| row.inserted_ms);
        let parts = held.chunk_by(|one, other| one.inserted_ms == other.inserted_ms);
        let parts = parts.filter_map(|rows| {
            let records: Vec<FlowRecord> = rows.iter().map(|row| row.record.clone()).collect();
            Some((records, rows.first()?.inserted_ms))
        });
        match &mut self.place {
            Place::Store(writer) => {
                for (records, inserted_ms) in parts {
                    writer.append(&records, inserted_ms)?;
                }
                writer.flush()?;
            }
            Place::Server { server, columns, cluster_uuid } => {
                let mut block = Block::new(columns, cluster_uuid);
                for (records, inserted_ms) in parts {
                    block.push_inserted(&records, inserted_ms);
                }
                let insert = Insert { table: TABLE.to_owned(), settings: settings(columns, token) };
                let rows = 0..block.rows();
                server.wait(server.client.insert(insert, &Arc::new(block), rows))?;
            }
        }
        Ok(())
    }
}

/// The server knows a block by its token that it was still taking when we were killed.
fn settings(columns: &Columns, token: u64) -> Vec<(String, String)> {
    let mut settings = vec![("async_insert".to_owned(), "0".to_owned())];
    if columns.is_deduplicating() {
        settings.push(("insert_deduplication_token".to_owned(), format!("fyke-import-{token:x}")));
    }
    settings.extend(columns.shards().settings(token));
    settings
}

fn text_size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        _ => 0,
    }
}

/// By what rows are known again wherever they are stored. That is all but when they were inserted,
/// of which ClickHouse keeps the second.
pub(super) fn identity(columns: &[Column], values: &[Value]) -> u128 {
    let mut hasher = DefaultHasher::new();
    for (column, value) in columns.iter().zip(values) {
        match value {
            _ if column.name() == store::TIME_INSERTED => {}
            Value::Number(time) if column.kind() == Kind::Time => {
                (*time).min(LAST_TIME_MS).hash(&mut hasher);
            }
            Value::Number(number) => number.hash(&mut hasher),
            Value::Address(address) => address.hash(&mut hasher),
            Value::Text(text) => text.as_str().hash(&mut hasher),
            Value::Real(_) | Value::None => 0_u8.hash(&mut hasher),
        }
    }
    // Twice as long as a hash, as rows would be lost if theirs were the same by chance. What it is
    // made of inside has 256 bits.
    let half = hasher.finish();
    1_u8.hash(&mut hasher);
    u128::from(half) << 64 | u128::from(hasher.finish())
}
