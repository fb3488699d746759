//! Where the fields of a record are.
//!
//! A record has no length of its own: its end is found by walking its fields. But a Template tells
//! most of where they are: fields of fixed length have their place behind the last one of variable
//! length, and it is the same in every record. So the walk goes from one value of variable
//! length to the next, past all that is in between in one step, and notes where those values are.
//! Whoever reads the record finds the other fields from there, and need not walk it again.
//!
//! The notes are overwritten by the next record and allocate nothing once they have grown to the
//! longest Template.

use crate::{
    reader::{Reader, Truncated},
    template::{Template, VARIABLE},
};

/// A first byte that says the length is in the next two (RFC 7011, section 7).
const LONG: u8 = 255;

/// Some bytes of a message. As offsets into it both ends fit 16 bits, as its length does, and are
/// kept in one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span(u32);

impl Span {
    /// Beyond the longest message there is, this is nonsense; [`Layout::walk`] refuses it.
    #[inline]
    const fn new(start: u32, end: u32) -> Self {
        Self(end << 16 | start)
    }

    #[inline]
    pub(super) const fn start(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    #[inline]
    pub(super) const fn end(self) -> usize {
        (self.0 >> 16) as usize
    }

    #[inline]
    pub(super) fn of(self, message: &[u8]) -> &[u8] {
        // The walk has checked both ends against the message they are used with.
        message.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// Where a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of the [`Anchors`] it is at.
    pub(super) anchor: u16,
    /// Where it begins, behind the anchor; [`VARIABLE`] if it is the anchor itself.
    pub(super) start: u16,
    /// Where it ends, behind the anchor.
    end: u16,
}

impl Place {
    #[inline]
    pub(super) fn of<'a>(self, anchors: &[Span], message: &'a [u8]) -> &'a [u8] {
        let anchor = anchors.get(usize::from(self.anchor)).copied().unwrap_or_default();
        if self.start == VARIABLE {
            return anchor.of(message);
        }
        let (start, end) = (usize::from(self.start), usize::from(self.end));
        message.get(anchor.end() + start..anchor.end() + end).unwrap_or_default()
    }

    /// Where it ends in the message.
    #[inline]
    pub(super) fn end_of(self, anchors: &[Span]) -> usize {
        let anchor = anchors.get(usize::from(self.anchor)).copied().unwrap_or_default();
        anchor.end() + usize::from(self.end)
    }
}

/// Where the fields of a Template's records are, as far as the Template tells.
#[derive(Debug)]
pub(super) struct Layout {
    places: Box<[Place]>,
    /// How many bytes of fixed length are in front of each field of variable length.
    gaps: Box<[u16]>,
    /// How many are behind the last.
    rest: u16,
    /// The fewest bytes a record takes.
    minimum: usize,
}

impl Layout {
    /// Works out the layout of `template`, in proportion to its number of fields.
    ///
    /// If its records are longer than a message can be the layout is wrong, and never used.
    pub(super) fn of(template: &Template) -> Self {
        let mut places = Vec::with_capacity(template.fields.len());
        let (mut gaps, mut anchor, mut end) = (Vec::new(), 0, 0_u16);
        for field in &template.fields {
            if field.length == VARIABLE {
                gaps.push(end);
                (anchor, end) = (anchor + 1, 0);
                places.push(Place { anchor, start: VARIABLE, end });
            } else {
                let start = end;
                end = end.saturating_add(field.length);
                places.push(Place { anchor, start, end });
            }
        }
        let (places, gaps) = (places.into(), gaps.into());
        Self { places, gaps, rest: end, minimum: template.minimum_record_length() }
    }

    #[inline]
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Returns the fewest bytes a record takes.
    pub(super) const fn minimum(&self) -> usize {
        self.minimum
    }

    /// Walks the record that begins at `start`, and returns where it ends, or `None` if that is not
    /// within `bytes`, which are the message as far as the end of the Set.
    #[inline(never)]
    fn walk(&self, bytes: &[u8], start: u32, anchors: &mut Anchors) -> Option<u32> {
        let (first, anchors) = anchors.0.split_first_mut()?;
        *first = Span::new(start, start);
        // No more than 2^18: there is a byte at this place whenever something of variable length,
        // which is a u16, is added to it, and all gaps together are shorter than a message.
        let mut at = start;
        for (gap, anchor) in self.gaps.iter().zip(anchors) {
            at += u32::from(*gap);
            let mut length = u32::from(*bytes.get(at as usize)?);
            at += 1;
            if length == u32::from(LONG) {
                length = long_length(bytes, at)?;
                at += 2;
            }
            let start = at;
            at += length;
            *anchor = Span::new(start, at);
        }
        at += u32::from(self.rest);
        (at as usize <= bytes.len()).then_some(at)
    }
}

#[cold]
fn long_length(bytes: &[u8], at: u32) -> Option<u32> {
    let length = bytes.get(at as usize..)?.first_chunk()?;
    Some(u16::from_be_bytes(*length).into())
}

/// What moves the fields of one record: the place where it begins, as if something ended there,
/// and its fields of variable length.
#[derive(Debug, Default)]
pub(super) struct Anchors(Vec<Span>);

impl Anchors {
    #[inline]
    pub(super) fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Makes room for the records of one Template.
    pub(super) fn prepare(&mut self, layout: &Layout) {
        self.0.resize(1 + layout.gaps.len(), Span::default());
    }

    /// Walks the record at the beginning of `set`, a part of `message`, which ends up behind it.
    #[inline]
    pub(super) fn delimit(
        &mut self,
        message: &[u8],
        layout: &Layout,
        template: &Template,
        set: &mut Reader<'_>,
    ) -> Result<(), Truncated> {
        let (start, end) = (set.offset(), set.offset() + set.remaining());
        let walked = u32::try_from(start)
            .ok()
            .zip(message.get(..end))
            .and_then(|(start, message)| layout.walk(message, start, self));
        match walked {
            Some(end) => set.bytes(end as usize - start).map(|_| ()),
            None => Err(truncation(template, set)),
        }
    }
}

/// Walks a record that ends too early, field by field, to tell where.
#[cold]
fn truncation(template: &Template, set: &mut Reader<'_>) -> Truncated {
    let mut field = |length| value_length(length, set).and_then(|length| set.bytes(length));
    let broken = template.fields.iter().find_map(|specifier| field(specifier.length).err());
    broken.unwrap_or(Truncated { offset: set.offset(), wanted: 0, left: set.remaining() })
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
        LONG => set.u16().map(usize::from),
        short => Ok(usize::from(short)),
    }
}
