//! Everything that is to be done to a database, in order.

use super::super::diff::differences;
use super::super::found::{Found, FoundTable, number};
use super::super::schema::{Keep, Place, Retention, Schema, Table};
use super::super::{ClickHouseError, Client, Statement};
use super::gaps;
use super::journal::{Journal, Migration, TABLE};
use super::lock::Lock;
use super::older::{self, Older};
use super::take_over::{Progress, take_over};
use super::{MigrateError, Tell, Told};

/// What somebody wants of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub place: Place,
    /// How long rows are kept, where that is said; else it stays, or is the default of a new table.
    pub flows: Option<Keep>,
    pub minutes: Option<Keep>,
    pub five_minutes: Option<Keep>,
    pub hours: Option<Keep>,
    /// Drop an older table whose rows have been taken over.
    pub drop_old: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// How much was done; 0 if there was nothing to do.
    pub changes: usize,
    /// Rows that came from an older table.
    pub rows: u64,
    /// Older tables whose rows are in ours, and which are still there.
    pub kept: Vec<String>,
}

impl Asked {
    /// What there should be.
    pub fn schema(&self) -> Schema {
        let Retention { flows, minutes, five_minutes, hours } = Retention::default();
        let retention = Retention {
            flows: self.flows.unwrap_or(flows),
            minutes: self.minutes.unwrap_or(minutes),
            five_minutes: self.five_minutes.unwrap_or(five_minutes),
            hours: self.hours.unwrap_or(hours),
        };
        Schema::new(self.place.clone(), retention)
    }

    /// The tables whose time to keep rows is said.
    pub(in crate::clickhouse) fn expiring(&self, schema: &Schema) -> Vec<Table> {
        let tiers = [self.minutes, self.five_minutes, self.hours];
        let said = [self.flows].into_iter().chain(tiers.into_iter().cycle());
        let tables = [schema.flows()].into_iter().chain(schema.roll_ups());
        tables.zip(said).filter(|(_, said)| said.is_some()).map(|(table, _)| table).collect()
    }
}

/// Brings the database to what is asked for, as `who`, by which others know who is at it.
pub async fn migrate(
    client: &Client,
    asked: &Asked,
    who: &str,
    tell: Tell<'_>,
) -> Result<Outcome, MigrateError> {
    let (schema, client) = (asked.schema(), &client.in_database("system"));
    make_database(client, &schema).await?;
    let lock = Lock::take(client, &schema, who, tell).await?;
    let outcome = tokio::select! {
        outcome = migrate_alone(client, &schema, asked, tell) => outcome,
        lost = lock.keep() => return Err(lost),
    };
    let released = lock.release().await;
    let outcome = outcome?;
    released?;
    Ok(outcome)
}

async fn migrate_alone(
    client: &Client,
    schema: &Schema,
    asked: &Asked,
    tell: Tell<'_>,
) -> Result<Outcome, MigrateError> {
    let mut outcome = Outcome::default();
    let found = Found::read(client, &asked.place.database).await?;
    let journal = Journal::new(client, schema);
    let progress = if found.has(TABLE) {
        Progress::of(&journal.read(Migration::TakeOver).await?)
    } else {
        Progress::default()
    };
    let older = match progress.unfinished() {
        Some(older) => Some(older.clone()),
        None => Older::find(schema, &found)?,
    };
    if !found.has(TABLE) {
        client.execute(Journal::create(schema)).await?;
    }
    if let Some(older) = older {
        outcome.rows = take_over(client, schema, &older, tell).await?;
        outcome.changes += 1;
    }
    outcome.changes += make(client, schema, &journal, tell).await?;
    let found = Found::read(client, &asked.place.database).await?;
    outcome.changes += widen(client, schema, &found, &journal, tell).await?;
    outcome.changes += expire(client, asked, schema, &found, &journal, tell).await?;
    let progress = Progress::of(&journal.read(Migration::TakeOver).await?);
    if let Some(older) = progress.kept() {
        let kept = found.has(&older.kept_as).then(|| older.kept_as.clone());
        outcome.kept = kept.into_iter().chain(views_of(&found)).collect();
        if asked.drop_old {
            outcome.changes += drop_old(client, schema, &journal, &mut outcome.kept, tell).await?;
        }
    }
    Ok(outcome)
}

fn views_of(found: &Found) -> impl Iterator<Item = String> + '_ {
    older::view_tables(found).into_iter().map(str::to_owned)
}

async fn make_database(client: &Client, schema: &Schema) -> Result<(), ClickHouseError> {
    let text = "SELECT count() FROM system.databases WHERE name = {database:String}";
    let asked = Statement::new(text).parameter("database", schema.place.database.as_str());
    // Whoever may not make databases may still make tables.
    if number(client, asked).await? > 0 && schema.place.cluster.is_none() {
        return Ok(());
    }
    client.execute(schema.create_database()).await
}

/// Makes what is not there.
async fn make(
    client: &Client,
    schema: &Schema,
    journal: &Journal<'_>,
    tell: Tell<'_>,
) -> Result<usize, MigrateError> {
    let found = Found::read(client, &schema.place.database).await?;
    let mut made = Vec::new();
    let flows = schema.flows();
    let closed = (flows.name.clone(), flows.create_closed());
    let tables = schema.roll_ups().into_iter().map(|table| (table.name.clone(), table.create()));
    let feeds = schema.feeds().into_iter().map(|feed| (feed.name.clone(), feed.create()));
    let gaps = gaps::find(schema, &found);
    make_each(client, &found, [closed].into_iter().chain(tables), &mut made).await?;
    gaps::open(client, &gaps).await?;
    make_each(client, &found, feeds.chain(schema.fronts()), &mut made).await?;
    gaps::close(client, &gaps).await?;
    // No row comes that the feeds do not see.
    if found.get(&flows.name).is_none_or(FoundTable::is_closed) {
        client.execute(flows.open()).await?;
    }
    for view in older::views(&found) {
        client.execute(format!("DROP TABLE IF EXISTS {}", schema.full(view))).await?;
    }
    for view in schema.views() {
        let is_there = found
            .get(view.name)
            .is_some_and(|there| there.engine == "View" && there.names() == view.columns);
        if !is_there {
            client.execute(view.create()).await?;
            made.push(view.name.to_owned());
        }
    }
    note(journal, Migration::Tables, &made, "made", tell).await
}

async fn make_each(
    client: &Client,
    found: &Found,
    wanted: impl Iterator<Item = (String, String)>,
    made: &mut Vec<String>,
) -> Result<(), ClickHouseError> {
    for (name, create) in wanted {
        if !found.has(&name) {
            client.execute(create).await?;
            made.push(name);
        }
    }
    Ok(())
}

/// Adds columns that are not there, and has the feeds fill them.
async fn widen(
    client: &Client,
    schema: &Schema,
    found: &Found,
    journal: &Journal<'_>,
    tell: Tell<'_>,
) -> Result<usize, MigrateError> {
    let mut changed = Vec::new();
    for table in [schema.flows()].iter().chain(&schema.roll_ups()) {
        let Some(there) = found.get(&table.name) else { continue };
        let missing: Vec<_> =
            table.columns.iter().filter(|column| there.column(column.name).is_none()).collect();
        if missing.is_empty() {
            continue;
        }
        let sorting_key: Vec<_> = there.sorting_key.split(", ").map(str::to_owned).collect();
        client.execute(table.add(&missing, &sorting_key)).await?;
        let names: Vec<_> = missing.iter().map(|column| column.name).collect();
        changed.push(format!("{}({})", table.name, names.join(", ")));
    }
    for feed in schema.feeds() {
        let Some(there) = found.get(&feed.name) else { continue };
        if feed.columns.iter().any(|column| there.column(column).is_none()) {
            client.execute(feed.replace()).await?;
            changed.push(feed.name);
        }
    }
    note(journal, Migration::Columns, &changed, "widened", tell).await
}

/// Has rows expire as is said.
async fn expire(
    client: &Client,
    asked: &Asked,
    schema: &Schema,
    found: &Found,
    journal: &Journal<'_>,
    tell: Tell<'_>,
) -> Result<usize, MigrateError> {
    let other: Vec<_> = differences(asked, found)
        .into_iter()
        .filter(|difference| difference.part.as_deref() == Some("TTL"))
        .map(|difference| difference.object)
        .collect();
    let tables = [schema.flows()].into_iter().chain(schema.roll_ups());
    for table in tables.filter(|table| other.contains(&table.name)) {
        for statement in table.expire() {
            client.execute(statement).await?;
        }
    }
    note(journal, Migration::Expiry, &other, "other time to keep rows", tell).await
}

async fn drop_old(
    client: &Client,
    schema: &Schema,
    journal: &Journal<'_>,
    kept: &mut Vec<String>,
    tell: Tell<'_>,
) -> Result<usize, MigrateError> {
    for name in kept.iter() {
        client.execute(format!("DROP TABLE IF EXISTS {}", schema.full(name))).await?;
    }
    let dropped = std::mem::take(kept);
    note(journal, Migration::TakeOver, &dropped, "dropped", tell).await
}

/// Notes what was done, if anything was, and says how much.
async fn note(
    journal: &Journal<'_>,
    migration: Migration,
    names: &[String],
    step: &str,
    tell: Tell<'_>,
) -> Result<usize, MigrateError> {
    if !names.is_empty() {
        let names = names.join(", ");
        journal.note(migration, step, &names, 0).await?;
        tell(Told::Done(format!("{step}: {names}")));
    }
    Ok(names.len())
}
