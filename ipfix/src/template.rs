//! Template Records: which fields a Data Record has, in which order and how long.
//!
//! A Template ID means nothing on its own. It is scoped by the Transport Session it arrived on
//! and by the Observation Domain that sent it (RFC 7011, section 8); [`crate::decode::Session`]
//! is where a Template gets that scope.

use crate::{
    reader::{Reader, Truncated},
    registry::{self, InformationElement},
};

pub use crate::registry::VARIABLE;

/// The bit of a wire id that announces an enterprise number (RFC 7011, section 3.2).
const ENTERPRISE_BIT: u16 = 0x8000;

/// Identifies a Template and the Data Sets that follow it: 256 or above (RFC 7011, section
/// 3.4.1). Lower numbers are Set IDs with meanings of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(u16);

/// A number that cannot identify a Template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("template id is {0}, but must be at least 256")]
pub struct InvalidTemplateId(pub u16);

impl TemplateId {
    /// The lowest number that identifies a Template.
    pub const MIN: Self = Self(256);

    /// Checks that `id` identifies a Template (RFC 7011, section 3.4.1).
    pub const fn new(id: u16) -> Result<Self, InvalidTemplateId> {
        if id < Self::MIN.0 { Err(InvalidTemplateId(id)) } else { Ok(Self(id)) }
    }

    /// Returns the number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for TemplateId {
    type Error = InvalidTemplateId;

    fn try_from(id: u16) -> Result<Self, InvalidTemplateId> {
        Self::new(id)
    }
}

/// One field of a Template: an element, and how long its values are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldSpecifier {
    /// The element's enterprise; 0 for IANA.
    pub pen: u32,
    /// The element's id, without the enterprise bit.
    pub id: u16,
    /// [`VARIABLE`] if each record carries the length of its own value.
    pub length: u16,
}

impl FieldSpecifier {
    /// Returns the element, if the registry knows it.
    pub fn element(self) -> Option<InformationElement> {
        registry::element(self.pen, self.id)
    }

    /// Returns the fewest bytes a value takes, its length prefix included.
    const fn minimum_length(self) -> usize {
        match self.length {
            VARIABLE => 1,
            fixed => fixed as usize,
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let id = reader.u16()?;
        let length = reader.u16()?;
        let pen = if id & ENTERPRISE_BIT == 0 { registry::IANA_PEN } else { reader.u32()? };
        Ok(Self { pen, id: id & !ENTERPRISE_BIT, length })
    }

    /// Returns how many bytes the specifier itself takes.
    const fn encoded_length(self) -> usize {
        if self.is_enterprise() { 8 } else { 4 }
    }

    /// Returns true if the specifier carries an enterprise number (RFC 7011, section 3.2).
    pub(crate) const fn is_enterprise(self) -> bool {
        self.pen != registry::IANA_PEN
    }

    /// Returns the element's id as it is written.
    pub(crate) const fn wire_id(self) -> u16 {
        if self.is_enterprise() { self.id | ENTERPRISE_BIT } else { self.id }
    }

    /// Hands the specifier's bytes to `put`, part by part.
    pub(crate) fn encode(self, mut put: impl FnMut(&[u8])) {
        put(&self.wire_id().to_be_bytes());
        put(&self.length.to_be_bytes());
        if self.is_enterprise() {
            put(&self.pen.to_be_bytes());
        }
    }
}

impl From<InformationElement> for FieldSpecifier {
    fn from(element: InformationElement) -> Self {
        Self { pen: element.pen, id: element.id, length: element.length }
    }
}

/// A Template, or an Options Template if it has a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    /// Which Data Sets hold records of this Template.
    pub id: TemplateId,
    /// What a record consists of, in this order.
    pub fields: Vec<FieldSpecifier>,
    /// How many of the leading fields say what an Options Data Record is about (RFC 7011, section
    /// 3.4.2); 0 for a Template.
    pub scope_count: u16,
}

impl Template {
    /// Describes records of `elements`, each as long as its registry says.
    pub fn new(id: TemplateId, elements: impl IntoIterator<Item = InformationElement>) -> Self {
        let fields = elements.into_iter().map(FieldSpecifier::from).collect();
        Self { id, fields, scope_count: 0 }
    }

    /// Describes options records that say `elements` about `scope`, which must not be empty (RFC
    /// 7011, section 3.4.2).
    pub fn options(
        id: TemplateId,
        scope: impl IntoIterator<Item = InformationElement>,
        elements: impl IntoIterator<Item = InformationElement>,
    ) -> Self {
        let mut fields: Vec<FieldSpecifier> = scope.into_iter().map(Into::into).collect();
        let scope_count = u16::try_from(fields.len()).unwrap_or(u16::MAX);
        fields.extend(elements.into_iter().map(FieldSpecifier::from));
        Self { id, fields, scope_count }
    }

    /// Returns the fewest bytes a record takes. What is left of a Set below this is padding
    /// (RFC 7011, section 3.3.1).
    pub fn minimum_record_length(&self) -> usize {
        self.fields.iter().map(|field| field.minimum_length()).sum()
    }

    /// Returns how many bytes the Template Record itself takes.
    pub(crate) fn encoded_length(&self) -> usize {
        let header = if self.is_options() { 6 } else { 4 };
        header + self.fields.iter().map(|field| field.encoded_length()).sum::<usize>()
    }

    /// Returns true if this is an Options Template.
    pub const fn is_options(&self) -> bool {
        self.scope_count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{antrea, iana};

    #[test]
    fn template_ids_begin_at_256() {
        assert_eq!(TemplateId::new(256), Ok(TemplateId::MIN));
        assert_eq!(TemplateId::new(u16::MAX).map(TemplateId::get), Ok(u16::MAX));
        let error = TemplateId::new(255).unwrap_err();
        assert_eq!(error.to_string(), "template id is 255, but must be at least 256");
    }

    #[track_caller]
    fn check(field: FieldSpecifier, bytes: &[u8]) {
        let mut encoded = Vec::new();
        field.encode(|bytes| encoded.extend_from_slice(bytes));
        assert_eq!(encoded, bytes);
        assert_eq!(field.encoded_length(), bytes.len());
        assert_eq!(FieldSpecifier::decode(&mut Reader::new(bytes)), Ok(field));
        for length in 0..bytes.len() {
            FieldSpecifier::decode(&mut Reader::new(&bytes[..length])).unwrap_err();
        }
    }

    #[test]
    fn elements_of_iana_have_no_enterprise_number() {
        check(iana::SOURCE_IPV4_ADDRESS.into(), &[0x00, 0x08, 0x00, 0x04]);
    }

    #[test]
    fn elements_of_others_have_the_enterprise_bit_and_number() {
        #[rustfmt::skip]
        check(antrea::SOURCE_POD_UUID.into(), &[
            0x80, 0x9f, 0x00, 0x10, // enterprise bit, element 159, 16 bytes
            0x00, 0x00, 0xdc, 0xba, // enterprise number 56506
        ]);
    }

    #[test]
    fn an_enterprise_bit_with_the_number_of_iana_is_understood() {
        let bytes = [0x80, 0x08, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00];
        let field = FieldSpecifier::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(field.element(), Some(iana::SOURCE_IPV4_ADDRESS));
    }

    #[test]
    fn a_variable_length_takes_at_least_its_prefix() {
        let elements = [iana::OCTET_DELTA_COUNT, antrea::SOURCE_POD_NAME];
        let template = Template::new(TemplateId::MIN, elements);
        assert_eq!(template.minimum_record_length(), 9);
        assert!(!template.is_options());
    }
}
