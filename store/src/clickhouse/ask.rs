//! Asks ClickHouse what a [`Query`] wants to know.
//!
//! query ─▶ `statement` ─▶ a server ─▶ `decode` ─▶ answer
//!
//! No text of whoever asks becomes a part of a statement: texts travel as typed parameters of the
//! server, and names are those of the table of fields. Numbers and addresses have been parsed and
//! are written by us.
//!
//! Answers are those of [`crate::query::evaluate`], with these exceptions, which are the table's:
//! times of insertion are whole seconds there, `İ` (U+0130) is found as `i` with a dot above, and
//! of rows that expire between two pages the next page does not know.
mod tables; // the flows, or sums of them
mod columns; // columns as expressions
mod condition; // predicates as expressions
mod grouping; // groups as statements
mod listing; // rows as statements
mod decode; // bytes as values

use super::{ClickHouseError, Client, ReadBy, Statement};
use crate::query::{
    Answer, AskError, Limits, Listing, Query, QueryError, Range, RowOrder, Value, Wanted,
};
use columns::Columns;
use decode::{Cell, Decoder};
use tables::Tables;

/// Bytes that the server may take beside what a query is allowed to hold: for reading itself.
const BASE_MEMORY: u64 = 256 << 20;
/// The longest statement, in bytes: lists of numbers and addresses are part of it.
const LONGEST: &str = "16777216";
/// Parts of a statement, for the same reason.
const PARTS: &str = "1000000";

/// Asks the table of flows, or one of its roll-ups where that has the same answer.
#[derive(Debug, Clone)]
pub struct Asker {
    client: Client,
    tables: Tables,
}

impl Asker {
    /// Looks up which columns the table `flows` has: one that an older table lacks counts as
    /// having its default in every row. Roll-ups that were there as long as its rows stand for it
    /// where they can, and for flows that it has no more.
    pub async fn open(client: Client) -> Result<Self, ClickHouseError> {
        let tables = Tables::find(&client).await?;
        Ok(Self { client, tables })
    }

    /// Attributes that the table has no column of their own for: it would not keep them.
    pub fn missing(&self) -> Vec<&'static str> {
        self.tables.flows.missing()
    }

    /// The whole answer, and what was read for it. Dropping the future ends the statement.
    pub async fn ask(&self, query: &Query) -> Result<(Answer, ReadBy), AskError> {
        let (rows, read) = self.values(self.asked(query)?, query).await?;
        let answer = match &query.wanted {
            Wanted::Rows(wanted) => Answer::Rows(listing::page(wanted, rows)),
            Wanted::Groups(wanted) => Answer::Groups(grouping::groups(wanted, query.range, rows)),
        };
        Ok((answer, read))
    }

    /// What [`Self::ask`] would ask the server.
    pub fn statement(&self, query: &Query) -> Result<Statement, QueryError> {
        Ok(self.asked(query)?.limited(query.limits))
    }

    fn asked(&self, query: &Query) -> Result<Asked, QueryError> {
        query.check()?;
        let columns = self.tables.serving(query);
        Ok(match &query.wanted {
            Wanted::Rows(wanted) => listing::statement(columns, query, wanted),
            Wanted::Groups(wanted) => grouping::statement(columns, query, wanted),
        })
    }

    /// Rows as they come, without an end to how many: for exports.
    pub fn export(&self, query: &Query, listing: &Listing) -> Result<Export, AskError> {
        query.check()?;
        let listing = Listing { order: RowOrder::AsStored, after: None, ..listing.clone() };
        let asked = listing::statement(&self.tables.flows, query, &listing);
        let limits = query.limits;
        let statement = asked.limited(limits);
        let answer =
            self.client.stream(statement, "RowBinary").map_err(|error| told(error, limits))?;
        Ok(Export { answer, decoder: Decoder::new(asked.cells), limits, is_over: false })
    }

    async fn values(
        &self,
        asked: Asked,
        query: &Query,
    ) -> Result<(Vec<Vec<Value>>, ReadBy), AskError> {
        let limits = query.limits;
        // The server answers when it is done, so that an error is not in the middle of rows.
        let statement = asked.limited(limits).setting("wait_end_of_query", "1");
        let failed = |error| told(error, limits);
        let mut answer = self.client.stream(statement, "RowBinary").map_err(failed)?;
        let mut decoder = Decoder::new(asked.cells);
        let (mut rows, mut held) = (Vec::new(), 0);
        while let Some(part) = answer.next().await.map_err(failed)? {
            held += part.len();
            if held > limits.memory {
                return Err(AskError::Memory { limit: limits.memory });
            }
            decoder.push(&part);
            while let Some(row) = decoder.row().map_err(failed)? {
                rows.push(row);
            }
        }
        decoder.end().map_err(failed)?;
        Ok((rows, answer.read()))
    }
}

/// Rows on their way. Dropped, it ends the statement.
#[derive(Debug)]
pub struct Export {
    answer: super::Answer,
    decoder: Decoder,
    limits: Limits,
    is_over: bool,
}

impl Export {
    /// Some more rows; none after the last.
    ///
    /// # Cancel safety
    ///
    /// No row is lost by dropping the future.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, AskError> {
        let limits = self.limits;
        let failed = |error| told(error, limits);
        while !self.is_over {
            let Some(part) = self.answer.next().await.map_err(failed)? else {
                self.is_over = true;
                self.decoder.end().map_err(failed)?;
                break;
            };
            self.decoder.push(&part);
            let mut rows = Vec::new();
            while let Some(row) = self.decoder.row().map_err(failed)? {
                rows.push(listing::shown(row));
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

/// A statement, and what its answer is made of.
#[derive(Debug)]
struct Asked {
    statement: Statement,
    cells: Vec<Cell>,
    /// How often it reads the table.
    scans: u64,
}

impl Asked {
    /// With what the server must not do.
    fn limited(&self, limits: Limits) -> Statement {
        let memory = BASE_MEMORY.saturating_add(limits.memory as u64);
        self.statement
            .clone()
            .setting("readonly", "2")
            .setting("cancel_http_readonly_queries_on_client_close", "1")
            .setting("max_rows_to_read", limits.rows.saturating_mul(self.scans).to_string())
            .setting("max_memory_usage", memory.to_string())
            .setting("max_query_size", LONGEST)
            .setting("max_ast_elements", PARTS)
            .setting("max_expanded_ast_elements", PARTS)
    }
}

/// What an error of the server means for the query.
fn told(error: ClickHouseError, limits: Limits) -> AskError {
    match error.code() {
        Some(158) => AskError::Rows { limit: limits.rows },
        Some(241) => AskError::Memory { limit: limits.memory },
        _ => AskError::Server(error),
    }
}

/// What all statements begin to select by: the time, which is what the table is sorted by, and then
/// the rest.
fn wanted_rows(columns: &Columns, query: &Query, parameters: &mut Parameters) -> String {
    let Range { since_ms, until_ms } = query.range;
    let end = columns.end();
    let mut conditions = columns.coarse_bounds(query.range);
    conditions.push(format!("{end} >= {since_ms}"));
    conditions.push(format!("{end} < {until_ms}"));
    if let Some(as_of) = query.as_of_ms {
        conditions.push(format!("{} <= {as_of}", columns.inserted()));
    }
    conditions.push(condition::expression(columns, &query.filter, parameters));
    conditions.join(" AND ")
}

/// Texts that a statement has places for.
#[derive(Debug, Default)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Where the text goes.
    fn text(&mut self, text: impl Into<String>) -> String {
        let name = format!("p{}", self.0.len());
        let place = format!("{{{name}:String}}");
        self.0.push((name, text.into()));
        place
    }

    fn statement(self, text: String) -> Statement {
        Statement { text, parameters: self.0, settings: Vec::new() }
    }
}
