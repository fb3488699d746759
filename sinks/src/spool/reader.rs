//! Records from a place in the log on, from one segment to the next.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow::FlowRecord;

use super::block::{Blocks, Found, Header};
use super::log::Log;
use super::{codec, files};

#[derive(Debug)]
pub(super) struct Reader {
    log: Arc<Log>,
    /// Whether what it comes upon is counted: what it reads is somebody's loss.
    counting: bool,
    codec: codec::Reader,
    open: Option<Open>,
}

/// The segment that is being read.
#[derive(Debug)]
struct Open {
    /// The number of its first record, which is its name.
    first: u64,
    blocks: Blocks<File>,
    /// A block that was read and that begins behind what was asked for.
    ahead: Option<Header>,
}

#[derive(Debug)]
pub(super) enum Read {
    /// From the record that was asked for on.
    Records(Vec<FlowRecord>),
    /// There are none before this one.
    Gap { to: u64 },
}

impl Reader {
    pub(super) fn new(log: Arc<Log>) -> Self {
        Self { log, counting: true, codec: codec::Reader::new(), open: None }
    }

    /// For a look at what others are going to read.
    pub(super) fn uncounted(log: Arc<Log>) -> Self {
        Self { counting: false, ..Self::new(log) }
    }

    /// Goes back to wherever it is asked for next.
    pub(super) fn rewind(&mut self) {
        self.open = None;
    }

    /// Reads what the log has from record `from` on, up to one block. Records up to `until`, which
    /// is above, have been written, if they could be.
    ///
    /// Fails if no file can be opened now; a file that cannot be read is passed over.
    pub(super) fn read(&mut self, from: u64, until: u64) -> io::Result<Read> {
        loop {
            let Some(open) = self.open(from)? else { return Ok(Read::Gap { to: until }) };
            let first = open.first;
            let found = match open.ahead.take() {
                Some(header) => Ok(Found::Block(header)),
                None => open.blocks.next(from),
            };
            match found {
                Ok(Found::Block(header)) if header.first > from => {
                    let to = header.first.min(until);
                    open.ahead = Some(header);
                    return Ok(Read::Gap { to });
                }
                Ok(Found::Block(header)) => return Ok(self.records(&header, from, until)),
                Ok(Found::Damaged(header)) => return Ok(self.damaged(&header, until)),
                Ok(Found::End) => {}
                Err(error) => tracing::error!(%error, segment = first, "spool cannot be read"),
            }
            if !self.leave(first) {
                return Ok(Read::Gap { to: until });
            }
        }
    }

    /// The segment in which `from` is, unless one is being read.
    fn open(&mut self, from: u64) -> io::Result<Option<&mut Open>> {
        while self.open.is_none() {
            let Some(first) = self.log.segment_of(from) else { return Ok(None) };
            self.begin(first)?;
        }
        Ok(self.open.as_mut())
    }

    fn begin(&mut self, first: u64) -> io::Result<()> {
        match File::open(files::path(&self.log.dir, first)) {
            Ok(file) => {
                self.open = Some(Open { first, blocks: Blocks::new(file), ahead: None });
                Ok(())
            }
            // Dropped in the meantime, or by somebody else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.log.segment_of(first) == Some(first) {
                    self.log.lose(first);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on with the segment after this one, if there is one.
    fn leave(&mut self, first: u64) -> bool {
        let Some(after) = self.log.segment_after(first) else { return false };
        if let Some(mut open) = self.open.take() {
            let skipped = if self.counting { open.blocks.take_skipped() } else { 0 };
            self.log.counters.bytes_skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        // One that cannot be opened now is found by number later.
        self.begin(after).unwrap_or_default();
        true
    }

    fn records(&mut self, header: &Header, from: u64, until: u64) -> Read {
        let mut records = Vec::with_capacity(header.records as usize);
        let Some(open) = &self.open else { return Read::Gap { to: until } };
        let whole = self.codec.read(open.blocks.content(), &mut records);
        if !whole || records.len() != header.records as usize {
            return self.damaged(header, until);
        }
        let known = usize::try_from(from - header.first).unwrap_or(usize::MAX);
        records.drain(..known.min(records.len()));
        Read::Records(records)
    }

    fn damaged(&self, header: &Header, until: u64) -> Read {
        self.log.counters.blocks_damaged.fetch_add(self.counting.into(), Ordering::Relaxed);
        Read::Gap { to: header.end().min(until) }
    }
}
