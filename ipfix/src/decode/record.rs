//! A Data Record, read in place.

use std::{fmt, iter, ops::Range, slice};

use super::{
    layout::{Layout, Place, Span},
    list::{Lists, TemplatesOfDomains},
    typed::Types,
};
use crate::{
    template::{FieldSpecifier, Template},
    value::Value,
};

/// One Data Record: its values, as they are in the message.
#[derive(Clone, Copy)]
pub struct DataRecord<'a> {
    /// The Observation Domain that sent the record.
    pub domain: u32,
    /// When the record's message left the exporter, in seconds since the UNIX epoch.
    pub export_time: u32,
    pub(super) message: &'a [u8],
    pub(super) template: &'a Template,
    /// For lists of records, which name their Templates (RFC 6313).
    pub(super) templates: &'a (dyn TemplatesOfDomains + 'a),
    pub(super) layout: &'a Layout,
    pub(super) anchors: &'a [Span],
}

impl<'a> DataRecord<'a> {
    /// Returns the value at `index` in the order of the Template.
    #[inline]
    pub fn value(&self, index: usize) -> Option<&'a [u8]> {
        self.layout.places().get(index).map(|place| place.of(self.anchors, self.message))
    }

    /// Returns the values, in the order of the Template.
    #[inline]
    pub fn values(&self) -> Values<'a> {
        let Self { message, anchors, .. } = *self;
        Values { message, anchors, places: self.layout.places().iter() }
    }

    /// Returns the octets of several fields, in the order of the Template, with the lengths in front
    /// of those that have one: two records of one Template that agree in them agree in these values.
    ///
    /// Empty for fields that the Template does not have.
    #[inline]
    pub fn octets(&self, fields: Range<usize>) -> &'a [u8] {
        let places = self.layout.places();
        let end_of = |index: usize| Some(places.get(index)?.end_of(self.anchors));
        let start = match fields.start.checked_sub(1) {
            Some(before) => end_of(before),
            None => self.anchors.first().map(|span| span.end()),
        };
        let end = fields.end.checked_sub(1).and_then(end_of);
        let octets = start.zip(end).and_then(|(start, end)| self.message.get(start..end));
        octets.unwrap_or_default()
    }

    /// Visits the values in the order of the Template, each as its type says.
    ///
    /// `types` are those of the record's Template; with others, values are wrong or missing. What is
    /// not of its type is handed out as the octets it is, as [`Value::decode`] does.
    #[inline]
    pub fn typed(&self, types: &Types, visit: impl FnMut(Value<'a>)) {
        types.read(self, visit);
    }

    /// Returns the values, each with its position in the Template and its specifier.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        Fields { inner: self.template.fields.iter().zip(self.values()).enumerate() }
    }

    /// Returns what reads the lists in this record, nested at most `depth` deep (RFC 6313).
    #[inline]
    pub fn lists(&self, depth: u8) -> Lists<'a> {
        Lists::new(self.domain, self.templates, depth)
    }
}

impl fmt::Debug for DataRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataRecord")
            .field("domain", &self.domain)
            .field("export_time", &self.export_time)
            .field("template", &self.template.id)
            .field("values", &self.values().collect::<Vec<_>>())
            .finish()
    }
}

/// The values of a record; see [`DataRecord::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    message: &'a [u8],
    anchors: &'a [Span],
    places: slice::Iter<'a, Place>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.places.next().map(|place| place.of(self.anchors, self.message))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
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
