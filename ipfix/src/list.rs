//! Structured data: what a list says about its elements (RFC 6313).
//!
//! A value may be a list: of values of one element (`basicList`), of records of one Template
//! (`subTemplateList`) or of records of several (`subTemplateMultiList`). [`crate::decode::list`]
//! reads them, and [`crate::encode::RecordWriter`] writes them.

/// How the elements of a list relate to the record they are in (RFC 6313, section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListSemantic {
    /// None of the elements holds.
    NoneOf,
    /// Exactly one of them holds.
    ExactlyOneOf,
    /// At least one of them holds.
    OneOrMoreOf,
    /// All of them hold.
    AllOf,
    /// All of them hold, and their order matters.
    Ordered,
    /// The exporter does not say.
    Undefined,
    /// A number that had no meaning when this was written.
    Unassigned(u8),
}

impl From<u8> for ListSemantic {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::NoneOf,
            1 => Self::ExactlyOneOf,
            2 => Self::OneOrMoreOf,
            3 => Self::AllOf,
            4 => Self::Ordered,
            255 => Self::Undefined,
            other => Self::Unassigned(other),
        }
    }
}

impl From<ListSemantic> for u8 {
    fn from(semantic: ListSemantic) -> Self {
        match semantic {
            ListSemantic::NoneOf => 0,
            ListSemantic::ExactlyOneOf => 1,
            ListSemantic::OneOrMoreOf => 2,
            ListSemantic::AllOf => 3,
            ListSemantic::Ordered => 4,
            ListSemantic::Undefined => 255,
            ListSemantic::Unassigned(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_kept() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(ListSemantic::from(number)), number);
        }
    }
}
