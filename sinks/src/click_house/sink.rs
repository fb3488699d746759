//! Blocks to ClickHouse, one after the other.

use std::time::Duration;

use flow::Batch;
use store::Mark;
use store::clickhouse::{self, ClickHouseError, Client, Columns, Reason, Shards};
use tokio::sync::watch;

use super::blocks::{Blocks, Sealed};
use super::counters::ClickHouseCounters;
use super::flight::{Flight, Landed, Route};
use super::note::{Note, Noted};
use super::{Options, TABLE};
use crate::sink::LINGER;
use crate::{Deeds, Sink, SinkError};

/// How long the server may be silent before an attempt is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the table is looked at while nothing fails: `fyke clickhouse migrate` may have added
/// columns to it.
const LOOK_EVERY_MS: u64 = 60_000;
/// The exception of a server that does not know a setting.
const UNKNOWN_SETTING: u32 = 115;

/// Inserts flows into the table `flows`.
#[derive(Debug)]
pub struct ClickHouseSink {
    options: Options,
    route: Route,
    /// What the table has, as far as it was asked.
    columns: Option<Columns>,
    /// It may have changed since.
    is_stale: bool,
    /// When it was looked at.
    looked_ms: Option<u64>,
    blocks: Blocks,
    flight: Option<Flight>,
    /// What came back, and is the next to leave.
    waiting: Option<Sealed>,
    /// When the oldest record was taken that the server does not have.
    since_ms: Option<u64>,
    /// What an earlier sink noted is known.
    has_begun: bool,
    done: ClickHouseCounters,
    counters: watch::Sender<ClickHouseCounters>,
    let_go: u64,
}

impl ClickHouseSink {
    /// Asks nothing before it begins.
    pub fn new(options: Options) -> Self {
        let client = Client::new(clickhouse::Options {
            address: options.address.clone(),
            database: options.database.clone(),
            username: options.username.clone(),
            password: options.password.clone(),
            compress: options.compress,
            trust: options.trust.clone(),
            patience: PATIENCE,
        });
        let note = options.note.clone().map(Note::new);
        // Answers to inserts that are gathered on the server come before the rows are stored.
        let settings = vec![("async_insert".to_owned(), "0".to_owned())];
        let route = Route { client, note, settings, has_tokens: true, shards: Shards::default() };
        if let Some(note) = options.address.note() {
            tracing::warn!(sink = "click_house", "{note}");
        }
        Self {
            options,
            route,
            columns: None,
            is_stale: true,
            looked_ms: None,
            blocks: Blocks::default(),
            flight: None,
            waiting: None,
            since_ms: None,
            has_begun: false,
            done: ClickHouseCounters::default(),
            counters: watch::Sender::default(),
            let_go: 0,
        }
    }

    /// What has been done so far.
    pub fn counters(&self) -> watch::Receiver<ClickHouseCounters> {
        self.counters.subscribe()
    }

    fn noted(&self) -> Option<Noted> {
        self.route.note.as_ref().and_then(Note::read)
    }

    /// Asks for the columns, if they are not known or may be others by now.
    async fn look(&mut self) -> Result<(), SinkError> {
        if !self.is_stale {
            return Ok(());
        }
        match Columns::read(&self.route.client, TABLE).await {
            Ok(columns) => self.take_over(columns),
            Err(error) => return Err(self.failed(error)),
        }
        self.is_stale = false;
        Ok(())
    }

    fn take_over(&mut self, columns: Columns) {
        if self.columns.as_ref() == Some(&columns) {
            return;
        }
        tell(&columns);
        self.blocks.keep(&columns);
        self.waiting.iter_mut().for_each(|sealed| sealed.keep(&columns));
        self.route.shards = columns.shards();
        self.columns = Some(columns);
    }

    /// Has a block leave, once none is on its way.
    fn launch(&mut self, sealed: Sealed) {
        self.flight = Some(Flight::begin(self.route.clone(), sealed));
    }

    /// Waits until no block is on its way. An error if it came back.
    async fn settle(&mut self) -> Result<(), SinkError> {
        let Some(flight) = &mut self.flight else { return Ok(()) };
        let Landed { sealed, inserted, note } = flight.landed().await;
        self.flight = None;
        if let Err(error) = note {
            self.done.note_failures += 1;
            tracing::warn!(
                sink = "click_house",
                %error,
                "cannot note which records are on their way: after a crash they may be stored twice"
            );
        }
        if let Err(error) = inserted {
            return Err(self.came_back(sealed, error));
        }
        self.landed(&sealed);
        self.blocks.reuse(sealed);
        Ok(())
    }

    /// The server has it, but for what the table refuses, whatever is tried.
    fn landed(&mut self, sealed: &Sealed) {
        let rows = (sealed.block.rows() as u64).saturating_sub(sealed.refused);
        (0..sealed.refusals).for_each(|_| self.done.failed(Reason::Data));
        self.done.rows_refused += sealed.refused;
        self.let_go += sealed.refused;
        self.done.inserts += u64::from(rows > 0);
        self.done.rows += rows;
        let columns = self.columns.as_ref();
        if sealed.is_in_doubt && !(self.route.has_tokens && notices(columns)) {
            self.done.rows_in_doubt += rows;
        }
        if columns.is_some_and(|columns| !columns.missing_of_antrea().is_empty()) {
            self.done.rows_short += rows;
        }
        self.count();
    }

    fn came_back(&mut self, mut sealed: Sealed, error: ClickHouseError) -> SinkError {
        sealed.is_in_doubt |= error.is_in_doubt();
        if error.code() == Some(UNKNOWN_SETTING) && self.route.has_tokens {
            self.route.has_tokens = false;
            self.route.settings.clear();
            tracing::warn!(
                sink = "click_house",
                "the server is too old to know tokens of inserts: records whose arrival is in doubt \
                 are stored twice"
            );
        }
        self.waiting = Some(sealed);
        self.failed(error)
    }

    fn failed(&mut self, error: ClickHouseError) -> SinkError {
        self.is_stale = true;
        self.done.failed(error.reason());
        self.count();
        SinkError::unavailable(error)
    }

    /// Makes what has been done so far visible.
    fn count(&mut self) {
        let done = self.done;
        self.counters.send_if_modified(|seen| std::mem::replace(seen, done) != done);
    }

    /// Takes what belongs to the block that is filled; returns how many records that is.
    fn add(&mut self, batch: &[flow::FlowRecord]) -> usize {
        let Some(columns) = &self.columns else { return 0 };
        let taken = self.blocks.add(batch, columns, &self.options.cluster_uuid);
        if self.blocks.is_full() && self.flight.is_none() && self.waiting.is_none() {
            let sealed = self.blocks.seal();
            self.launch(sealed);
        }
        taken
    }

    /// Makes room for a batch.
    async fn make_room(&mut self) -> Result<(), SinkError> {
        if !self.blocks.is_full() {
            return Ok(());
        }
        self.settle().await?;
        if self.waiting.is_some() {
            let why = "the block before is not inserted yet, and another one is full";
            return Err(SinkError::Unavailable(why.into()));
        }
        let sealed = self.blocks.seal();
        self.launch(sealed);
        Ok(())
    }
}

/// Whether the table stores nothing twice.
fn notices(columns: Option<&Columns>) -> bool {
    columns.is_some_and(Columns::is_deduplicating)
}

/// Says what of it is not as it should be.
fn tell(columns: &Columns) {
    let sink = "click_house";
    let missing = columns.missing_of_antrea();
    if !missing.is_empty() {
        tracing::warn!(
            sink,
            columns = missing.join(", "),
            "the table flows does not have these columns, whose values are left out; \
             `fyke clickhouse migrate` adds them"
        );
    }
    if !columns.is_deduplicating() {
        tracing::warn!(
            sink,
            "the table flows does not notice what comes twice: records whose arrival is in doubt \
             may be stored twice; `fyke clickhouse migrate` sets non_replicated_deduplication_window"
        );
    }
    let (has, lacks) = (columns.names().count(), columns.missing());
    tracing::info!(sink, has, lacks, "the columns of the table flows are known");
}

impl Sink for ClickHouseSink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        if !self.has_begun {
            self.has_begun = true;
            let noted = self.noted().filter(|noted| !noted.is_stored);
            self.blocks.repeat(noted.map(|noted| noted.range));
        }
        if self.columns.is_none() {
            self.look().await?;
        }
        let is_due = |looked: u64| now_ms.abs_diff(looked) >= LOOK_EVERY_MS;
        if is_due(*self.looked_ms.get_or_insert(now_ms)) {
            (self.is_stale, self.looked_ms) = (true, Some(now_ms));
        }
        self.make_room().await?;
        let taken = self.add(batch);
        let rest = batch.get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            // Only behind a block that was on its way when an earlier process ended, of which there
            // is one. Nothing is on its way before it.
            self.add(rest);
        }
        self.since_ms.get_or_insert(now_ms);
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), SinkError> {
        self.look().await
    }

    fn approach(&mut self, mark: Mark) {
        self.blocks.approach(mark);
    }

    fn resumes_at(&self) -> Option<Mark> {
        self.noted().map(|noted| noted.mark())
    }

    fn has_named(&self) -> Option<Mark> {
        self.noted().map(|noted| noted.reach())
    }

    fn due(&self, now_ms: u64) -> bool {
        let interval = u64::try_from(self.options.interval.as_millis()).unwrap_or(u64::MAX);
        // The distance, not the difference: a clock that was set back must not delay it.
        let is_old = self.since_ms.is_some_and(|since| now_ms.abs_diff(since) >= interval);
        (is_old && !self.blocks.is_short()) || self.waiting.is_some()
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.settle().await?;
        if self.waiting.is_some() {
            self.look().await?;
        }
        if let Some(sealed) = self.waiting.take() {
            self.launch(sealed);
            self.settle().await?;
        }
        if self.blocks.is_short() {
            let why = "not all records of a block that was on its way before are read back yet";
            return Err(SinkError::Unavailable(why.into()));
        }
        if !self.blocks.is_empty() {
            let sealed = self.blocks.seal();
            self.launch(sealed);
            self.settle().await?;
        }
        self.since_ms = None;
        // Nothing waits for this. What is wrong with it, the next attempt finds out.
        self.look().await.unwrap_or_default();
        Ok(())
    }

    fn linger(&self) -> Duration {
        LINGER
    }

    fn deeds(&self) -> Option<Deeds> {
        Some(Deeds::ClickHouse(self.counters()))
    }

    fn let_go(&mut self) -> u64 {
        std::mem::take(&mut self.let_go)
    }
}

impl Drop for ClickHouseSink {
    /// An attempt that was broken off counts too.
    fn drop(&mut self) {
        self.count();
    }
}
