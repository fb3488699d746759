//! The messages of one Transport Session that have not been written whole. Nobody waits in here.
//!
//! How many records a message has is not noted anywhere: the sequence number of each header says
//! how many records are in the messages before it.

use super::Messages;
use crate::{
    encode::{EncodeError, Encoder},
    message::{MessageHeader, message_length},
    reader::Reader,
    template::Template,
};

#[derive(Debug)]
pub(super) struct Outbox {
    encoder: Encoder,
    messages: Messages,
    bytes: Vec<u8>,
    written: usize,
    /// The sequence number of the first message in here.
    first: u32,
    /// When Templates were sent, in seconds, and how many messages since.
    refreshed: u32,
    messages_since: u64,
}

impl Outbox {
    /// Begins a session with its Templates.
    pub(super) fn begin(
        messages: Messages,
        templates: &[Template],
        now: u32,
    ) -> Result<Self, EncodeError> {
        let encoder = Encoder::new(messages.domain, messages.max_length, messages.packing);
        let mut outbox = Self {
            encoder,
            messages,
            bytes: Vec::new(),
            written: 0,
            first: 0,
            refreshed: now,
            messages_since: 0,
        };
        outbox.templates(templates, now)?;
        Ok(outbox)
    }

    /// Adds a message for each Template.
    pub(super) fn templates(
        &mut self,
        templates: &[Template],
        now: u32,
    ) -> Result<(), EncodeError> {
        for template in templates {
            self.encoder.template(now, template, &mut self.bytes)?;
        }
        self.refreshed = now;
        self.messages_since = 0;
        Ok(())
    }

    /// Returns true if Templates should be sent again.
    pub(super) fn is_due(&self, now: u32) -> bool {
        self.messages.refresh.is_some_and(|refresh| {
            // A clock that was set back makes for a very long time, and one refresh too many.
            let seconds = u64::from(now.wrapping_sub(self.refreshed));
            seconds >= refresh.after.as_secs()
                || self.messages_since >= u64::from(refresh.after_messages)
        })
    }

    /// Adds one record, which `encode` encodes.
    pub(super) fn record(
        &mut self,
        encode: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        encode(&mut self.encoder, &mut self.bytes)
    }

    /// Closes the last message.
    pub(super) fn finish(&mut self) {
        self.encoder.finish(&mut self.bytes);
    }

    /// Returns the messages, and how many of their bytes have been written.
    pub(super) const fn unwritten(&mut self) -> (&[u8], &mut usize) {
        (self.bytes.as_slice(), &mut self.written)
    }

    /// Returns what has been written whole since the last call of [`Self::forget`].
    pub(super) fn whole(&self) -> Whole<'_> {
        let (bytes, count) = whole_messages(&self.bytes, self.written);
        let (messages, rest) = self.bytes.split_at_checked(bytes).unwrap_or_default();
        let next = match MessageHeader::decode(&mut Reader::new(rest)) {
            Ok(header) => header.sequence_number,
            Err(_) => self.encoder.sequence_number(),
        };
        Whole { messages, count, records: next.wrapping_sub(self.first) }
    }

    /// Forgets the first `bytes`, which are `count` messages with `records`.
    pub(super) fn forget(&mut self, bytes: usize, count: u64, records: u32) {
        self.bytes.drain(..bytes);
        self.written -= bytes;
        self.first = self.first.wrapping_add(records);
        self.messages_since += count;
    }
}

/// Messages that have been written whole.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) messages: &'a [u8],
    pub(super) count: u64,
    /// How many records are in them.
    pub(super) records: u32,
}

/// Returns how many bytes the messages take that end within the first `written` bytes of
/// `messages`, and how many they are.
pub fn whole_messages(messages: &[u8], written: usize) -> (usize, u64) {
    let (mut end, mut count) = (0, 0);
    while let Some(header) = messages.get(end..).and_then(<[u8]>::first_chunk)
        && let Ok(length) = message_length(header)
        && end + usize::from(length) <= written
    {
        end += usize::from(length);
        count += 1;
    }
    (end, count)
}
