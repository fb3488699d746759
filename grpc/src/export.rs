//! The exporter's side: records leave over one stream at a time.
//!
//! In the shape of [`ipfix::transport::export::ExportingProcess`], and with its promise: a message
//! that was handed to the stream is never sent again. Its records may be lost with the stream, but
//! none is told twice. A message is handed over whole or not at all, once the server's window has
//! room for it.
//!
//! A server has its say at the end of a stream only, also one that wants none of it. So the first
//! message of each is on trial: nothing follows it for a second, and a server that refuses the
//! stream as such meanwhile ([`ExportError::refusal`]) has read none of it, so it waits again. What
//! went into one that is refused later is gone, and [`Export::refused_late`] says so.

mod error; // why a stream is over
mod session; // one stream

use std::collections::VecDeque;
use std::future;
use std::time::Duration;

use bytes::Bytes;
use ipfix::transport::export::ExportCounters;
use ipfix::transport::{Backoff, Destination, Transport};
use tokio::select;
use tokio::time::{Instant, sleep_until};

use crate::{ALPN, PREFIX};
pub use error::{ExportError, Refusal};
use session::{Session, State};

/// The longest message, prefix included: less than any server's window, and far less than the
/// 4 MiB that servers take.
const MESSAGE_LIMIT: usize = 32 * 1024;
/// As those of IPFIX.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// How long the first message of a stream is on trial. gRPC's servers refuse at once; this leaves
/// time to a busy one.
const TRIAL: Duration = Duration::from_secs(1);

/// What an Exporting Process sends.
pub trait Export: Send {
    /// What one `Flow` is made of.
    type Record: Send;

    /// Appends one record with [`crate::encode`].
    fn encode(&self, record: &Self::Record, export_time_ns: u64, domain: u32, out: &mut Vec<u8>);

    /// Takes records back that have been handed to a stream. What it does not take is dropped.
    fn done(&mut self, _records: impl Iterator<Item = Self::Record>) {}

    /// Learns that no message can hold `record`, which is dropped.
    fn refused(&mut self, _record: &Self::Record) {}

    /// Learns that the server has refused a stream as such after its trial. `records` of it were
    /// taken for sent.
    fn refused_late(&mut self, _why: Refusal, _records: u64) {}
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// Nothing was handed to it.
    Ahead,
    /// The message in the outbox was, and nothing more will be until then.
    Until(Instant),
    Over,
}

/// Sends records to one destination.
#[derive(Debug)]
pub struct ExportingProcess<E: Export> {
    destination: Destination,
    domain: u32,
    export: E,
    backoff: Backoff,
    session: Option<Session>,
    trial: Trial,
    /// Records handed to the stream and taken for sent.
    handed: u64,
    /// Records that have not been handed to a stream, or to one on trial.
    pending: VecDeque<E::Record>,
    /// Of these, the first ones as a message.
    outbox: Option<(Bytes, usize)>,
    counters: ExportCounters,
}

impl<E: Export> ExportingProcess<E> {
    /// Sends for the Observation Domain `domain`. Connects with the first records.
    pub fn new(destination: Destination, domain: u32, export: E) -> Self {
        Self {
            destination: speaking(destination),
            domain,
            export,
            backoff: Backoff::new(FIRST_DELAY, LAST_DELAY),
            session: None,
            trial: Trial::Ahead,
            handed: 0,
            pending: VecDeque::new(),
            outbox: None,
            counters: ExportCounters::default(),
        }
    }

    /// Adds a record to what [`Self::flush`] sends. How many there may be is for the caller to
    /// limit, who alone can stop their source.
    pub fn push(&mut self, record: E::Record) {
        self.pending.push_back(record);
    }

    /// Returns how many records wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether there is a stream, as far as anyone has looked.
    pub const fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Returns what has been done so far, over all streams.
    pub const fn counters(&self) -> ExportCounters {
        self.counters
    }

    /// Returns where records go, as `host:port`.
    pub fn address(&self) -> &str {
        &self.destination.address
    }

    /// Returns what was given to [`Self::new`].
    pub const fn export(&self) -> &E {
        &self.export
    }

    /// What makes records, to be changed between messages.
    pub const fn export_mut(&mut self) -> &mut E {
        &mut self.export
    }

    /// Returns how long to wait after an error; see [`Backoff::next_delay`].
    pub fn next_delay(&mut self, random: f64) -> Duration {
        self.backoff.next_delay(random)
    }

    /// Makes sure that there is a stream. After an error there is none.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::flush`].
    pub async fn open(&mut self) -> Result<(), ExportError> {
        self.leave_ended_session().await;
        if self.session.is_none() {
            let opened = Session::open(&self.destination).await;
            let session = opened.inspect_err(|_| self.counters.connect_failures += 1)?;
            self.counters.sessions += 1;
            self.session = Some(session);
            (self.trial, self.handed) = (Trial::Ahead, 0);
        }
        Ok(())
    }

    /// Sends all that waits, in a new stream if there is none. `now_ns` is since 1970.
    ///
    /// After an error the stream is over; what has not been handed to it still waits, and may be
    /// sent by another call after [`Self::next_delay`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing and sends nothing twice.
    pub async fn flush(&mut self, now_ns: u64) -> Result<(), ExportError> {
        let sent = self.send_pending(now_ns).await;
        sent.inspect_err(|error| self.lose_session(error))
    }

    /// Waits until the server ends the stream, so that the next one can be opened before there is
    /// something to send. Waits forever if there is none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn closed(&mut self) -> ExportError {
        let Some(session) = &mut self.session else { return future::pending().await };
        let ended = session.ended().await;
        self.lose_session(&ended);
        ended
    }

    /// Ends the stream, and waits until the server has said that it took everything. What was not
    /// handed over still waits.
    pub async fn close(&mut self) -> Result<(), ExportError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let closed = session.close().await.inspect_err(|_| self.counters.sessions_lost += 1);
        self.end_trial(closed.as_ref().err());
        closed
    }

    /// Sends to another destination from now on. The stream to the one before is ended as by
    /// [`Self::close`], and what has not been handed to it waits for the new one.
    pub async fn redirect(&mut self, destination: Destination) -> Result<(), ExportError> {
        self.destination = speaking(destination);
        self.backoff.reset();
        self.close().await
    }

    /// Drops the stream where it is, and returns the records that have not been handed to one.
    pub fn abandon(&mut self) -> Vec<E::Record> {
        self.session = None;
        self.end_trial(None);
        self.outbox = None;
        std::mem::take(&mut self.pending).into()
    }

    async fn send_pending(&mut self, now_ns: u64) -> Result<(), ExportError> {
        self.open().await?;
        self.wait_for_trial().await?;
        while let Some((message, _)) = self.message(now_ns) {
            let Some(session) = &mut self.session else { return Ok(()) };
            session.hand_over(&message).await?;
            // Nothing waits between the two, so that no message is handed over twice.
            if self.trial == Trial::Ahead {
                self.trial = Trial::Until(Instant::now() + TRIAL);
                self.wait_for_trial().await?;
            } else {
                self.settle();
            }
        }
        Ok(())
    }

    /// Waits until the server has refused the stream, or has had the time to.
    async fn wait_for_trial(&mut self) -> Result<(), ExportError> {
        let (Trial::Until(end), Some(session)) = (self.trial, &mut self.session) else {
            return Ok(());
        };
        select! {
            biased;
            ended = session.ended() => return Err(ended),
            () = sleep_until(end) => {}
        }
        self.end_trial(None);
        // Only a server that takes records is worth an eager second try.
        self.backoff.reset();
        Ok(())
    }

    /// Takes the message on trial for handed over, unless `error` says that nobody has read it, nor
    /// any other of the stream.
    fn end_trial(&mut self, error: Option<&ExportError>) {
        let is_handed = matches!(self.trial, Trial::Until(_));
        self.trial = Trial::Over;
        match error.and_then(ExportError::refusal) {
            Some(why) if self.handed > 0 => self.export.refused_late(why, self.handed),
            None if is_handed => self.settle(),
            _ => {}
        }
    }

    /// Forgets the records in the outbox, which have been handed over.
    fn settle(&mut self) {
        let Some((_, records)) = self.outbox.take() else { return };
        self.export.done(self.pending.drain(..records));
        self.counters.messages += 1;
        self.counters.records += records as u64;
        self.handed += records as u64;
    }

    /// The first records as a message, and how many they are.
    fn message(&mut self, now_ns: u64) -> Option<(Bytes, usize)> {
        let Self { pending, outbox, counters, export, domain, .. } = self;
        while outbox.is_none() && !pending.is_empty() {
            let (message, records) = packed(pending.iter(), |record, out| {
                export.encode(record, now_ns, *domain, out);
            });
            if records > 0 {
                *outbox = Some((message, records));
            } else if let Some(refused) = pending.pop_front() {
                // No message can hold it, which must not keep the others waiting.
                export.refused(&refused);
                counters.records_refused += 1;
            }
        }
        outbox.clone()
    }

    /// What is handed to a stream that the server has ended would be lost. One that is about to
    /// end it is left in good order.
    async fn leave_ended_session(&mut self) {
        let Some(session) = &mut self.session else { return };
        match session.state().await {
            State::Open => {}
            State::Unwanted => drop(self.close().await),
            State::Ended(error) => self.lose_session(&error),
        }
    }

    /// Gives up a stream that this process did not want to end.
    fn lose_session(&mut self, error: &ExportError) {
        self.counters.sessions_lost += u64::from(self.session.take().is_some());
        self.end_trial(Some(error));
    }
}

/// Puts as many of the first records into a message as it holds.
fn packed<'a, R: 'a>(
    records: impl Iterator<Item = &'a R>,
    encode: impl Fn(&R, &mut Vec<u8>),
) -> (Bytes, usize) {
    let mut message = vec![0; PREFIX];
    let mut count = 0;
    for record in records {
        let before = message.len();
        encode(record, &mut message);
        if message.len() > MESSAGE_LIMIT {
            message.truncate(before);
            break;
        }
        count += 1;
    }
    let length = u32::try_from(message.len() - PREFIX).unwrap_or(u32::MAX);
    message[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    (message.into(), count)
}

/// Has TLS say which protocol is meant.
fn speaking(mut destination: Destination) -> Destination {
    if let Transport::Tls(tls) = destination.transport {
        destination.transport = Transport::Tls(tls.speaking(ALPN));
    }
    destination
}

#[cfg(test)]
mod tests;
