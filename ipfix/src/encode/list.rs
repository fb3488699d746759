//! Lists in a record (RFC 6313).
//!
//! How long a list is is known when it ends, so its length is written in three bytes, as RFC 6313,
//! section 4.5, recommends, and filled in then.

use super::{RecordWriter, writer::LONG};
use crate::{
    list::ListSemantic,
    template::{FieldSpecifier, TemplateId},
};

impl<'a> RecordWriter<'a> {
    /// Writes a `basicList` of the values `write` writes, each as `field` says (RFC 6313, section
    /// 4.5.1).
    pub fn basic_list(
        &mut self,
        semantic: ListSemantic,
        field: FieldSpecifier,
        write: impl FnOnce(&mut Self),
    ) {
        self.counted(|list| {
            list.u8(semantic.into());
            list.field(field);
            write(list);
        });
    }

    /// Writes a `subTemplateList` of the records of `template` that `write` writes back to back
    /// (RFC 6313, section 4.5.2).
    pub fn sub_template_list(
        &mut self,
        semantic: ListSemantic,
        template: TemplateId,
        write: impl FnOnce(&mut Self),
    ) {
        self.counted(|list| {
            list.u8(semantic.into());
            list.u16(template.get());
            write(list);
        });
    }

    /// Writes a `subTemplateMultiList` of the parts `write` writes (RFC 6313, section 4.5.3).
    pub fn sub_template_multi_list(
        &mut self,
        semantic: ListSemantic,
        write: impl FnOnce(&mut MultiListWriter<'_, 'a>),
    ) {
        self.counted(|list| {
            list.u8(semantic.into());
            write(&mut MultiListWriter { writer: list });
        });
    }

    /// Writes what `write` writes as one value of variable length.
    fn counted(&mut self, write: impl FnOnce(&mut Self)) {
        self.u8(LONG);
        let length = self.reserve();
        let start = self.position();
        write(self);
        self.fill_in(length, self.position() - start);
    }
}

/// Appends parts to a `subTemplateMultiList`.
#[derive(Debug)]
pub struct MultiListWriter<'w, 'a> {
    writer: &'w mut RecordWriter<'a>,
}

impl<'a> MultiListWriter<'_, 'a> {
    /// Writes a part: the records of `template` that `write` writes back to back.
    pub fn records(&mut self, template: TemplateId, write: impl FnOnce(&mut RecordWriter<'a>)) {
        let start = self.writer.position();
        self.writer.u16(template.get());
        let length = self.writer.reserve();
        write(self.writer);
        self.writer.fill_in(length, self.writer.position() - start);
    }
}
