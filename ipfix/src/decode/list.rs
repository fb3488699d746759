//! Lists in a record, read in place (RFC 6313).
//!
//! A list is checked when it is opened: its lengths add up, and its Templates are known. What its
//! elements contain is looked at only when they are opened in turn, so a list costs what is read
//! of it. Lists may contain lists, and a peer decides how many: [`Lists`] knows how much deeper it
//! may go, and refuses what lies below.

mod walk;

use std::{fmt, iter, slice};

use super::layout::value_length;
use crate::{
    list::ListSemantic,
    reader::{Reader, Truncated},
    registry::DataType,
    template::{FieldSpecifier, InvalidTemplateId, Template, TemplateId},
};

pub use walk::Walked;

/// The Templates of a session, whatever is kept beside them.
pub(super) trait TemplatesOfDomains {
    fn template(&self, domain: u32, id: TemplateId) -> Option<&Template>;
}

/// Why a value is not the list it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Beyond the depth the reader of the list asked for.
    #[error("list is nested too deep")]
    TooDeep,
    /// The list names a Template its session does not know.
    #[error("template {0} of the list is not known")]
    UnknownTemplate(u16),
    /// The list names a Template no session can know.
    #[error(transparent)]
    TemplateId(#[from] InvalidTemplateId),
    /// A length is longer than what is left.
    #[error("list is incomplete")]
    Truncated(#[from] Truncated),
    /// There is no telling how many elements the list has.
    #[error("list has elements of no bytes")]
    NoBytes,
    /// RFC 6313, section 4.5.3.
    #[error("part of a list states a length of {0}, but its own header takes 4")]
    Short(u16),
    /// RFC 6313 has three types of lists.
    #[error("type is not that of a list")]
    NotAList,
}

/// What it takes to read the lists of a record.
#[derive(Clone, Copy)]
pub struct Lists<'a> {
    domain: u32,
    templates: &'a (dyn TemplatesOfDomains + 'a),
    depth: u8,
}

/// A list of whatever kind.
#[derive(Debug, Clone, Copy)]
pub enum List<'a> {
    /// RFC 6313, section 4.5.1.
    Basic(BasicList<'a>),
    /// RFC 6313, section 4.5.2.
    SubTemplate(SubTemplateList<'a>),
    /// RFC 6313, section 4.5.3.
    SubTemplateMulti(SubTemplateMultiList<'a>),
}

impl<'a> Lists<'a> {
    pub(super) fn new(
        domain: u32,
        templates: &'a (dyn TemplatesOfDomains + 'a),
        depth: u8,
    ) -> Self {
        Self { domain, templates, depth }
    }

    /// Opens a list of type `data_type`, which is one of the three types of lists.
    pub fn open(&self, data_type: DataType, value: &'a [u8]) -> Result<List<'a>, ListError> {
        match data_type {
            DataType::BasicList => self.basic(value).map(List::Basic),
            DataType::SubTemplateList => self.sub_template(value).map(List::SubTemplate),
            DataType::SubTemplateMultiList => {
                self.sub_template_multi(value).map(List::SubTemplateMulti)
            }
            _ => Err(ListError::NotAList),
        }
    }

    /// Opens a `basicList` (RFC 6313, section 4.5.1).
    pub fn basic(&self, value: &'a [u8]) -> Result<BasicList<'a>, ListError> {
        let lists = self.deeper()?;
        let mut reader = Reader::new(value);
        let semantic = reader.u8()?.into();
        let field = FieldSpecifier::decode(&mut reader)?;
        if field.length == 0 && !reader.is_empty() {
            return Err(ListError::NoBytes);
        }
        let mut values = reader;
        while !values.is_empty() {
            take(field.length, &mut values)?;
        }
        Ok(BasicList { semantic, field, values: reader, lists })
    }

    /// Opens a `subTemplateList` (RFC 6313, section 4.5.2).
    pub fn sub_template(&self, value: &'a [u8]) -> Result<SubTemplateList<'a>, ListError> {
        let lists = self.deeper()?;
        let mut reader = Reader::new(value);
        let semantic = reader.u8()?.into();
        let id = TemplateId::new(reader.u16()?)?;
        SubTemplateList::open(semantic, id, reader, lists)
    }

    /// Opens a `subTemplateMultiList` (RFC 6313, section 4.5.3).
    pub fn sub_template_multi(
        &self,
        value: &'a [u8],
    ) -> Result<SubTemplateMultiList<'a>, ListError> {
        let lists = self.deeper()?;
        let mut reader = Reader::new(value);
        let semantic = reader.u8()?.into();
        let mut parts = reader;
        while !parts.is_empty() {
            part(&mut parts)?;
        }
        Ok(SubTemplateMultiList { semantic, parts: reader, lists })
    }

    /// Returns what reads the lists within a list.
    fn deeper(&self) -> Result<Self, ListError> {
        let depth = self.depth.checked_sub(1).ok_or(ListError::TooDeep)?;
        Ok(Self { depth, ..*self })
    }
}

impl fmt::Debug for Lists<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists")
            .field("domain", &self.domain)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// Values of one element (RFC 6313, section 4.5.1).
#[derive(Debug, Clone, Copy)]
pub struct BasicList<'a> {
    /// How the elements relate to the record (RFC 6313, section 4.4).
    pub semantic: ListSemantic,
    /// What each value is.
    pub field: FieldSpecifier,
    values: Reader<'a>,
    /// Reads the values, if they are lists themselves.
    pub lists: Lists<'a>,
}

impl<'a> BasicList<'a> {
    /// Returns the values, in their order.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut values, length) = (self.values, self.field.length);
        iter::from_fn(move || if values.is_empty() { None } else { take(length, &mut values).ok() })
    }
}

/// Records of one Template (RFC 6313, section 4.5.2).
#[derive(Debug, Clone, Copy)]
pub struct SubTemplateList<'a> {
    /// How the elements relate to the record (RFC 6313, section 4.4).
    pub semantic: ListSemantic,
    /// What each record consists of.
    pub template: &'a Template,
    records: Reader<'a>,
    lists: Lists<'a>,
}

impl<'a> SubTemplateList<'a> {
    fn open(
        semantic: ListSemantic,
        id: TemplateId,
        records: Reader<'a>,
        lists: Lists<'a>,
    ) -> Result<Self, ListError> {
        let template = lists.templates.template(lists.domain, id);
        let template = template.ok_or(ListError::UnknownTemplate(id.get()))?;
        // No Template with records of no bytes is ever known, so this ends.
        let mut unread = records;
        while !unread.is_empty() {
            record(template, &mut unread)?;
        }
        Ok(Self { semantic, template, records, lists })
    }

    /// Returns the records, in their order.
    pub fn records(&self) -> impl Iterator<Item = SubRecord<'a>> + use<'a> {
        let (mut records, template, lists) = (self.records, self.template, self.lists);
        iter::from_fn(move || {
            if records.is_empty() {
                return None;
            }
            let values = record(template, &mut records).ok()?;
            Some(SubRecord { template, values, lists })
        })
    }
}

/// Records of several Templates (RFC 6313, section 4.5.3).
#[derive(Debug, Clone, Copy)]
pub struct SubTemplateMultiList<'a> {
    /// How the elements relate to the record (RFC 6313, section 4.4).
    pub semantic: ListSemantic,
    parts: Reader<'a>,
    lists: Lists<'a>,
}

impl<'a> SubTemplateMultiList<'a> {
    /// Returns the records by Template, in their order. One part that cannot be read does not hide
    /// the others.
    pub fn parts(&self) -> impl Iterator<Item = Result<SubTemplateList<'a>, ListError>> + use<'a> {
        let (mut parts, semantic, lists) = (self.parts, self.semantic, self.lists);
        iter::from_fn(move || {
            if parts.is_empty() {
                return None;
            }
            let (id, records) = part(&mut parts).ok()?;
            let id = TemplateId::new(id).map_err(ListError::from);
            Some(id.and_then(|id| SubTemplateList::open(semantic, id, records, lists)))
        })
    }
}

/// One record in a list.
#[derive(Debug, Clone, Copy)]
pub struct SubRecord<'a> {
    /// What each record consists of.
    pub template: &'a Template,
    values: Reader<'a>,
    /// Reads the values that are lists themselves.
    pub lists: Lists<'a>,
}

impl<'a> SubRecord<'a> {
    /// Returns the values with their specifiers, in the order of the Template.
    pub fn fields(&self) -> impl Iterator<Item = (&'a FieldSpecifier, &'a [u8])> + use<'a> {
        let mut values = self.values;
        let fields: slice::Iter<'a, FieldSpecifier> = self.template.fields.iter();
        fields.map_while(move |field| Some((field, take(field.length, &mut values).ok()?)))
    }
}

/// Takes the next value off.
fn take<'a>(length: u16, reader: &mut Reader<'a>) -> Result<&'a [u8], Truncated> {
    let length = value_length(length, reader)?;
    reader.bytes(length)
}

/// Takes the next record of `template` off, as a reader of its own.
fn record<'a>(template: &Template, reader: &mut Reader<'a>) -> Result<Reader<'a>, Truncated> {
    let mut end = *reader;
    for field in &template.fields {
        take(field.length, &mut end)?;
    }
    reader.sub(end.offset() - reader.offset())
}

/// Takes the next part of a `subTemplateMultiList` off: a Template ID, and a reader of its records.
fn part<'a>(reader: &mut Reader<'a>) -> Result<(u16, Reader<'a>), ListError> {
    /// Template ID and length, which the length includes.
    const HEADER: u16 = 4;
    let id = reader.u16()?;
    let length = reader.u16()?;
    let body = length.checked_sub(HEADER).ok_or(ListError::Short(length))?;
    Ok((id, reader.sub(usize::from(body))?))
}

#[cfg(test)]
mod tests;
