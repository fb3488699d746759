//! Elements that describe themselves (RFC 5610).
//!
//! An exporter of elements of its own may say what they are called and of which type they are, in
//! options records with the element as their scope. A collector that is told so can name and type
//! what would otherwise be octets.
//!
//! ```
//! # use ipfix::{decode::{Limits, Session}, encode::Encoder, template::TemplateId};
//! use ipfix::registry::{DataType, Definition, Known, Registry};
//! use ipfix::type_information::{self, TypeInformation};
//!
//! let rtt = Definition::new(4242, 1, "acmeRtt", DataType::Unsigned32);
//! let template = type_information::template(TemplateId::MIN);
//! let mut encoder = Encoder::stream(7);
//! let (mut definition, mut data) = (Vec::new(), Vec::new());
//! encoder.template(0, &template, &mut definition)?;
//! encoder.record(0, template.id, &mut data, |record| {
//!     type_information::write(&Known::from(&rtt), record);
//! })?;
//!
//! let mut registry = Registry::new();
//! let mut session = Session::new(Limits::default());
//! for message in [definition, data] {
//!     session.decode(&message, TypeInformation::of, |types, _, record| {
//!         if let Some(types) = types {
//!             let learned = types.read(&record).map(|definition| registry.learn(definition));
//!             assert!(matches!(learned, Ok(Ok(()))));
//!         }
//!     })?;
//! }
//! assert_eq!(registry.element(4242, 1).map(|element| element.name), Some("acmeRtt"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    decode::DataRecord,
    encode::RecordWriter,
    registry::{DataType, Definition, InformationElement, Known, MAX_ID, Semantics, UNITS, iana},
    template::{FieldSpecifier, Template, TemplateId},
    value,
};

/// Describes records that each describe an element (RFC 5610, section 3.9), for [`write()`].
pub fn template(id: TemplateId) -> Template {
    Template::options(
        id,
        [iana::PRIVATE_ENTERPRISE_NUMBER, iana::INFORMATION_ELEMENT_ID],
        [
            iana::INFORMATION_ELEMENT_DATA_TYPE,
            iana::INFORMATION_ELEMENT_SEMANTICS,
            iana::INFORMATION_ELEMENT_UNITS,
            iana::INFORMATION_ELEMENT_RANGE_BEGIN,
            iana::INFORMATION_ELEMENT_RANGE_END,
            iana::INFORMATION_ELEMENT_NAME,
        ],
    )
}

/// Writes the record that describes `element`.
///
/// Units that have no number (RFC 5610, section 3.7) are left out.
pub fn write(element: &Known<'_>, record: &mut RecordWriter<'_>) {
    let units = element.units.and_then(|units| UNITS.iter().position(|known| *known == units));
    let (from, to) = element.range.unwrap_or_default();
    record.u32(element.pen);
    record.u16(element.id);
    record.u8(element.data_type.number());
    record.u8(element.semantics.number());
    record.u16(units.and_then(|units| u16::try_from(units).ok()).unwrap_or_default());
    record.u64(from);
    record.u64(to);
    record.string(element.name);
}

/// Where in records of a Template an element is described; what a session compiles it into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInformation {
    pen: usize,
    id: usize,
    data_type: usize,
    name: usize,
    semantics: Option<usize>,
    units: Option<usize>,
    range_begin: Option<usize>,
    range_end: Option<usize>,
}

/// Why a record does not describe an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TypeInformationError {
    /// A part of the description is missing or malformed.
    #[error("{0} has no value of its type")]
    Value(InformationElement),
    /// IANA had not assigned the number when this was written.
    #[error("data type {0} is not known")]
    DataType(u8),
}

impl TypeInformation {
    /// Finds out whether records of `template` describe elements: whether their scope is an element
    /// and they have its type and its name.
    pub fn of(template: &Template) -> Option<Self> {
        let position = |element: InformationElement| {
            template
                .fields
                .iter()
                .position(|FieldSpecifier { pen, id, .. }| (*pen, *id) == (element.pen, element.id))
        };
        let in_scope = |index: &usize| *index < usize::from(template.scope_count);
        Some(Self {
            pen: position(iana::PRIVATE_ENTERPRISE_NUMBER).filter(in_scope)?,
            id: position(iana::INFORMATION_ELEMENT_ID).filter(in_scope)?,
            data_type: position(iana::INFORMATION_ELEMENT_DATA_TYPE)?,
            name: position(iana::INFORMATION_ELEMENT_NAME)?,
            semantics: position(iana::INFORMATION_ELEMENT_SEMANTICS),
            units: position(iana::INFORMATION_ELEMENT_UNITS),
            range_begin: position(iana::INFORMATION_ELEMENT_RANGE_BEGIN),
            range_end: position(iana::INFORMATION_ELEMENT_RANGE_END),
        })
    }

    /// Reads which element a record describes. Whether it is to be believed is decided by
    /// [`crate::registry::Registry::learn`].
    pub fn read(&self, record: &DataRecord<'_>) -> Result<Definition, TypeInformationError> {
        let number = |index: usize, element| {
            let number = record.value(index).and_then(value::unsigned);
            number.ok_or(TypeInformationError::Value(element))
        };
        let optional = |index: Option<usize>| {
            index.and_then(|index| record.value(index)).and_then(value::unsigned)
        };
        let pen = iana::PRIVATE_ENTERPRISE_NUMBER;
        let id = iana::INFORMATION_ELEMENT_ID;
        let data_type = iana::INFORMATION_ELEMENT_DATA_TYPE;
        let name = iana::INFORMATION_ELEMENT_NAME;

        let data_type = narrow(number(self.data_type, data_type)?, data_type)?;
        let data_type =
            DataType::from_number(data_type).ok_or(TypeInformationError::DataType(data_type))?;
        let text = record.value(self.name).and_then(value::string);
        let text = text.ok_or(TypeInformationError::Value(name))?;
        let wire_id: u16 = narrow(number(self.id, id)?, id)?;
        let semantics = optional(self.semantics).and_then(|number| u8::try_from(number).ok());
        let units = optional(self.units).and_then(|number| usize::try_from(number).ok());
        let units = units.and_then(|number| UNITS.get(number)).filter(|units| !units.is_empty());
        Ok(Definition {
            semantics: semantics.and_then(Semantics::from_number).unwrap_or(Semantics::Default),
            units: units.map(|&units| units.to_owned()),
            // Whether limits are signed is for their type to say; those that are not in order are
            // not limits of unsigned numbers.
            range: optional(self.range_begin)
                .zip(optional(self.range_end))
                .filter(|(from, to)| from < to),
            // The id may come with the enterprise bit it has in a field specifier.
            ..Definition::new(
                narrow(number(self.pen, pen)?, pen)?,
                wire_id & MAX_ID,
                text,
                data_type,
            )
        })
    }
}

fn narrow<T: TryFrom<u64>>(
    number: u64,
    element: InformationElement,
) -> Result<T, TypeInformationError> {
    T::try_from(number).map_err(|_| TypeInformationError::Value(element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Limits, Session},
        encode::Encoder,
        registry::{Registry, antrea},
    };

    /// Sends one record of `template`, and reads what it describes.
    fn describe(
        template: &Template,
        write: impl FnOnce(&mut RecordWriter<'_>),
    ) -> Option<Result<Definition, TypeInformationError>> {
        let mut encoder = Encoder::stream(7);
        let (mut definition, mut data) = (Vec::new(), Vec::new());
        encoder.template(0, template, &mut definition).unwrap();
        encoder.record(0, template.id, &mut data, write).unwrap();
        let mut session = Session::new(Limits::default());
        let mut described = None;
        for message in [definition, data] {
            let visit = |types: &Option<TypeInformation>, _: &Template, record: DataRecord<'_>| {
                described = types.map(|types| types.read(&record));
            };
            session.decode(&message, TypeInformation::of, visit).unwrap();
        }
        described
    }

    #[test]
    fn every_element_can_describe_itself() {
        let own = template(TemplateId::MIN);
        for element in [iana::OCTET_DELTA_COUNT, iana::FLOW_LABEL_IPV6, antrea::SOURCE_POD_NAME] {
            let known = Known::from(element);
            let described = describe(&own, |record| write(&known, record)).unwrap().unwrap();
            assert_eq!(Known::from(&described), known);
        }
    }

    #[test]
    fn an_element_of_iana_is_not_learned() {
        let own = template(TemplateId::MIN);
        let known = Known::from(iana::OCTET_DELTA_COUNT);
        let described = describe(&own, |record| write(&known, record)).unwrap().unwrap();
        Registry::new().learn(described).unwrap_err();
    }

    #[test]
    fn type_and_name_are_enough() {
        let scope = [iana::INFORMATION_ELEMENT_ID, iana::PRIVATE_ENTERPRISE_NUMBER];
        let elements = [iana::INFORMATION_ELEMENT_NAME, iana::INFORMATION_ELEMENT_DATA_TYPE];
        let short = Template::options(TemplateId::MIN, scope, elements);
        let described = describe(&short, |record| {
            record.u16(0x8001); // with the enterprise bit
            record.u32(4242);
            record.string("acmeName");
            record.u8(13);
        });
        let expected = Definition::new(4242, 1, "acmeName", DataType::String);
        assert_eq!(described, Some(Ok(expected)));
    }

    #[test]
    fn a_type_nobody_has_assigned_is_refused() {
        let described = describe(&template(TemplateId::MIN), |record| {
            record.u32(4242);
            record.u16(1);
            record.u8(99);
            record.bytes(&[0; 19]);
            record.string("acmeName");
        });
        assert_eq!(described, Some(Err(TypeInformationError::DataType(99))));
    }

    #[test]
    fn records_about_anything_else_describe_no_element() {
        let mut other = template(TemplateId::MIN);
        other.scope_count = 1;
        assert_eq!(TypeInformation::of(&other), None, "the element is not all of the scope");
        let flows = Template::new(TemplateId::MIN, [iana::OCTET_DELTA_COUNT]);
        assert_eq!(TypeInformation::of(&flows), None);
    }
}
