//! The bytes of a stream as Flow Records.
//!
//! A stream is `ExportRequest`s one behind the other. They are not put together: each flow is read
//! as soon as all of it is here, so that a stream costs no more memory than one flow, whatever the
//! length of its messages.

use std::ops::Range;
use std::sync::Arc;

use flow::{FlowRecord, Interner, NameRoom, Plan};

use crate::PREFIX;
use crate::decode::decode;
use crate::wire::{BYTES, Reader};

/// The longest `Flow` that is read. Longer ones are passed over and counted.
pub const FLOW_LIMIT: usize = 64 * 1024;
/// Distinct names a stream shares among its records. Beyond, they are shared anew.
const NAMES_PER_STREAM: usize = 65_536;
/// A flow of use has hardly fewer bytes; as many records are made room for at once.
const SHORT_FLOW: usize = 128;
/// The longest key and length before a `Flow`.
const HEADER_LIMIT: usize = 20;

/// Why the bytes of a stream are no messages from somewhere on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("message is compressed, which was not agreed upon")]
    Compressed,
    #[error("message ends within a field")]
    Truncated,
    #[error("number has more than 64 bits")]
    Varint,
    #[error("field is of wire type {0}, which no longer exists or never did")]
    WireType(u8),
    #[error("field has the number 0")]
    FieldZero,
    #[error("stream ends {0} bytes before its last message does")]
    Cut(u32),
}

/// Flows of one sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The Observation Domain.
    pub domain: u32,
    pub records: Vec<FlowRecord>,
}

/// What was counted on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// `ExportRequest`s that began.
    pub messages: u64,
    /// Flows that came, of use or not.
    pub flows: u64,
    /// Of these, flows that do not say between which addresses they are.
    pub without_addresses: u64,
    /// Of these, flows longer than [`FLOW_LIMIT`].
    pub too_long: u64,
}

/// Reads a stream of `ExportRequest`s.
#[derive(Debug)]
pub struct Requests {
    /// Bytes that came, and how many of them have been read.
    buffer: Vec<u8>,
    read: usize,
    /// Bytes of the present message that have not been read.
    left: u32,
    /// Bytes of it that are to be passed over.
    passed: u32,
    /// A flow of another domain than the batch before it.
    ahead: Option<(u32, FlowRecord)>,
    names: Interner,
    counted: Counted,
}

impl Default for Requests {
    fn default() -> Self {
        Self::naming(Interner::new(NAMES_PER_STREAM))
    }
}

impl Requests {
    /// Reads a stream that shares the memory for its names with others.
    pub fn within(room: Arc<NameRoom>) -> Self {
        Self::naming(Interner::within(NAMES_PER_STREAM, room))
    }

    fn naming(names: Interner) -> Self {
        Self {
            buffer: Vec::new(),
            read: 0,
            left: 0,
            passed: 0,
            ahead: None,
            names,
            counted: Counted::default(),
        }
    }

    /// Adds bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes are here, for whoever makes room for what they tell: no record has fewer
    /// than [`Plan::SHORTEST_FLOW`].
    pub fn waiting(&self) -> usize {
        let ahead = if self.ahead.is_some() { Plan::SHORTEST_FLOW } else { 0 };
        self.buffer.len() - self.read + ahead
    }

    /// Reads flows as long as they are of one Observation Domain, and hands out those of use. With
    /// none, all that is here has been read.
    ///
    /// After an error, which ends the stream, what was read before is in `batch` all the same.
    pub fn take(&mut self, batch: &mut Batch) -> Result<(), Malformed> {
        if let Some((domain, record)) = self.ahead.take() {
            batch.domain = domain;
            batch.records.push(record);
        }
        while self.ahead.is_none() {
            let Some(flow) = self.next_flow()? else { break };
            self.read_flow(flow, batch)?;
        }
        // What waits is bounded by its number, not by what growing has set aside.
        batch.records.shrink_to_fit();
        Ok(())
    }

    /// Reads the flow at a place of the buffer, and adds it to `batch` or keeps it for the next one.
    fn read_flow(&mut self, flow: Range<usize>, batch: &mut Batch) -> Result<(), Malformed> {
        let is_first = batch.records.is_empty();
        if is_first {
            // The others are presumably not much shorter.
            let others = (self.buffer.len() - flow.end) / flow.len().max(SHORT_FLOW);
            batch.records.reserve_exact(1 + others + others / 4);
        }
        // Read where it stays: it is large.
        let record = batch.records.push_mut(FlowRecord::default());
        let read = decode(Reader::new(&self.buffer, flow), record, &mut self.names);
        let told = read.inspect_err(|_| drop(batch.records.pop()))?;
        self.counted.flows += 1;
        if told.is_flow() && (is_first || told.domain == batch.domain) {
            batch.domain = told.domain;
            return Ok(());
        }
        let record = batch.records.pop();
        if told.is_flow() {
            self.ahead = record.map(|record| (told.domain, record));
        } else {
            self.counted.without_addresses += 1;
        }
        Ok(())
    }

    /// Says whether the stream may end here.
    pub fn end(&self) -> Result<(), Malformed> {
        let unread = u32::try_from(self.buffer.len() - self.read).unwrap_or(u32::MAX);
        let missing = if self.left == 0 { unread.min(1) } else { self.left.saturating_sub(unread) };
        if missing == 0 { Ok(()) } else { Err(Malformed::Cut(missing)) }
    }

    /// What was counted since this was last asked.
    pub fn take_counted(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }

    /// The names of this stream.
    pub fn names(&self) -> &Interner {
        &self.names
    }

    /// Reads up to the next flow that is here whole, and returns where it is.
    fn next_flow(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        loop {
            self.pass_over();
            if self.passed > 0 {
                return Ok(None);
            }
            if self.left == 0 {
                if !self.begin_message()? {
                    return Ok(None);
                }
                continue;
            }
            let Some(field) = self.field()? else { return Ok(None) };
            match field {
                Field::Flow(length) if length as usize > FLOW_LIMIT => {
                    self.counted.flows += 1;
                    self.counted.too_long += 1;
                    self.passed = length;
                }
                Field::Flow(length) => {
                    let start = self.read;
                    self.advance(length);
                    return Ok(Some(start..self.read));
                }
                Field::Other(length) => self.passed = length,
            }
        }
    }

    fn pass_over(&mut self) {
        let here = u32::try_from(self.buffer.len() - self.read).unwrap_or(u32::MAX);
        let passed = self.passed.min(here);
        self.passed -= passed;
        self.advance(passed);
    }

    /// Takes bytes of the present message for read.
    fn advance(&mut self, bytes: u32) {
        self.read += bytes as usize;
        self.left = self.left.saturating_sub(bytes);
    }

    /// Returns false if that is yet to come.
    fn begin_message(&mut self) -> Result<bool, Malformed> {
        let Some(prefix) = self.buffer[self.read..].first_chunk::<PREFIX>() else {
            return Ok(false);
        };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(Malformed::Compressed);
        }
        self.read += PREFIX;
        self.left = u32::from_be_bytes(length);
        self.counted.messages += 1;
        Ok(true)
    }

    /// Reads key and length of the next field, if they are here, and if it is a flow that is to be
    /// read, only once that is here as well.
    fn field(&mut self) -> Result<Option<Field>, Malformed> {
        let here = &self.buffer[self.read..];
        let is_last = here.len() >= self.left as usize;
        let here = if is_last { &here[..self.left as usize] } else { here };
        let (field, header) = match header(here) {
            Err(Malformed::Truncated) if !is_last && here.len() < HEADER_LIMIT => return Ok(None),
            read => read?,
        };
        let (Field::Flow(length) | Field::Other(length)) = field;
        let needed = u64::from(header) + u64::from(length);
        if needed > u64::from(self.left) {
            return Err(Malformed::Truncated);
        }
        let is_read = matches!(field, Field::Flow(length) if length as usize <= FLOW_LIMIT);
        if is_read && needed > here.len() as u64 {
            return Ok(None);
        }
        self.advance(header);
        Ok(Some(field))
    }
}

/// A field of an `ExportRequest`, by the length of its value.
enum Field {
    Flow(u32),
    Other(u32),
}

/// Reads key and length of a field, and says how many bytes they had.
fn header(bytes: &[u8]) -> Result<(Field, u32), Malformed> {
    let mut reader = Reader::of(bytes);
    let (number, wire_type) = reader.key()?;
    let length = match wire_type {
        BYTES => u32::try_from(reader.varint()?).map_err(|_| Malformed::Truncated)?,
        0 => reader.varint().map(|_| 0)?,
        1 => 8,
        5 => 4,
        other => return Err(Malformed::WireType(other)),
    };
    let header =
        u32::try_from(bytes.len() - reader.rest().len()).map_err(|_| Malformed::Truncated)?;
    let is_flow = number == 1 && wire_type == BYTES;
    Ok((if is_flow { Field::Flow(length) } else { Field::Other(length) }, header))
}
