//! What was done, in a table of the database itself.

use super::super::schema::{COMMENT, Schema};
use super::super::{ClickHouseError, Client, Statement, found::cells};

/// The journal's table.
pub(super) const TABLE: &str = "fyke_migrations";

/// What is done to a database. Numbers are never used for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Migration {
    TakeOver,
    Tables,
    Columns,
    Expiry,
}

impl Migration {
    const fn number(self) -> u32 {
        match self {
            Self::TakeOver => 1,
            Self::Tables => 2,
            Self::Columns => 3,
            Self::Expiry => 4,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::TakeOver => "take over an older table",
            Self::Tables => "make what is missing",
            Self::Columns => "add columns",
            Self::Expiry => "change when rows expire",
        }
    }
}

/// A step of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) step: String,
    pub(super) subject: String,
    pub(super) rows: u64,
}

/// Of a table that is the same on all servers.
pub(super) fn engine(schema: &Schema) -> &'static str {
    match &schema.place.cluster {
        None => "MergeTree",
        Some(_) => "ReplicatedMergeTree('/clickhouse/tables/{uuid}/all', '{replica}')",
    }
}

#[derive(Debug)]
pub(super) struct Journal<'a> {
    client: &'a Client,
    schema: &'a Schema,
}

impl<'a> Journal<'a> {
    pub(super) fn new(client: &'a Client, schema: &'a Schema) -> Self {
        Self { client, schema }
    }

    /// Makes the table unless it is there.
    pub(super) fn create(schema: &Schema) -> String {
        let (engine, cluster) = (engine(schema), schema.on_cluster());
        format!(
            "CREATE TABLE IF NOT EXISTS {}{cluster}\n(\n    \
                 `at` DateTime64(3) DEFAULT now64(3),\n    `number` UInt32,\n    \
                 `migration` LowCardinality(String),\n    `step` LowCardinality(String),\n    \
                 `subject` String,\n    `rows` UInt64,\n    \
                 `version` LowCardinality(String)\n)\n\
             ENGINE = {engine}\nORDER BY (number, at)\nCOMMENT '{COMMENT}'",
            schema.full(TABLE)
        )
    }

    /// Notes a step.
    pub(super) async fn note(
        &self,
        migration: Migration,
        step: &str,
        subject: &str,
        rows: u64,
    ) -> Result<(), ClickHouseError> {
        let text = format!(
            "INSERT INTO {} (number, migration, step, subject, rows, version) SELECT {}, \
             {{migration:String}}, {{step:String}}, {{subject:String}}, {rows}, {{version:String}}",
            self.schema.full(TABLE),
            migration.number(),
        );
        let statement = Statement::new(text)
            .parameter("migration", migration.word())
            .parameter("step", step)
            .parameter("subject", subject)
            .parameter("version", env!("CARGO_PKG_VERSION"));
        self.client.execute(statement).await
    }

    /// The steps of a migration so far, in order.
    pub(super) async fn read(&self, migration: Migration) -> Result<Vec<Entry>, ClickHouseError> {
        let text = format!(
            "SELECT step, subject, rows FROM {} WHERE number = {} ORDER BY at",
            self.schema.full(TABLE),
            migration.number()
        );
        let entry = |row| {
            let [step, subject, rows] = cells(row)?;
            Ok(Entry { step, subject, rows: rows.parse().unwrap_or_default() })
        };
        self.client.rows(text).await?.into_iter().map(entry).collect()
    }
}
