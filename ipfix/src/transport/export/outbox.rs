//! The messages of one Transport Session that have not been written whole. Nobody waits in here.
//!
//! How many records a message has is not noted anywhere: the sequence number of each header says
//! how many records are in the messages before it.

use std::time::{Duration, Instant};

use super::Messages;
use crate::{
    encode::{EncodeError, Encoder, TemplateRefresh},
    message::{MessageHeader, message_length},
    reader::Reader,
    template::Template,
};

#[derive(Debug)]
pub(super) struct Outbox {
    encoder: Encoder,
    refresh: TemplateRefresh,
    bytes: Vec<u8>,
    written: usize,
    /// The sequence number of the first message in here.
    first: u32,
    /// Messages of this session that are not in here any more.
    gone: u64,
}

impl Outbox {
    /// Begins a session with its Templates, at `now` by the clock on the wall.
    pub(super) fn begin(
        messages: Messages,
        templates: Vec<Template>,
        now: u32,
        at: Instant,
    ) -> Result<Self, EncodeError> {
        let (every, after) = messages.refresh.map_or((Duration::MAX, None), |refresh| {
            (refresh.after, Some(u64::from(refresh.after_messages)))
        });
        let mut outbox = Self {
            encoder: Encoder::new(messages.domain, messages.max_length, messages.packing),
            refresh: TemplateRefresh::new(every, after),
            bytes: Vec::new(),
            written: 0,
            first: 0,
            gone: 0,
        };
        outbox.add(templates);
        outbox.templates(now, at)?;
        Ok(outbox)
    }

    /// Makes Templates due, however lately they were sent.
    pub(super) fn add(&mut self, templates: Vec<Template>) {
        for template in templates {
            self.refresh.add(template);
        }
    }

    /// Adds a message for each Template that is due. Returns whether any was.
    pub(super) fn templates(&mut self, now: u32, at: Instant) -> Result<bool, EncodeError> {
        let mut any = false;
        for template in self.refresh.due(at, self.gone) {
            self.encoder.template(now, template, &mut self.bytes)?;
            any = true;
        }
        Ok(any)
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
        self.gone += count;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encode::Packing, registry::iana, template::TemplateId, transport::export::Refresh,
    };

    #[test]
    fn templates_are_due_by_time_if_they_are_to_be_sent_again_at_all() {
        let template = Template::new(TemplateId::MIN, [iana::OCTET_DELTA_COUNT]);
        let refresh = Refresh { after: Duration::from_mins(1), after_messages: 1000 };
        for (refresh, again) in [(Some(refresh), true), (None, false)] {
            let messages = Messages { domain: 7, packing: Packing::Full, max_length: 100, refresh };
            let start = Instant::now();
            let mut outbox = Outbox::begin(messages, vec![template.clone()], 0, start).unwrap();
            let mut later = |seconds| outbox.templates(0, start + Duration::from_secs(seconds));
            assert_eq!(later(59), Ok(false));
            assert_eq!(later(60), Ok(again));
            assert_eq!(later(61), Ok(false));
            assert_eq!(later(u64::from(u32::MAX)), Ok(again));
        }
    }
}
