//! One older table, from beginning to end: its past days while it is still written to, then its
//! name, then the rows of the days that were not past.

use super::super::Client;
use super::super::found::{Found, FoundTable, number};
use super::super::schema::Schema;
use super::copy::{Copier, DAY, Day};
use super::journal::{Entry, Journal, Migration};
use super::older::Older;
use super::swap::{NEXT, swap, wait_for_inserts};
use super::{MigrateError, Tell, Told};

/// Seconds after its end when a day gets no more rows.
const SETTLED: u64 = 3_600;

/// What the journal says of a table that is being taken over.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) older: Option<Older>,
    /// Days whose rows are there, and how many rows.
    days: Vec<(String, u64)>,
    is_swapped: bool,
    /// Rows of the last days, which wait.
    staged: Option<u64>,
    is_done: bool,
}

impl Progress {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut progress = Self::default();
        for entry in entries {
            match entry.step.as_str() {
                "begin" => {
                    let older = Older::of_subject(&entry.subject);
                    progress = Self { older, ..Self::default() };
                }
                "day" => progress.has_copied(entry.subject.clone(), entry.rows),
                "swapped" => progress.is_swapped = true,
                "staged" => progress.staged = Some(entry.rows),
                "done" => progress.is_done = true,
                _ => {}
            }
        }
        progress
    }

    /// The table, unless everything is done.
    pub(super) fn unfinished(&self) -> Option<&Older> {
        self.older.as_ref().filter(|_| !self.is_done)
    }

    /// A table that was taken over and is only kept.
    pub(super) fn kept(&self) -> Option<&Older> {
        self.older.as_ref().filter(|_| self.is_done)
    }

    /// How many rows of the day were copied, if it was.
    fn rows_of(&self, day: Day) -> Option<u64> {
        let name = Day::partition(day.begins);
        self.days.iter().find(|(known, _)| *known == name).map(|(_, rows)| *rows)
    }

    fn has_copied(&mut self, day: String, rows: u64) {
        self.days.retain(|(known, _)| *known != day);
        self.days.push((day, rows));
    }

    fn has(&self, day: Day) -> bool {
        self.rows_of(day).is_some()
    }

    fn rows(&self) -> u64 {
        self.days.iter().map(|(_, rows)| rows).sum()
    }
}

/// Takes over the rows of `older`, or goes on with it.
pub(super) async fn take_over(
    client: &Client,
    schema: &Schema,
    older: &Older,
    tell: Tell<'_>,
) -> Result<u64, MigrateError> {
    let journal = Journal::new(client, schema);
    let found = Found::read(client, &schema.place.database).await?;
    let mut progress = Progress::of(&journal.read(Migration::TakeOver).await?);
    let is_ours = found.has_ours("flows");
    if !is_ours && (progress.unfinished() != Some(older) || !is_usable(schema, &found)) {
        let drop = format!("DROP TABLE IF EXISTS {}", schema.full(NEXT));
        client.execute(drop).await?;
        journal.note(Migration::TakeOver, "begin", &older.subject(), 0).await?;
        progress = Progress { older: Some(older.clone()), ..Progress::default() };
    }
    let mut copier = Copier::new(client, schema, &found, place(older, &found));
    if !progress.is_swapped {
        if !is_ours {
            past_days(&mut copier, &journal, older, &mut progress, tell).await?;
        }
        swap(client, schema, older).await?;
        let flows = schema.flows();
        let found = Found::read(client, &schema.place.database).await?;
        if found.get(&flows.name).is_some_and(FoundTable::is_closed) {
            late_rows(&mut copier, &journal, older, &mut progress, tell).await?;
        }
        client.execute(flows.open()).await?;
        journal.note(Migration::TakeOver, "swapped", &older.subject(), 0).await?;
        tell(Told::Done(format!("flows is ours; the older table is {}", older.kept_as)));
    }
    last_days(&mut copier, &journal, older, &mut progress, tell).await?;
    for table in [schema.flows()].iter().chain(&schema.roll_ups()) {
        if table.ttl().is_some() {
            client.execute(table.find_expired()).await?;
        }
    }
    let rows = progress.rows() + progress.staged.unwrap_or_default();
    journal.note(Migration::TakeOver, "done", &older.subject(), rows).await?;
    tell(Told::Done(format!("{rows} rows were taken over from {}", older.kept_as)));
    Ok(rows)
}

/// Where the older table is now.
fn place<'a>(older: &'a Older, found: &Found) -> &'a str {
    if found.has_ours("flows") {
        // In the middle of a swap it may be where ours was.
        let is_aside = older.name == "flows" && !found.has(&older.kept_as);
        if is_aside {
            NEXT
        } else if found.has(&older.kept_as) {
            &older.kept_as
        } else {
            &older.name
        }
    } else {
        &older.name
    }
}

/// Whether what a run before this made is what this one would make.
fn is_usable(schema: &Schema, found: &Found) -> bool {
    let flows = schema.flows();
    let names: Vec<_> = flows.columns.iter().map(|column| column.name).collect();
    found.get(NEXT).is_some_and(|next| next.is_ours() && next.names() == names)
}

async fn past_days(
    copier: &mut Copier<'_>,
    journal: &Journal<'_>,
    older: &Older,
    progress: &mut Progress,
    tell: Tell<'_>,
) -> Result<(), MigrateError> {
    let (client, schema) = (copier.client, copier.schema);
    client.execute(schema.flows().create_as(NEXT)).await?;
    for table in schema.roll_ups() {
        client.execute(table.create()).await?;
    }
    loop {
        let now = number(client, "SELECT toUnixTimestamp(now())").await?;
        let days = copier.days(&older.name).await?;
        copier.total = days.iter().map(|day| day.rows).sum();
        copier.copied = progress.rows();
        let is_due = |day: &&Day| day.begins + DAY + SETTLED <= now && !progress.has(**day);
        let Some(day) = days.iter().find(is_due).copied() else { return Ok(()) };
        put_in_place(copier, journal, progress, (&older.name, NEXT), day, tell).await?;
    }
}

/// Copies a day from one table to another, where it becomes all there is of that day.
async fn put_in_place(
    copier: &mut Copier<'_>,
    journal: &Journal<'_>,
    progress: &mut Progress,
    (from, to): (&str, &str),
    day: Day,
    tell: Tell<'_>,
) -> Result<(), MigrateError> {
    let rows = copier.stage(from, &[day], tell).await?;
    copier.replace(to, day).await?;
    let partition = Day::partition(day.begins);
    journal.note(Migration::TakeOver, "day", &partition, rows).await?;
    progress.has_copied(partition, rows);
    Ok(())
}

/// Copies days anew to which rows came after they were copied: of writers that say themselves when
/// a row came. Nobody inserts into our table yet, so that nothing of a day is lost.
async fn late_rows(
    copier: &mut Copier<'_>,
    journal: &Journal<'_>,
    older: &Older,
    progress: &mut Progress,
    tell: Tell<'_>,
) -> Result<(), MigrateError> {
    if let Err(error) = wait_for_inserts(copier.client).await {
        // Everybody else waits; what still comes is told later.
        tell(Told::Done(error.to_string()));
    }
    for (day, rows) in grown(copier, older, progress).await? {
        copier.copied = progress.rows() - rows;
        copier.total = copier.copied + day.rows;
        put_in_place(copier, journal, progress, (&older.kept_as, "flows"), day, tell).await?;
    }
    Ok(())
}

/// Days that have more rows than were copied of them, and how many were.
async fn grown(
    copier: &Copier<'_>,
    older: &Older,
    progress: &Progress,
) -> Result<Vec<(Day, u64)>, MigrateError> {
    let days = copier.days(&older.kept_as).await?.into_iter();
    let known = days.filter_map(|day| Some((day, progress.rows_of(day)?)));
    Ok(known.filter(|(day, rows)| day.rows > *rows).collect())
}

async fn last_days(
    copier: &mut Copier<'_>,
    journal: &Journal<'_>,
    older: &Older,
    progress: &mut Progress,
    tell: Tell<'_>,
) -> Result<(), MigrateError> {
    if progress.staged.is_none() {
        // Before it is asked for its days, of which such an insert may begin one.
        wait_for_inserts(copier.client).await?;
        for (day, rows) in grown(copier, older, progress).await? {
            let (late, day) = (day.rows - rows, Day::partition(day.begins));
            let kept = &older.kept_as;
            tell(Told::Done(format!("{late} rows of {day} came too late and are in {kept} alone")));
        }
        let days = copier.days(&older.kept_as).await?;
        let days: Vec<_> = days.into_iter().filter(|day| !progress.has(*day)).collect();
        copier.copied = progress.rows();
        copier.total = copier.copied + days.iter().map(|day| day.rows).sum::<u64>();
        let rows = if days.is_empty() {
            // A run before this may have left a day there that is in place already.
            copier.drop_stage().await?;
            0
        } else {
            copier.stage(&older.kept_as, &days, tell).await?
        };
        journal.note(Migration::TakeOver, "staged", "", rows).await?;
        progress.staged = Some(rows);
    }
    copier.add("flows").await?;
    Ok(copier.drop_stage().await?)
}
