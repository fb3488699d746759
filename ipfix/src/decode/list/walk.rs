//! Every value in a list, however deep, for whoever wants values and not structure.

use super::{List, ListError, Lists, SubTemplateList};
use crate::{registry::DataType, template::FieldSpecifier};

/// What came of walking through a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Lists that were opened.
    pub lists: u32,
    /// Values that were visited.
    pub values: u32,
    /// Lists that were skipped because they lie too deep.
    pub too_deep: u32,
    /// Lists, or parts of one, that were skipped because their Template is not known.
    pub without_template: u32,
    /// Lists, or parts of one, that were skipped because they are malformed.
    pub malformed: u32,
}

impl<'a> Lists<'a> {
    /// Visits every value in a list of type `data_type` that is not a list itself, and says what
    /// was left out.
    ///
    /// Which elements are lists is what the built-in registry says.
    pub fn walk(
        &self,
        data_type: DataType,
        value: &'a [u8],
        mut visit: impl FnMut(FieldSpecifier, &'a [u8]),
    ) -> Walked {
        let mut walk = Walk { walked: Walked::default(), visit: &mut visit };
        walk.list(*self, data_type, value);
        walk.walked
    }
}

struct Walk<'v, 'a> {
    walked: Walked,
    visit: &'v mut dyn FnMut(FieldSpecifier, &'a [u8]),
}

impl<'a> Walk<'_, 'a> {
    /// Recurs no deeper than `lists` goes.
    fn list(&mut self, lists: Lists<'a>, data_type: DataType, value: &'a [u8]) {
        match lists.open(data_type, value) {
            Ok(list) => {
                self.walked.lists += 1;
                self.elements(list);
            }
            Err(error) => self.skip(error),
        }
    }

    fn elements(&mut self, list: List<'a>) {
        match list {
            List::Basic(list) => {
                for value in list.values() {
                    self.value(list.lists, list.field, value);
                }
            }
            List::SubTemplate(list) => self.records(&list),
            List::SubTemplateMulti(list) => {
                for part in list.parts() {
                    match part {
                        Ok(part) => self.records(&part),
                        Err(error) => self.skip(error),
                    }
                }
            }
        }
    }

    fn records(&mut self, list: &SubTemplateList<'a>) {
        for record in list.records() {
            for (field, value) in record.fields() {
                self.value(record.lists, *field, value);
            }
        }
    }

    fn value(&mut self, lists: Lists<'a>, field: FieldSpecifier, value: &'a [u8]) {
        let data_type = field.element().map(|element| element.data_type);
        if let Some(list) = data_type.filter(|data_type| data_type.is_list()) {
            return self.list(lists, list, value);
        }
        self.walked.values += 1;
        (self.visit)(field, value);
    }

    fn skip(&mut self, error: ListError) {
        let counter = match error {
            ListError::TooDeep => &mut self.walked.too_deep,
            ListError::UnknownTemplate(_) => &mut self.walked.without_template,
            _ => &mut self.walked.malformed,
        };
        *counter += 1;
    }
}
