//! A sink that sends JSON lines over a connection.
//!
//! As over IPFIX, a line that was written whole is never written again, and one that was cut off
//! is: who reads lines cannot have taken it for one.

use std::time::Instant;

use flow::Batch;
use ipfix::transport::export::{Doubt, ExportSession};
use ipfix::transport::{Destination, SessionError};
use tokio::sync::watch;

use super::Options;
use super::lines::Lines;
use crate::way::destination;
use crate::{Deeds, OptionsError, Sink, SinkError};

/// The buffer for a batch is given back beyond this size.
const BUFFER_SIZE: usize = 4 << 20;

/// What a [`JsonSink`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonCounters {
    /// Connections that were made.
    pub sessions: u64,
    /// Connections that ended before this process ended them.
    pub sessions_lost: u64,
    pub connect_failures: u64,
    /// Lines written whole.
    pub records: u64,
    /// Among these, lines that no datagram can hold, which were dropped.
    pub records_unsendable: u64,
    /// Among these, those last written to a connection before it was lost: nobody can say whether
    /// they were read.
    pub records_in_doubt: u64,
}

/// Sends records as JSON, a line for each; over UDP, a datagram.
#[derive(Debug)]
pub struct JsonSink {
    destination: Destination,
    lines: Lines,
    session: Option<ExportSession>,
    doubt: Doubt,
    /// Lines that have not been written whole, and how much of them has been.
    buffer: Vec<u8>,
    written: usize,
    done: JsonCounters,
    counters: watch::Sender<JsonCounters>,
    /// Unsendable lines that nobody has asked for yet.
    let_go: u64,
}

impl JsonSink {
    /// Fails if nothing could ever be sent like this. Connects with the first records.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        Ok(Self {
            destination: destination(&options.to)?,
            lines: Lines::new(options.contents, options.cluster_id),
            session: None,
            doubt: Doubt::default(),
            buffer: Vec::new(),
            written: 0,
            done: JsonCounters::default(),
            counters: watch::Sender::default(),
            let_go: 0,
        })
    }

    /// What has been done so far.
    pub fn counters(&self) -> watch::Receiver<JsonCounters> {
        self.counters.subscribe()
    }

    async fn send(&mut self) -> Result<(), SessionError> {
        // What is written to a connection that the other end has closed is taken, and lost.
        if let Some(session) = &mut self.session
            && session.ended().await.is_some()
        {
            self.lose_session();
        }
        let session = if let Some(session) = &mut self.session {
            session
        } else {
            let opened = ExportSession::open(&self.destination).await;
            let opened = opened.inspect_err(|_| self.done.connect_failures += 1)?;
            self.done.sessions += 1;
            self.doubt = Doubt::default();
            self.session.insert(opened)
        };
        let unsendable = session.unsendable();
        let sent = session
            .write_parts(&self.buffer, &mut self.written, |lines, start| Ok(line(lines, start)))
            .await;
        let unsendable = session.unsendable() - unsendable;
        self.done.records_unsendable += unsendable;
        self.let_go += unsendable;
        self.settle();
        sent.inspect_err(|_| self.lose_session())
    }

    /// Forgets lines that have been written whole.
    fn settle(&mut self) {
        let written = self.buffer.get(..self.written).unwrap_or_default();
        let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let ends = written.split(|byte| *byte == b'\n').count() - 1;
        let lines = u64::try_from(ends).unwrap_or(u64::MAX);
        self.buffer.drain(..whole);
        self.buffer.shrink_to(BUFFER_SIZE);
        self.written -= whole;
        if lines > 0 {
            self.done.records += lines;
            self.doubt.written(lines, Instant::now());
        }
    }

    /// Makes what has been done so far visible.
    fn count(&mut self) {
        let done = self.done;
        self.counters.send_if_modified(|seen| std::mem::replace(seen, done) != done);
    }

    fn lose_session(&mut self) {
        // The next connection begins with a whole line.
        self.written = 0;
        if self.session.take().is_some() {
            self.done.sessions_lost += 1;
            let records = self.doubt.records();
            self.done.records_in_doubt += records;
            let address = &self.destination.address;
            tracing::warn!(
                address,
                records,
                "connection was lost: nobody can say whether these records were read"
            );
        }
    }
}

impl Drop for JsonSink {
    /// An attempt that was broken off counts too.
    fn drop(&mut self) {
        self.count();
    }
}

/// The line that begins at `start`, its end included.
fn line(lines: &[u8], start: usize) -> Option<&[u8]> {
    let rest = lines.get(start..).unwrap_or_default();
    rest.split_inclusive(|byte| *byte == b'\n').next()
}

impl Sink for JsonSink {
    async fn write(&mut self, batch: &Batch, now_ms: u64) -> Result<(), SinkError> {
        // At most one batch is held.
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        let made = self.lines.append(batch, now_ms, &mut self.buffer);
        made.map_err(|error| {
            self.buffer.clear();
            SinkError::Refused { records: batch.len(), source: Box::new(error) }
        })
    }

    fn due(&self, _now_ms: u64) -> bool {
        !self.buffer.is_empty()
    }

    async fn end(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await.ok();
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let sent = self.send().await;
        self.count();
        sent.map_err(SinkError::unavailable)
    }

    fn deeds(&self) -> Option<Deeds> {
        Some(Deeds::Json(self.counters()))
    }

    fn let_go(&mut self) -> u64 {
        std::mem::take(&mut self.let_go)
    }
}
