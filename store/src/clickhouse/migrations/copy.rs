//! Rows of an older table.
//!
//! They go to tables beside ours first, which have feeds of their own, so that flows and their sums
//! come together. From there whole days are put in place of what ours have of them: a day is there
//! with all its rows or with none.

use std::time::Duration;

use super::super::found::{Found, cells, number};
use super::super::schema::{Schema, Table, quoted};
use super::super::{ClickHouseError, Client, Statement};
use super::{MigrateError, Tell, Told};

/// How long one statement may take that copies rows: those of an hour.
const PATIENCE: Duration = Duration::from_hours(6);
pub(super) const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
/// How often rows are copied anew that came to a table meanwhile.
const ATTEMPTS: usize = 5;

/// Copies rows of one table.
#[derive(Debug)]
pub(super) struct Copier<'a> {
    pub(super) client: &'a Client,
    pub(super) schema: &'a Schema,
    /// Where rows wait.
    stage: Schema,
    /// Columns that both have.
    columns: String,
    /// Whether the tables where rows wait are of this run, and whether they are empty.
    is_made: bool,
    is_empty: bool,
    /// Of all rows.
    pub(super) total: u64,
    pub(super) copied: u64,
}

/// Rows of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// When it begins, in seconds since 1970.
    pub(super) begins: u64,
    pub(super) rows: u64,
}

impl Day {
    /// As ClickHouse has the partition.
    pub(super) fn partition(begins: u64) -> String {
        let seconds = i64::try_from(begins).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        time.strftime("%Y%m%d").to_string()
    }
}

impl<'a> Copier<'a> {
    /// Of which table is known by its columns.
    pub(super) fn new(client: &'a Client, schema: &'a Schema, found: &Found, source: &str) -> Self {
        let there = found.get(source).map(|table| table.names()).unwrap_or_default();
        let flows = schema.flows();
        let both = flows.columns.iter().filter(|column| there.contains(&column.name));
        let columns = both.map(|column| quoted(column.name)).collect::<Vec<_>>().join(", ");
        let stage = schema.staged();
        let (is_made, is_empty) = (false, false);
        Self { client, schema, stage, columns, is_made, is_empty, total: 0, copied: 0 }
    }

    /// The days that the table has rows of, oldest first.
    pub(super) async fn days(&self, source: &str) -> Result<Vec<Day>, ClickHouseError> {
        let day = format!("intDiv(toUnixTimestamp(timeInserted), {DAY})");
        let source = self.schema.full(source);
        let text = format!("SELECT {day} AS day, count() FROM {source} GROUP BY day ORDER BY day");
        let parsed = |row| {
            let [day, rows] = cells::<2>(row)?;
            match (day.parse::<u64>(), rows.parse()) {
                (Ok(day), Ok(rows)) => Ok(Day { begins: day * DAY, rows }),
                _ => Err(ClickHouseError::Answer("a day is no number".to_owned())),
            }
        };
        self.client.rows(text).await?.into_iter().map(parsed).collect()
    }

    /// Makes the tables where rows wait, anew: a statement of a run before this may still write to
    /// those there were.
    async fn make_stage(&mut self) -> Result<(), ClickHouseError> {
        self.drop_stage().await?;
        for table in self.stage_tables() {
            self.client.execute(table.create()).await?;
        }
        for feed in self.stage.feeds() {
            self.client.execute(feed.create()).await?;
        }
        (self.is_made, self.is_empty) = (true, true);
        Ok(())
    }

    async fn empty_stage(&mut self) -> Result<(), ClickHouseError> {
        if !self.is_made {
            return self.make_stage().await;
        }
        if !self.is_empty {
            for table in self.stage_tables() {
                let table = self.schema.full(&table.name);
                self.client.execute(format!("TRUNCATE TABLE {table}")).await?;
            }
        }
        self.is_empty = true;
        Ok(())
    }

    pub(super) async fn drop_stage(&self) -> Result<(), ClickHouseError> {
        let feeds = self.stage.feeds().into_iter().map(|feed| feed.name);
        let tables = self.stage_tables().into_iter().map(|table| table.name);
        for name in feeds.chain(tables) {
            let drop = format!("DROP TABLE IF EXISTS {}", self.schema.full(&name));
            self.client.execute(drop).await?;
        }
        Ok(())
    }

    /// Has all rows of these days wait, and says how many there are.
    pub(super) async fn stage(
        &mut self,
        source: &str,
        days: &[Day],
        tell: Tell<'_>,
    ) -> Result<u64, MigrateError> {
        let before = self.copied;
        for _ in 0..ATTEMPTS {
            self.copied = before;
            self.empty_stage().await?;
            self.is_empty = false;
            for day in days {
                self.stage_day(source, *day, tell).await?;
            }
            let staged = self.count(&self.stage.flows().name, &[]).await?;
            // Rows may have expired in the older table meanwhile.
            if staged >= self.count(source, days).await? {
                self.copied = before + staged;
                return Ok(staged);
            }
        }
        let there = self.count(source, days).await?;
        Err(MigrateError::Rows { table: source.to_owned(), copied: self.copied - before, there })
    }

    async fn stage_day(
        &mut self,
        source: &str,
        day: Day,
        tell: Tell<'_>,
    ) -> Result<(), ClickHouseError> {
        let client = self.client.with_patience(PATIENCE);
        let (full, columns) = (self.schema.full(source), &self.columns);
        let target = self.schema.full(&self.stage.flows().name);
        let hours = format!(
            "SELECT intDiv(toUnixTimestamp(timeInserted), {HOUR}) AS hour, count() FROM {full} \
             WHERE {} GROUP BY hour ORDER BY hour",
            between(day.begins, day.begins + DAY)
        );
        for row in self.client.rows(hours).await? {
            let [hour, rows] = cells(row)?.map(|cell| cell.parse::<u64>().unwrap_or_default());
            let between = between(hour * HOUR, (hour + 1) * HOUR);
            let copy = format!(
                "INSERT INTO {target} ({columns}) SELECT {columns} FROM {full} WHERE {between}"
            );
            client.execute(copy).await?;
            self.copied += rows;
            tell(Told::Copied { rows: self.copied, of: self.total.max(self.copied) });
        }
        Ok(())
    }

    /// Rows of these days, or of all.
    pub(super) async fn count(&self, table: &str, days: &[Day]) -> Result<u64, ClickHouseError> {
        let table = self.schema.full(table);
        let within: Vec<_> = days.iter().map(|day| between(day.begins, day.begins + DAY)).collect();
        let within = if within.is_empty() { "1".to_owned() } else { within.join(" OR ") };
        number(self.client, format!("SELECT count() FROM {table} WHERE {within}")).await
    }

    /// Puts what waits of a day in place of what there is of it. Doing so twice is doing it once.
    pub(super) async fn replace(&self, flows: &str, day: Day) -> Result<(), ClickHouseError> {
        let partition = Day::partition(day.begins);
        for (stage, target) in self.pairs(flows) {
            let (stage, target) = (self.schema.full(&stage), self.schema.full(&target));
            let text =
                format!("ALTER TABLE {target} REPLACE PARTITION ID '{partition}' FROM {stage}");
            self.client.execute(text).await?;
        }
        Ok(())
    }

    /// Adds what waits to what there is. What has been added waits no more.
    pub(super) async fn add(&self, flows: &str) -> Result<(), ClickHouseError> {
        for (stage, target) in self.pairs(flows) {
            for partition in self.partitions(&stage).await? {
                let (stage, target) = (self.schema.full(&stage), self.schema.full(&target));
                let text = format!(
                    "ALTER TABLE {stage} MOVE PARTITION ID '{partition}' TO TABLE {target}"
                );
                self.client.execute(text).await?;
            }
        }
        Ok(())
    }

    async fn partitions(&self, table: &str) -> Result<Vec<String>, ClickHouseError> {
        let text = "SELECT DISTINCT partition_id FROM system.parts WHERE active \
                    AND database = {database:String} AND table = {table:String}";
        let statement = Statement::new(text)
            .parameter("database", self.schema.place.database.as_str())
            .parameter("table", table);
        let rows = self.client.rows(statement).await?;
        // What is no number of digits is none of our partitions.
        let digits = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit());
        Ok(rows.into_iter().flatten().filter(digits).collect())
    }

    fn stage_tables(&self) -> Vec<Table> {
        [self.stage.flows()].into_iter().chain(self.stage.roll_ups()).collect()
    }

    /// Where rows wait, and where they belong.
    fn pairs(&self, flows: &str) -> Vec<(String, String)> {
        let targets = self.schema.roll_ups().into_iter().map(|table| table.name);
        let targets = [flows.to_owned()].into_iter().chain(targets);
        self.stage_tables().into_iter().map(|table| table.name).zip(targets).collect()
    }
}

/// By seconds since 1970.
fn between(begins: u64, ends: u64) -> String {
    format!("(timeInserted >= toDateTime({begins}) AND timeInserted < toDateTime({ends}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_as_its_partition() {
        assert_eq!(Day::partition(0), "19700101");
        assert_eq!(Day::partition(1_763_683_200), "20251121");
        assert_eq!(Day::partition(1_763_683_199), "20251120");
    }
}
