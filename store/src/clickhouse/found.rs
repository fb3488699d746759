//! What a database has, by the server's own tables about it.

use std::collections::BTreeMap;

use super::schema::{COMMENT, Name};
use super::{ClickHouseError, Client, Statement};

/// What a database has.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub tables: BTreeMap<String, FoundTable>,
}

/// A table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundTable {
    pub engine: String,
    /// With everything behind it: keys, TTL, settings.
    pub engine_full: String,
    pub partition_key: String,
    pub sorting_key: String,
    pub comment: String,
    pub columns: Vec<FoundColumn>,
}

/// A column of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundColumn {
    pub name: String,
    pub kind: String,
    pub default: String,
    pub codec: String,
    pub comment: String,
}

impl Found {
    /// Asks the server.
    pub async fn read(client: &Client, database: &Name) -> Result<Self, ClickHouseError> {
        let tables = "SELECT name, engine, engine_full, partition_key, sorting_key, comment \
                      FROM system.tables WHERE database = {database:String}";
        let columns = "SELECT table, name, type, default_expression, compression_codec, \
                       comment FROM system.columns WHERE database = {database:String} \
                       ORDER BY table, position";
        let asked = |text| Statement::new(text).parameter("database", database.as_str());
        // There may be no such database.
        let client = client.in_database("system");
        let mut found = Self::default();
        for row in client.rows(asked(tables)).await? {
            let [name, engine, engine_full, partition_key, sorting_key, comment] = cells(row)?;
            let columns = Vec::new();
            let table =
                FoundTable { engine, engine_full, partition_key, sorting_key, comment, columns };
            found.tables.insert(name, table);
        }
        for row in client.rows(asked(columns)).await? {
            let [table, name, kind, default, codec, comment] = cells(row)?;
            // It may have come in between.
            if let Some(table) = found.tables.get_mut(&table) {
                table.columns.push(FoundColumn { name, kind, default, codec, comment });
            }
        }
        Ok(found)
    }

    pub fn get(&self, name: &str) -> Option<&FoundTable> {
        self.tables.get(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Whether there is a table of ours under this name.
    pub fn has_ours(&self, name: &str) -> bool {
        self.get(name).is_some_and(FoundTable::is_ours)
    }
}

impl FoundTable {
    pub fn is_ours(&self) -> bool {
        self.comment == COMMENT
    }

    /// Whether it holds rows itself.
    pub fn has_rows(&self) -> bool {
        self.engine.ends_with("MergeTree")
    }

    pub fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// Whether it refuses rows until a migration has come to its end.
    pub fn is_closed(&self) -> bool {
        self.engine_full.contains("max_parts_in_total = 0")
    }
}

/// The values of a row, if there are as many as were asked for.
pub(super) fn cells<const N: usize>(row: Vec<String>) -> Result<[String; N], ClickHouseError> {
    let count = row.len();
    let wrong = |_| ClickHouseError::Answer(format!("{count} values where {N} were asked for"));
    row.try_into().map_err(wrong)
}

/// The one number of an answer.
pub(super) async fn number(
    client: &Client,
    statement: impl Into<Statement>,
) -> Result<u64, ClickHouseError> {
    let rows = client.rows(statement).await?;
    let value = rows.first().and_then(|row| row.first());
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or_else(|| ClickHouseError::Answer(format!("{rows:?} where a number was asked for")))
}
