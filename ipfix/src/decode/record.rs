//! A Data Record, read in place.

use std::{iter, slice};

use super::layout::Span;
use crate::template::{FieldSpecifier, Template};

/// One Data Record: its values, as they are in the message.
#[derive(Debug, Clone, Copy)]
pub struct DataRecord<'a> {
    /// The Observation Domain that sent the record.
    pub domain: u32,
    /// When the record's message left the exporter, in seconds since the UNIX epoch.
    pub export_time: u32,
    pub(super) message: &'a [u8],
    pub(super) template: &'a Template,
    pub(super) spans: &'a [Span],
}

impl<'a> DataRecord<'a> {
    /// Returns the value at `index` in the order of the Template.
    #[inline]
    pub fn value(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.message))
    }

    /// Returns the values, in the order of the Template.
    #[inline]
    pub fn values(&self) -> Values<'a> {
        Values { message: self.message, spans: self.spans.iter() }
    }

    /// Returns the values, each with its position in the Template and its specifier.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        Fields { inner: self.template.fields.iter().zip(self.values()).enumerate() }
    }
}

/// The values of a record; see [`DataRecord::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    message: &'a [u8],
    spans: slice::Iter<'a, Span>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.spans.next().map(|span| span.of(self.message))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Values<'_> {}

/// The fields of a record; see [`DataRecord::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    inner: iter::Enumerate<iter::Zip<slice::Iter<'a, FieldSpecifier>, Values<'a>>>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (usize, &'a FieldSpecifier, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.inner.next().map(|(index, (field, value))| (index, field, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}
