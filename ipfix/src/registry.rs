//! Information Elements: what a field of a record is called and how its value is typed.
//!
//! An element is identified by the Private Enterprise Number of whoever defined it and by an id
//! that organisation chose (RFC 7011, section 3.2). The elements known here are constants, so the
//! tables of other crates name them and cannot misspell them; elements unknown here still
//! decode, by the length their Template gives.

mod csv;
mod generated;
mod layered;
mod types;

use std::fmt;

pub use csv::{CsvError, Mistake, Problem};
pub use generated::{antrea, antrea_interim, iana};
pub use layered::{AddError, Definition, Known, Registry};
pub use types::{DataType, Semantics, UNITS, UnknownWord};

/// The Private Enterprise Number that stands for the elements assigned by IANA. It is never
/// written: their field specifiers have no enterprise bit.
pub const IANA_PEN: u32 = 0;

/// The Private Enterprise Number under which an IANA id means the reverse direction of a
/// Biflow (RFC 5103, section 6.1).
pub const REVERSE_PEN: u32 = 29305;

/// The Private Enterprise Number of Antrea.
pub const ANTREA_PEN: u32 = 56506;

/// The number Antrea 0.9 and 0.10 used before IANA gave it one. From 106 on, its ids mean something
/// else under today's number.
pub const ANTREA_INTERIM_PEN: u32 = 55829;

/// The largest id: the top bit of the wire's 16 is the enterprise bit (RFC 7011, section 3.2).
pub const MAX_ID: u16 = 0x7fff;

/// The length in a field specifier that says each record carries the length of its own value
/// (RFC 7011, section 7).
pub const VARIABLE: u16 = u16::MAX;

/// An entry of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InformationElement {
    /// Who defined the element; 0 for IANA.
    pub pen: u32,
    /// 1 to 32767: the top bit of the wire's 16 is the enterprise bit.
    pub id: u16,
    /// What the registry calls the element (RFC 7012, section 2.1).
    pub name: &'static str,
    /// The name of the element for the opposite direction; empty if it has none.
    reverse_name: &'static str,
    /// How its values are to be read (RFC 7012, section 3.1).
    pub data_type: DataType,
    /// How long a value is in a record; [`VARIABLE`] if each record says so.
    pub length: u16,
    /// How its values behave (RFC 7012, section 3.2).
    pub semantics: Semantics,
    /// What its values are measured in, if anything.
    pub units: Option<&'static str>,
    /// The smallest and largest meaningful value, where the registry limits them.
    pub range: Option<(u64, u64)>,
}

impl InformationElement {
    /// Returns the same element for the reverse direction of a Biflow (RFC 5103, section 6.1).
    ///
    /// # Panics
    ///
    /// If the element is not IANA's: other enterprises give the reverse direction ids of their
    /// own, so there is nothing to return. In a constant, this is a compile error.
    #[must_use]
    pub const fn reverse(self) -> Self {
        assert!(self.pen == IANA_PEN, "only IANA elements have a reverse element under PEN 29305");
        Self { pen: REVERSE_PEN, name: self.reverse_name, reverse_name: self.name, ..self }
    }
}

/// The beginning of every row of the IANA registry; what a row adds is chained to it.
const fn of_iana(
    id: u16,
    name: &'static str,
    reverse_name: &'static str,
    data_type: DataType,
) -> InformationElement {
    InformationElement { pen: IANA_PEN, reverse_name, ..of_antrea(id, name, data_type) }
}

/// The beginning of every row of Antrea's registry.
const fn of_antrea(id: u16, name: &'static str, data_type: DataType) -> InformationElement {
    InformationElement {
        pen: ANTREA_PEN,
        id,
        name,
        reverse_name: "",
        data_type,
        length: data_type.natural_length(),
        semantics: Semantics::Default,
        units: None,
        range: None,
    }
}

/// The beginning of every row of the registry Antrea had at first.
const fn of_antrea_interim(id: u16, name: &'static str, data_type: DataType) -> InformationElement {
    InformationElement { pen: ANTREA_INTERIM_PEN, ..of_antrea(id, name, data_type) }
}

/// What a row may add.
impl InformationElement {
    const fn length(self, length: u16) -> Self {
        Self { length, ..self }
    }

    const fn semantics(self, semantics: Semantics) -> Self {
        Self { semantics, ..self }
    }

    const fn units(self, units: &'static str) -> Self {
        Self { units: Some(units), ..self }
    }

    const fn range(self, from: u64, to: u64) -> Self {
        Self { range: Some((from, to)), ..self }
    }
}

/// Returns the element that `pen` and `id` identify, if it is known.
pub fn element(pen: u32, id: u16) -> Option<InformationElement> {
    let (elements, reversed) = match pen {
        IANA_PEN => (iana::ELEMENTS, false),
        REVERSE_PEN => (iana::ELEMENTS, true),
        ANTREA_PEN => (antrea::ELEMENTS, false),
        ANTREA_INTERIM_PEN => (antrea_interim::ELEMENTS, false),
        _ => return None,
    };
    let index = elements.binary_search_by_key(&id, |element| element.id).ok()?;
    let element = elements.get(index).copied()?;
    Some(if reversed { element.reverse() } else { element })
}

/// Returns the element called `name`, reverse elements included.
///
/// What Antrea called its elements at first is not looked for: most of those names are today's as
/// well, and then mean today's elements. Compares with every name there is: meant for configuration, not for records.
pub fn by_name(name: &str) -> Option<InformationElement> {
    let known = iana::ELEMENTS.iter().chain(antrea::ELEMENTS);
    if let Some(element) = known.copied().find(|element| element.name == name) {
        return Some(element);
    }
    let forward = iana::ELEMENTS.iter().find(|element| element.reverse_name == name)?;
    Some(forward.reverse())
}

/// Returns the numbers an element has today: those of Antrea's first registry become the ones its
/// name has in the second, and all others stay as they are.
///
/// The one name that is not in the second is `destinationClusterIP`, which got one element per
/// family.
pub fn current(pen: u32, id: u16) -> (u32, u16) {
    if pen != ANTREA_INTERIM_PEN {
        return (pen, id);
    }
    let Some(then) = element(pen, id) else { return (pen, id) };
    let cluster_ip = antrea_interim::DESTINATION_CLUSTER_IP;
    let now = match then {
        then if then == cluster_ip => Some(antrea::DESTINATION_CLUSTER_IPV4),
        then => by_name(then.name),
    };
    now.map_or((pen, id), |now| (now.pen, now.id))
}

/// Shows the element the way people write it: `octetDeltaCount(1)`, `sourcePodName(56506/101)`.
impl fmt::Display for InformationElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pen {
            IANA_PEN => write!(f, "{}({})", self.name, self.id),
            pen => write!(f, "{}({pen}/{})", self.name, self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVERSE_OCTETS: InformationElement = iana::OCTET_DELTA_COUNT.reverse();

    #[test]
    fn elements_are_found_by_number_and_by_name() {
        for element in iana::ELEMENTS.iter().chain(antrea::ELEMENTS).copied() {
            assert_eq!(super::element(element.pen, element.id), Some(element));
            assert_eq!(by_name(element.name), Some(element));
        }
    }

    #[test]
    fn reverse_elements_are_found_by_number_and_by_name() {
        for element in iana::ELEMENTS.iter().map(|element| element.reverse()) {
            assert_eq!(super::element(REVERSE_PEN, element.id), Some(element));
            assert_eq!(by_name(element.name), Some(element));
        }
        assert_eq!(REVERSE_OCTETS.name, "reverseOctetDeltaCount");
        assert_eq!((REVERSE_OCTETS.pen, REVERSE_OCTETS.id), (29305, 1));
    }

    #[test]
    fn names_of_antrea_that_begin_with_reverse_are_its_own() {
        let element = by_name("reverseOctetDeltaCountFromSourceNode").unwrap();
        assert_eq!((element.pen, element.id), (ANTREA_PEN, 127));
    }

    #[test]
    fn what_antrea_used_at_first_is_found_by_number_only() {
        for element in antrea_interim::ELEMENTS.iter().copied() {
            assert_eq!(super::element(ANTREA_INTERIM_PEN, element.id), Some(element));
            assert_ne!(by_name(element.name).map(|found| found.pen), Some(ANTREA_INTERIM_PEN));
        }
        let then = super::element(ANTREA_INTERIM_PEN, 108).unwrap();
        let now = super::element(ANTREA_PEN, 108).unwrap();
        assert_eq!((then.name, then.length), ("destinationServicePortName", VARIABLE));
        assert_eq!((now.name, now.length), ("destinationServicePort", 2));
    }

    #[test]
    fn what_antrea_used_at_first_has_another_number_today() {
        let interim = antrea_interim::ELEMENTS.iter();
        let now: Vec<_> = interim.map(|element| current(element.pen, element.id).1).collect();
        // The policies' four names follow the Service's two, which the two families pushed on.
        assert_eq!(now, [100, 101, 102, 103, 104, 105, 106, 108, 109, 110, 111, 112, 113]);
        assert_eq!(current(ANTREA_INTERIM_PEN, 113), (ANTREA_INTERIM_PEN, 113), "not assigned");
        assert_eq!(current(ANTREA_PEN, 107), (ANTREA_PEN, 107));
    }

    #[test]
    fn unknown_elements_are_not_found() {
        assert_eq!(element(IANA_PEN, 0), None);
        assert_eq!(element(IANA_PEN, 97), None, "only assigned for NetFlow version 9");
        assert_eq!(element(4242, 1), None);
        assert_eq!(by_name("reverse"), None);
        assert_eq!(by_name(""), None);
    }

    #[test]
    fn an_identifier_of_antrea_is_an_octet_array_of_sixteen_bytes() {
        assert_eq!(antrea::SOURCE_POD_UUID.data_type, DataType::OctetArray);
        assert_eq!(antrea::SOURCE_POD_UUID.length, 16);
    }

    #[test]
    fn no_element_uses_the_enterprise_bit() {
        let known = iana::ELEMENTS.iter().chain(antrea::ELEMENTS);
        assert!(known.map(|element| element.id).all(|id| (1..0x8000).contains(&id)));
    }

    #[test]
    fn elements_are_shown_with_their_numbers() {
        assert_eq!(iana::OCTET_DELTA_COUNT.to_string(), "octetDeltaCount(1)");
        assert_eq!(antrea::SOURCE_POD_NAME.to_string(), "sourcePodName(56506/101)");
    }
}
