//! Where the fields of a record are.
//!
//! A record has no length of its own: its end is found by walking its fields. That walk also
//! notes where each field is, so that a record can be handed out with its values addressable by
//! position, and whoever reads it need not walk it again. The notes are overwritten by the next
//! record and allocate nothing once they have grown to the longest Template.

use crate::{
    reader::{Reader, Truncated},
    template::{Template, VARIABLE},
};

/// The bytes of one field. As offsets into the message they fit 16 bits, as its length does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) fn of(self, message: &[u8]) -> &[u8] {
        // The walk has checked both ends against the message they are used with.
        message.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}

/// The fields of one record, in the order of its Template.
#[derive(Debug, Default)]
pub(super) struct Spans(Vec<Span>);

impl Spans {
    pub(super) fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Walks the record at the beginning of `set`, which ends up behind it.
    pub(super) fn delimit(
        &mut self,
        template: &Template,
        set: &mut Reader<'_>,
    ) -> Result<(), Truncated> {
        self.0.clear();
        for field in &template.fields {
            let length = value_length(field.length, set)?;
            let start = offset(set);
            set.bytes(length)?;
            self.0.push(Span { start, end: offset(set) });
        }
        Ok(())
    }
}

/// Returns how long the value at the beginning of `set` is, and goes to where it begins.
#[inline]
pub(super) fn value_length(length: u16, set: &mut Reader<'_>) -> Result<usize, Truncated> {
    match length {
        VARIABLE => variable_length(set),
        fixed => Ok(usize::from(fixed)),
    }
}

/// Reads the length in front of a variable-length value (RFC 7011, section 7).
#[inline]
fn variable_length(set: &mut Reader<'_>) -> Result<usize, Truncated> {
    match set.u8()? {
        255 => set.u16().map(usize::from),
        short => Ok(usize::from(short)),
    }
}

/// Returns where `set` is in its message, which is at most 65,535 bytes long.
#[inline]
fn offset(set: &Reader<'_>) -> u16 {
    u16::try_from(set.offset()).unwrap_or(u16::MAX)
}
