//! A registry that grows while the program runs.
//!
//! The built-in tables are constants, and most programs need no more. A [`Registry`] lays further
//! elements over them: those an operator lists in a file, and those an exporter describes itself
//! (RFC 5610). Both are strangers to this crate, but they are not trusted alike: an operator may
//! correct what is built in, an exporter may only add to it.

use hashbrown::HashMap;

use super::{
    DataType, IANA_PEN, InformationElement, MAX_ID, REVERSE_PEN, Semantics, by_name, element,
};

/// How many elements a registry takes from exporters, unless told otherwise.
const LEARNED: usize = 4_096;

/// The longest name or unit that is remembered of an element, in bytes.
const LONGEST_NAME: usize = 255;

/// An Information Element that owns its words (RFC 7012, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Definition {
    /// Who defined the element; 0 for IANA.
    pub pen: u32,
    /// 1 to [`MAX_ID`].
    pub id: u16,
    /// What the element is called (RFC 7012, section 2.1).
    pub name: String,
    /// How its values are to be read (RFC 7012, section 3.1).
    pub data_type: DataType,
    /// How long a value is in a record; [`super::VARIABLE`] if each record says so.
    pub length: u16,
    /// How its values behave (RFC 7012, section 3.2).
    pub semantics: Semantics,
    /// What its values are measured in, if anything.
    pub units: Option<String>,
    /// The smallest and largest meaningful value.
    pub range: Option<(u64, u64)>,
}

impl Definition {
    /// Describes an element with the natural length of its type and nothing special about it.
    pub fn new(pen: u32, id: u16, name: impl Into<String>, data_type: DataType) -> Self {
        let (name, length) = (name.into(), data_type.natural_length());
        Self {
            pen,
            id,
            name,
            data_type,
            length,
            semantics: Semantics::Default,
            units: None,
            range: None,
        }
    }
}

/// An element a [`Registry`] knows, from wherever it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Known<'a> {
    /// Who defined the element; 0 for IANA.
    pub pen: u32,
    /// 1 to [`MAX_ID`].
    pub id: u16,
    /// What the element is called (RFC 7012, section 2.1).
    pub name: &'a str,
    /// How its values are to be read (RFC 7012, section 3.1).
    pub data_type: DataType,
    /// How long a value is in a record; [`super::VARIABLE`] if each record says so.
    pub length: u16,
    /// How its values behave (RFC 7012, section 3.2).
    pub semantics: Semantics,
    /// What its values are measured in, if anything.
    pub units: Option<&'a str>,
    /// The smallest and largest meaningful value.
    pub range: Option<(u64, u64)>,
}

impl From<InformationElement> for Known<'static> {
    fn from(element: InformationElement) -> Self {
        let InformationElement {
            pen, id, name, data_type, length, semantics, units, range, ..
        } = element;
        Self { pen, id, name, data_type, length, semantics, units, range }
    }
}

impl<'a> From<&'a Definition> for Known<'a> {
    fn from(definition: &'a Definition) -> Self {
        let Definition { pen, id, data_type, length, semantics, range, .. } = *definition;
        let (name, units) = (definition.name.as_str(), definition.units.as_deref());
        Self { pen, id, name, data_type, length, semantics, units, range }
    }
}

/// Why an element was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// No id is 0 or has the enterprise bit (RFC 7011, section 3.2).
    #[error("id is {0}, but must be between 1 and 32767")]
    Id(u16),
    /// RFC 5103, section 6.1.
    #[error("reverse elements follow from those of IANA and cannot be added")]
    Reverse,
    /// The name or the units are too long, or there is no name.
    #[error("name is {0} bytes long, but must be between 1 and 255")]
    Name(usize),
    /// Values of no bytes say nothing.
    #[error("length is 0")]
    Length,
    /// No value is in the range.
    #[error("range is from {0} to {1}")]
    Range(u64, u64),
    /// What is known is not for an exporter to change.
    #[error("element is already known")]
    Known,
    /// An exporter has described as much as is remembered.
    #[error("{0} elements have been learned, and no more are taken")]
    Full(usize),
}

/// The built-in tables, and what was added to them.
#[derive(Debug, Clone)]
pub struct Registry {
    added: HashMap<(u32, u16), Definition>,
    learned: usize,
    max_learned: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Starts with the built-in tables.
    pub fn new() -> Self {
        Self::with_room(LEARNED)
    }

    /// Starts with the built-in tables, and learns at most `max_learned` elements from exporters.
    pub fn with_room(max_learned: usize) -> Self {
        Self { added: HashMap::new(), learned: 0, max_learned }
    }

    /// Adds an element its operator vouches for, in the place of the one that was known.
    ///
    /// An element of IANA brings its reverse element along (RFC 5103, section 6.1).
    pub fn add(&mut self, definition: Definition) -> Result<(), AddError> {
        check(&definition)?;
        if definition.pen == IANA_PEN {
            let reverse = Definition {
                pen: REVERSE_PEN,
                name: reversed(&definition.name),
                ..definition.clone()
            };
            self.added.insert((REVERSE_PEN, reverse.id), reverse);
        }
        self.added.insert((definition.pen, definition.id), definition);
        Ok(())
    }

    /// Adds an element its exporter described, unless one is known.
    ///
    /// Elements of IANA are not learned: what they are is not for an exporter to say.
    pub fn learn(&mut self, definition: Definition) -> Result<(), AddError> {
        check(&definition)?;
        if definition.pen == IANA_PEN || self.element(definition.pen, definition.id).is_some() {
            return Err(AddError::Known);
        }
        if self.learned >= self.max_learned {
            return Err(AddError::Full(self.max_learned));
        }
        self.learned += 1;
        self.added.insert((definition.pen, definition.id), definition);
        Ok(())
    }

    /// Returns the element that `pen` and `id` identify, if it is known.
    pub fn element(&self, pen: u32, id: u16) -> Option<Known<'_>> {
        let added = self.added.get(&(pen, id)).map(Known::from);
        added.or_else(|| element(pen, id).map(Known::from))
    }

    /// Returns the element called `name`: one that is built in, or else one that was added.
    ///
    /// Of several that were added, it is the one with the lowest numbers. Compares with every name
    /// there is: meant for configuration, not for records.
    pub fn by_name(&self, name: &str) -> Option<Known<'_>> {
        let built_in = by_name(name).and_then(|built_in| self.element(built_in.pen, built_in.id));
        if let Some(same) = built_in.filter(|element| element.name == name) {
            return Some(same);
        }
        let named = self.added.values().filter(|definition| definition.name == name);
        named.min_by_key(|definition| (definition.pen, definition.id)).map(Known::from)
    }

    /// Returns how many elements have been added, reverse elements included.
    pub fn added(&self) -> usize {
        self.added.len()
    }
}

fn check(definition: &Definition) -> Result<(), AddError> {
    let Definition { pen, id, length, range, .. } = *definition;
    if !(1..=MAX_ID).contains(&id) {
        return Err(AddError::Id(id));
    }
    if pen == REVERSE_PEN {
        return Err(AddError::Reverse);
    }
    let units = definition.units.as_deref().unwrap_or_default();
    for word in [&definition.name, units] {
        if word.len() > LONGEST_NAME {
            return Err(AddError::Name(word.len()));
        }
    }
    if definition.name.is_empty() {
        return Err(AddError::Name(0));
    }
    if length == 0 {
        return Err(AddError::Length);
    }
    match range {
        Some((from, to)) if from > to => Err(AddError::Range(from, to)),
        _ => Ok(()),
    }
}

/// `octetDeltaCount` becomes `reverseOctetDeltaCount`.
fn reversed(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    "reverse".chars().chain(first).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::iana;

    fn acme(id: u16) -> Definition {
        Definition::new(4242, id, format!("acme{id}"), DataType::Unsigned32)
    }

    #[test]
    fn what_is_built_in_is_known() {
        let registry = Registry::new();
        let octets = Known::from(iana::OCTET_DELTA_COUNT);
        assert_eq!(registry.element(0, 1), Some(octets));
        assert_eq!(registry.by_name("octetDeltaCount"), Some(octets));
        assert_eq!(registry.by_name("reverseOctetDeltaCount").unwrap().pen, REVERSE_PEN);
        assert_eq!(registry.element(4242, 1), None);
    }

    #[test]
    fn what_is_added_is_known() {
        let mut registry = Registry::new();
        registry.add(acme(1)).unwrap();
        assert_eq!(registry.element(4242, 1).unwrap().name, "acme1");
        assert_eq!(registry.by_name("acme1").unwrap().data_type, DataType::Unsigned32);
    }

    #[test]
    fn an_operator_may_correct_what_is_built_in() {
        let mut registry = Registry::new();
        registry.add(Definition::new(0, 1, "bytes", DataType::Unsigned32)).unwrap();
        assert_eq!(registry.element(0, 1).unwrap().name, "bytes");
        assert_eq!(registry.by_name("octetDeltaCount"), None, "it is called bytes now");
        assert_eq!(registry.element(REVERSE_PEN, 1).unwrap().name, "reverseBytes");
    }

    #[test]
    fn an_exporter_may_only_add() {
        let mut registry = Registry::with_room(2);
        registry.add(acme(1)).unwrap();
        assert_eq!(registry.learn(acme(1)), Err(AddError::Known));
        assert_eq!(registry.learn(Definition { pen: 0, ..acme(1) }), Err(AddError::Known));
        assert_eq!(registry.learn(Definition { pen: 56506, ..acme(101) }), Err(AddError::Known));
        registry.learn(acme(2)).unwrap();
        registry.learn(acme(3)).unwrap();
        assert_eq!(registry.learn(acme(4)), Err(AddError::Full(2)));
        registry.add(acme(4)).unwrap();
        assert_eq!(registry.added(), 4);
    }

    #[test]
    fn what_cannot_be_an_element_is_refused() {
        let mut registry = Registry::new();
        assert_eq!(registry.add(acme(0)), Err(AddError::Id(0)));
        assert_eq!(registry.add(acme(0x8000)), Err(AddError::Id(0x8000)));
        assert_eq!(registry.add(Definition { pen: 29305, ..acme(1) }), Err(AddError::Reverse));
        assert_eq!(registry.add(Definition { length: 0, ..acme(1) }), Err(AddError::Length));
        let name = String::new();
        assert_eq!(registry.add(Definition { name, ..acme(1) }), Err(AddError::Name(0)));
        let name = "x".repeat(256);
        assert_eq!(registry.add(Definition { name, ..acme(1) }), Err(AddError::Name(256)));
        let range = Some((2, 1));
        assert_eq!(registry.add(Definition { range, ..acme(1) }), Err(AddError::Range(2, 1)));
    }
}
