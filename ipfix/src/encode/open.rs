//! The message being filled.
//!
//! Lengths are written last, when they are known: room is left for a header, and it is filled in as
//! its Set or message closes.

use super::template_set;
use crate::{
    message::{HEADER_LENGTH, MessageHeader, SET_HEADER_LENGTH},
    template::{Template, TemplateId},
};

/// Where the record of a message that has only this one begins.
const FIRST_RECORD: usize = HEADER_LENGTH as usize + SET_HEADER_LENGTH as usize;

/// Empty, or room for a message header followed by Sets, of which the last is still growing.
#[derive(Debug)]
pub(super) struct OpenMessage {
    domain: u32,
    /// The message, and behind it room for one more record, however much of a message it takes.
    bytes: Box<[u8]>,
    /// How much of `bytes` is the message.
    length: usize,
    export_time: u32,
    /// The number of the first record in here.
    sequence_number: u32,
    set: Option<OpenSet>,
}

/// The Set at the end of the message.
#[derive(Debug, Clone, Copy)]
struct OpenSet {
    id: u16,
    /// Where its header begins.
    start: usize,
}

/// What is needed to undo the beginning of a record.
#[derive(Debug)]
pub(super) struct RecordStart {
    length_before: usize,
    set_before: Option<OpenSet>,
    record: usize,
}

impl OpenMessage {
    pub(super) fn new(domain: u32, max_message: u16) -> Self {
        let bytes = vec![0; 2 * usize::from(max_message) + FIRST_RECORD].into();
        Self { domain, bytes, length: 0, export_time: 0, sequence_number: 0, set: None }
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Returns whether records of `template` go into the Set at the end of the message.
    #[inline]
    pub(super) fn takes(&self, template: TemplateId) -> bool {
        self.set.is_some_and(|set| set.id == template.get())
    }

    /// Returns the room for a record of at most `room` bytes.
    #[inline]
    pub(super) fn room(&mut self, room: usize) -> &mut [u8] {
        self.bytes.get_mut(self.length..).and_then(|rest| rest.get_mut(..room)).unwrap_or_default()
    }

    /// Makes the first `length` bytes of the room a part of the message.
    #[inline]
    pub(super) const fn take(&mut self, length: usize) {
        self.length += length;
    }

    pub(super) const fn set_export_time(&mut self, export_time: u32) {
        self.export_time = export_time;
    }

    /// Fills the message, which must be empty, with a Template Set of one record.
    pub(super) fn template(
        &mut self,
        export_time: u32,
        sequence_number: u32,
        template: &Template,
        field_count: u16,
    ) {
        self.begin(sequence_number);
        self.export_time = export_time;
        self.begin_set(template_set(template));
        self.put(template.id.get());
        self.put(field_count);
        if template.is_options() {
            self.put(template.scope_count);
        }
        for field in &template.fields {
            field.encode(|bytes| self.put_bytes(bytes));
        }
    }

    /// Fills the message, which must be empty, with one withdrawal (RFC 7011, section 8.1).
    pub(super) fn withdrawal(
        &mut self,
        export_time: u32,
        sequence_number: u32,
        set_id: u16,
        id: u16,
    ) {
        self.begin(sequence_number);
        self.export_time = export_time;
        self.begin_set(set_id);
        self.put(id);
        self.put(0);
    }

    /// Makes the end of the message the place for a record of `template`.
    pub(super) fn begin_record(
        &mut self,
        sequence_number: u32,
        template: TemplateId,
    ) -> RecordStart {
        let (length_before, set_before) = (self.length, self.set);
        if self.length == 0 {
            self.begin(sequence_number);
        }
        if self.set.is_none_or(|set| set.id != template.get()) {
            self.begin_set(template.get());
        }
        RecordStart { length_before, set_before, record: self.length }
    }

    /// Takes back the record begun at `start`, and the headers that began with it.
    pub(super) fn take_back(&mut self, start: &RecordStart) {
        self.length = start.length_before;
        self.set = start.set_before;
    }

    /// Appends the message as it was before `start` to `out`; the record becomes the first of the
    /// next message.
    ///
    /// The record must fit a message, and must not be the first of this one.
    pub(super) fn move_on(
        &mut self,
        start: &RecordStart,
        sequence_number: u32,
        template: TemplateId,
        out: &mut Vec<u8>,
    ) {
        self.patch_set(start.set_before, start.length_before);
        self.send(start.length_before, out);
        // A message that has a record is at least a header, a Set header and that record long, so
        // the headers of the next message always fit in front of the record.
        self.bytes.copy_within(start.record..self.length, FIRST_RECORD);
        self.length -= start.record - FIRST_RECORD;
        self.sequence_number = sequence_number;
        self.set = Some(OpenSet { id: template.get(), start: usize::from(HEADER_LENGTH) });
        patch(&mut self.bytes, usize::from(HEADER_LENGTH), template.get());
    }

    /// Appends the message to `out`, if it is not empty, and empties it.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if self.length == 0 {
            return;
        }
        let end = self.length;
        self.patch_set(self.set, end);
        self.send(end, out);
        self.length = 0;
        self.set = None;
    }

    fn begin(&mut self, sequence_number: u32) {
        self.length = usize::from(HEADER_LENGTH);
        self.sequence_number = sequence_number;
    }

    fn begin_set(&mut self, id: u16) {
        let start = self.length;
        self.patch_set(self.set, start);
        self.put(id);
        self.put(0);
        self.set = Some(OpenSet { id, start });
    }

    fn put(&mut self, number: u16) {
        self.put_bytes(&number.to_be_bytes());
    }

    /// Appends a part of a header or a Template, which are known to fit.
    fn put_bytes(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        let place = self.bytes.get_mut(self.length..end);
        debug_assert!(place.is_some(), "no room behind {} bytes", self.length);
        if let Some(place) = place {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Fills in the length of `set`, now that it is known to end at `end`.
    fn patch_set(&mut self, set: Option<OpenSet>, end: usize) {
        if let Some(OpenSet { start, .. }) = set {
            patch(&mut self.bytes, start + 2, wire_length(end.saturating_sub(start)));
        }
    }

    /// Fills in the message header and appends the first `length` bytes to `out`.
    fn send(&mut self, length: usize, out: &mut Vec<u8>) {
        let header = MessageHeader {
            length: wire_length(length),
            export_time: self.export_time,
            sequence_number: self.sequence_number,
            domain: self.domain,
        };
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = header.encode();
        }
        out.extend_from_slice(self.bytes.get(..length).unwrap_or_default());
    }
}

/// A length that is known to fit: no message grows past the `u16` that limits it.
fn wire_length(length: usize) -> u16 {
    let wire_length = u16::try_from(length);
    debug_assert!(wire_length.is_ok(), "{length} bytes in one message");
    wire_length.unwrap_or(u16::MAX)
}

/// Overwrites the two bytes at `offset`.
fn patch(bytes: &mut [u8], offset: usize, number: u16) {
    if let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *place = number.to_be_bytes();
    }
}
