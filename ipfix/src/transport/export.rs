//! The Exporting Process: records leave over one Transport Session at a time.
//!
//! Templates are sent first in each session, and again and again over UDP. A session that breaks
//! is opened anew. A message that was written whole is never written again: its records may be
//! lost with the session, but none is ever told twice. One that was cut off is: the collector
//! cannot have read it. Its records are encoded anew, since Templates and sequence numbers begin
//! anew with each session.

mod doubt;
mod messages;
mod outbox;
mod session;

use std::{
    future,
    time::{Duration, Instant},
};

use super::{
    backoff::Backoff,
    destination::{Destination, SessionError},
};
use crate::{
    encode::{EncodeError, Encoder},
    template::Template,
};

pub use doubt::Doubt;
pub use messages::{Messages, Refresh};
use outbox::Outbox;
pub use outbox::whole_messages;
pub use session::ExportSession;

/// What an Exporting Process sends.
pub trait Export: Send {
    /// What one Data Record is made of.
    type Record: Send;

    /// Returns what each session begins with.
    fn templates(&self) -> Vec<Template>;

    /// Encodes one record with [`Encoder::record`].
    fn encode(
        &self,
        record: &Self::Record,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;

    /// Learns that `messages` have been written whole.
    fn sent(&mut self, _messages: &[u8]) {}

    /// Takes records back whose messages have been written whole. What it does not take is dropped.
    fn done(&mut self, _records: impl Iterator<Item = Self::Record>) {}

    /// Learns that no message can hold `record`, which is dropped.
    fn refused(&mut self, _record: &Self::Record, _error: EncodeError) {}
}

/// What an Exporting Process has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportCounters {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Sessions that ended before this process ended them.
    pub sessions_lost: u64,
    /// Attempts to open a session that failed.
    pub connect_failures: u64,
    /// Messages written whole.
    pub messages: u64,
    /// Records in these.
    pub records: u64,
    /// Records that no message can hold.
    pub records_refused: u64,
    /// How often Templates were sent again within a session.
    pub refreshes: u64,
    /// Messages that no datagram can hold. They are among [`Self::messages`] and their records among
    /// [`Self::records`] all the same, since nothing comes of trying again.
    pub messages_unsendable: u64,
    /// Among [`Self::records`], those last written to a session before it was lost: nobody can say
    /// whether the collector has read them. Most have been.
    pub records_in_doubt: u64,
}

/// Sends records to one destination.
#[derive(Debug)]
pub struct ExportingProcess<E: Export> {
    destination: Destination,
    messages: Messages,
    export: E,
    backoff: Backoff,
    session: Option<(ExportSession, Outbox)>,
    /// What was last written to the session.
    doubt: Doubt,
    /// Records that have not left in a message written whole.
    pending: Vec<E::Record>,
    counters: ExportCounters,
}

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);

impl<E: Export> ExportingProcess<E> {
    /// Fails if a Template does not fit a message. Connects with the first records.
    pub fn new(
        destination: Destination,
        messages: Messages,
        export: E,
    ) -> Result<Self, EncodeError> {
        Outbox::begin(messages, export.templates(), 0, Instant::now())?;
        Ok(Self {
            destination,
            messages,
            export,
            backoff: Backoff::new(FIRST_DELAY, LAST_DELAY),
            session: None,
            doubt: Doubt::default(),
            pending: Vec::new(),
            counters: ExportCounters::default(),
        })
    }

    /// Adds a record to what [`Self::flush`] sends. How many there may be is for the caller to
    /// limit, who alone can stop their source.
    pub fn push(&mut self, record: E::Record) {
        self.pending.push(record);
    }

    /// Returns how many records wait.
    pub const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether there is a session, as far as anyone has looked.
    pub const fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Returns what has been done so far, over all sessions.
    pub const fn counters(&self) -> ExportCounters {
        let mut counters = self.counters;
        if let Some((session, _)) = &self.session {
            counters.messages_unsendable += session.unsendable();
        }
        counters
    }

    /// Returns what was given to [`Self::new`].
    pub const fn export(&self) -> &E {
        &self.export
    }

    /// As [`Self::export`], to be changed while there is no session, whose Templates have been sent.
    pub const fn export_mut(&mut self) -> &mut E {
        &mut self.export
    }

    /// Returns how long to wait after an error; see [`Backoff::next_delay`].
    pub fn next_delay(&mut self, random: f64) -> Duration {
        self.backoff.next_delay(random)
    }

    /// Makes sure that there is a session and that its Templates have been sent, so that the first
    /// records need not wait for that. `now` is in seconds.
    ///
    /// After an error the session is over, as after one of [`Self::flush`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::flush`].
    pub async fn open(&mut self, now: u32) -> Result<(), SessionError> {
        let opened = self.connect(now).await;
        opened.inspect_err(|_| self.lose_session())
    }

    /// Sends all that waits, in a new session if there is none. `now` is in seconds.
    ///
    /// After an error the session is over; what has not left still waits, and may be sent by
    /// another call after [`Self::next_delay`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing and sends nothing twice.
    pub async fn flush(&mut self, now: u32) -> Result<(), SessionError> {
        let sent = self.send_pending(now).await;
        sent.inspect_err(|_| self.lose_session())
    }

    /// Sends all that waits, as often as it takes. `failed` learns of each error, and of the delay
    /// before the next attempt.
    pub async fn deliver(
        &mut self,
        clock: impl Fn() -> u32,
        random: impl Fn() -> f64,
        mut failed: impl FnMut(&SessionError, Duration),
    ) {
        while let Err(error) = self.flush(clock()).await {
            let delay = self.next_delay(random());
            failed(&error, delay);
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits until the collector ends the session, so that the next one can be opened before there
    /// is something to send. Waits forever if there is none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn closed(&mut self) -> SessionError {
        let Some((session, _)) = &mut self.session else { return future::pending().await };
        let ended = session.closed().await;
        self.lose_session();
        ended
    }

    /// Ends the session so that the collector gets everything that was written. What was not still
    /// waits.
    pub async fn close(&mut self) -> Result<(), SessionError> {
        let Some(session) = self.end_session() else { return Ok(()) };
        session.close().await.inspect_err(|_| {
            self.counters.sessions_lost += 1;
            self.counters.records_in_doubt += self.doubt.records();
        })
    }

    /// Sends to another destination from now on. A session with the one before is ended as by
    /// [`Self::close`], and what has not left waits for the new one.
    pub async fn redirect(
        &mut self,
        destination: Destination,
        messages: Messages,
    ) -> Result<(), SessionError> {
        self.settle();
        self.destination = destination;
        self.messages = messages;
        self.backoff.reset();
        self.close().await
    }

    /// Returns where messages are sent.
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Drops the session where it is, and returns the records that have not left in a message
    /// written whole.
    pub fn abandon(&mut self) -> Vec<E::Record> {
        self.end_session();
        std::mem::take(&mut self.pending)
    }

    async fn connect(&mut self, now: u32) -> Result<(), SessionError> {
        self.leave_ended_session().await;
        if self.session.is_none() {
            let templates = self.export.templates();
            let outbox = Outbox::begin(self.messages, templates, now, Instant::now())?;
            let opened = ExportSession::open(&self.destination).await;
            let session = opened.inspect_err(|_| self.counters.connect_failures += 1)?;
            self.counters.sessions += 1;
            self.doubt = Doubt::default();
            self.session = Some((session, outbox));
        }
        self.write().await
    }

    async fn send_pending(&mut self, now: u32) -> Result<(), SessionError> {
        self.connect(now).await?;
        if self.pending.is_empty() {
            return Ok(());
        }
        self.fill(now)?;
        self.write().await?;
        // Only a collector that takes records is worth an eager second try.
        self.backoff.reset();
        Ok(())
    }

    /// Puts all that waits into the outbox, behind the Templates if it is time for them again.
    fn fill(&mut self, now: u32) -> Result<(), EncodeError> {
        let Some((session, outbox)) = &mut self.session else { return Ok(()) };
        if self.messages.refresh.is_some() && session.take_refused() {
            outbox.add(self.export.templates());
        }
        self.counters.refreshes += u64::from(outbox.templates(now, Instant::now())?);
        let mut refused = 0;
        self.pending.retain(|record| {
            let encoded =
                outbox.record(|encoder, out| self.export.encode(record, encoder, now, out));
            refused += u64::from(encoded.is_err());
            encoded.map_err(|error| self.export.refused(record, error)).is_ok()
        });
        self.counters.records_refused += refused;
        outbox.finish();
        Ok(())
    }

    /// Writes what is in the outbox.
    async fn write(&mut self) -> Result<(), SessionError> {
        let Some((session, outbox)) = &mut self.session else { return Ok(()) };
        let (messages, written) = outbox.unwritten();
        session.write(messages, written).await?;
        self.settle();
        Ok(())
    }

    /// Forgets the records of messages that have been written whole.
    fn settle(&mut self) {
        let Some((_, outbox)) = &mut self.session else { return };
        let whole = outbox.whole();
        if whole.count == 0 {
            return;
        }
        self.export.sent(whole.messages);
        let (bytes, count, records) = (whole.messages.len(), whole.count, whole.records);
        outbox.forget(bytes, count, records);
        self.counters.messages += count;
        self.counters.records += u64::from(records);
        self.doubt.written(records.into(), Instant::now());
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        self.export.done(self.pending.drain(..records.min(self.pending.len())));
    }

    /// What is written to a session that the collector has ended would be lost.
    async fn leave_ended_session(&mut self) {
        let Some((session, _)) = &mut self.session else { return };
        if session.ended().await.is_some() {
            self.lose_session();
        }
    }

    /// Gives up a session that this process did not want to end.
    fn lose_session(&mut self) {
        if self.end_session().is_some() {
            self.counters.sessions_lost += 1;
            self.counters.records_in_doubt += self.doubt.records();
        }
    }

    /// Takes leave of the session, if there is one: what was written is settled.
    fn end_session(&mut self) -> Option<ExportSession> {
        self.settle();
        let (session, _) = self.session.take()?;
        self.counters.messages_unsendable += session.unsendable();
        Some(session)
    }
}
