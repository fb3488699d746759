//! What kinds of values there are, by name and by number.
//!
//! Names are those of the registry; numbers are those by which one process tells another the type
//! of an element (RFC 5610, sections 3.1, 3.6 and 3.7, and the sub-registries of IANA they set up).

use std::str::FromStr;

use super::VARIABLE;

/// An abstract data type (RFC 7012, section 3.1, and RFC 6313, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Octets, with whatever meaning (RFC 7012, section 3.1.13).
    OctetArray,
    /// RFC 7012, section 3.1.1.
    Unsigned8,
    /// RFC 7012, section 3.1.2.
    Unsigned16,
    /// RFC 7012, section 3.1.3.
    Unsigned32,
    /// RFC 7012, section 3.1.4.
    Unsigned64,
    /// An unsigned integer of 32 bytes, assigned by IANA.
    Unsigned256,
    /// RFC 7012, section 3.1.5.
    Signed8,
    /// RFC 7012, section 3.1.6.
    Signed16,
    /// RFC 7012, section 3.1.7.
    Signed32,
    /// RFC 7012, section 3.1.8.
    Signed64,
    /// RFC 7012, section 3.1.9.
    Float32,
    /// RFC 7012, section 3.1.10.
    Float64,
    /// RFC 7012, section 3.1.11.
    Boolean,
    /// RFC 7012, section 3.1.12.
    MacAddress,
    /// Text in UTF-8 (RFC 7012, section 3.1.14).
    String,
    /// RFC 7012, section 3.1.15.
    DateTimeSeconds,
    /// RFC 7012, section 3.1.16.
    DateTimeMilliseconds,
    /// RFC 7012, section 3.1.17.
    DateTimeMicroseconds,
    /// RFC 7012, section 3.1.18.
    DateTimeNanoseconds,
    /// RFC 7012, section 3.1.19.
    Ipv4Address,
    /// RFC 7012, section 3.1.20.
    Ipv6Address,
    /// Values of one element (RFC 6313, section 4.5.1).
    BasicList,
    /// Records of one Template (RFC 6313, section 4.5.2).
    SubTemplateList,
    /// Records of several Templates (RFC 6313, section 4.5.3).
    SubTemplateMultiList,
}

/// Every data type, at the place of its number.
const DATA_TYPES: [(DataType, &str); 24] = [
    (DataType::OctetArray, "octetArray"),
    (DataType::Unsigned8, "unsigned8"),
    (DataType::Unsigned16, "unsigned16"),
    (DataType::Unsigned32, "unsigned32"),
    (DataType::Unsigned64, "unsigned64"),
    (DataType::Signed8, "signed8"),
    (DataType::Signed16, "signed16"),
    (DataType::Signed32, "signed32"),
    (DataType::Signed64, "signed64"),
    (DataType::Float32, "float32"),
    (DataType::Float64, "float64"),
    (DataType::Boolean, "boolean"),
    (DataType::MacAddress, "macAddress"),
    (DataType::String, "string"),
    (DataType::DateTimeSeconds, "dateTimeSeconds"),
    (DataType::DateTimeMilliseconds, "dateTimeMilliseconds"),
    (DataType::DateTimeMicroseconds, "dateTimeMicroseconds"),
    (DataType::DateTimeNanoseconds, "dateTimeNanoseconds"),
    (DataType::Ipv4Address, "ipv4Address"),
    (DataType::Ipv6Address, "ipv6Address"),
    (DataType::BasicList, "basicList"),
    (DataType::SubTemplateList, "subTemplateList"),
    (DataType::SubTemplateMultiList, "subTemplateMultiList"),
    (DataType::Unsigned256, "unsigned256"),
];

impl DataType {
    /// Returns how many bytes a value takes when its length is not reduced (RFC 7011, section
    /// 6.1); [`VARIABLE`] for types without a length of their own.
    pub const fn natural_length(self) -> u16 {
        match self {
            Self::Unsigned8 | Self::Signed8 | Self::Boolean => 1,
            Self::Unsigned16 | Self::Signed16 => 2,
            Self::Unsigned32
            | Self::Signed32
            | Self::Float32
            | Self::DateTimeSeconds
            | Self::Ipv4Address => 4,
            Self::MacAddress => 6,
            Self::Unsigned64
            | Self::Signed64
            | Self::Float64
            | Self::DateTimeMilliseconds
            | Self::DateTimeMicroseconds
            | Self::DateTimeNanoseconds => 8,
            Self::Ipv6Address => 16,
            Self::Unsigned256 => 32,
            Self::OctetArray
            | Self::String
            | Self::BasicList
            | Self::SubTemplateList
            | Self::SubTemplateMultiList => VARIABLE,
        }
    }

    /// Returns true if values are lists of others (RFC 6313, section 4.5).
    pub const fn is_list(self) -> bool {
        matches!(self, Self::BasicList | Self::SubTemplateList | Self::SubTemplateMultiList)
    }

    /// Returns the type `number` stands for (RFC 5610, section 3.1).
    pub fn from_number(number: u8) -> Option<Self> {
        DATA_TYPES.get(usize::from(number)).map(|&(data_type, _)| data_type)
    }

    /// Returns the number that stands for the type (RFC 5610, section 3.1).
    pub fn number(self) -> u8 {
        place(&DATA_TYPES, &self)
    }

    /// Returns what the registry calls the type.
    pub fn name(self) -> &'static str {
        DATA_TYPES.get(usize::from(self.number())).map_or("", |&(_, name)| name)
    }
}

/// How values of an element behave (RFC 7012, section 3.2, and RFC 6313, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// Nothing in particular.
    Default,
    /// A measured value (RFC 7012, section 3.2.1).
    Quantity,
    /// Counts since the flow began (RFC 7012, section 3.2.2).
    TotalCounter,
    /// Counts since the record before (RFC 7012, section 3.2.3).
    DeltaCounter,
    /// Tells one thing from another (RFC 7012, section 3.2.4).
    Identifier,
    /// Single bits with meanings of their own (RFC 7012, section 3.2.5).
    Flags,
    /// Structured data (RFC 6313).
    List,
    /// A counter of SNMP (RFC 8038).
    SnmpCounter,
    /// A gauge of SNMP (RFC 8038).
    SnmpGauge,
}

/// All semantics, each at the place of its number.
const SEMANTICS: [(Semantics, &str); 9] = [
    (Semantics::Default, "default"),
    (Semantics::Quantity, "quantity"),
    (Semantics::TotalCounter, "totalCounter"),
    (Semantics::DeltaCounter, "deltaCounter"),
    (Semantics::Identifier, "identifier"),
    (Semantics::Flags, "flags"),
    (Semantics::List, "list"),
    (Semantics::SnmpCounter, "snmpCounter"),
    (Semantics::SnmpGauge, "snmpGauge"),
];

impl Semantics {
    /// Returns the semantics `number` stands for (RFC 5610, section 3.6).
    pub fn from_number(number: u8) -> Option<Self> {
        SEMANTICS.get(usize::from(number)).map(|&(semantics, _)| semantics)
    }

    /// Returns the number that stands for the semantics (RFC 5610, section 3.6).
    pub fn number(self) -> u8 {
        place(&SEMANTICS, &self)
    }

    /// Returns what the registry calls the semantics.
    pub fn name(self) -> &'static str {
        SEMANTICS.get(usize::from(self.number())).map_or("", |&(_, name)| name)
    }
}

/// What values are measured in, each at the place of its number (RFC 5610, section 3.7); the
/// first is none.
pub const UNITS: [&str; 16] = [
    "",
    "bits",
    "octets",
    "packets",
    "flows",
    "seconds",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "4-octet words",
    "messages",
    "hops",
    "entries",
    "frames",
    "ports",
    "inferred",
];

/// A word the registry does not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of the registry")]
pub struct UnknownWord;

impl FromStr for DataType {
    type Err = UnknownWord;

    /// Reads what the registry calls the type.
    fn from_str(name: &str) -> Result<Self, UnknownWord> {
        named(&DATA_TYPES, name)
    }
}

impl FromStr for Semantics {
    type Err = UnknownWord;

    /// Reads what the registry calls the semantics; nothing is [`Self::Default`].
    fn from_str(name: &str) -> Result<Self, UnknownWord> {
        if name.is_empty() { Ok(Self::Default) } else { named(&SEMANTICS, name) }
    }
}

fn named<T: Copy>(table: &[(T, &str)], name: &str) -> Result<T, UnknownWord> {
    table.iter().find(|(_, known)| *known == name).map(|&(value, _)| value).ok_or(UnknownWord)
}

fn place<T: PartialEq>(table: &[(T, &str)], value: &T) -> u8 {
    let index = table.iter().position(|(known, _)| known == value);
    index.and_then(|index| u8::try_from(index).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_number_and_one_name() {
        for number in 0..24 {
            let data_type = DataType::from_number(number).unwrap();
            assert_eq!(data_type.number(), number);
            assert_eq!(data_type.name().parse(), Ok(data_type));
        }
        assert_eq!(DataType::from_number(24), None);
        assert_eq!(DataType::Unsigned256.number(), 23);
        assert_eq!("unsigned128".parse::<DataType>(), Err(UnknownWord));
    }

    #[test]
    fn all_semantics_have_one_number_and_one_name() {
        for number in 0..9 {
            let semantics = Semantics::from_number(number).unwrap();
            assert_eq!(semantics.number(), number);
            assert_eq!(semantics.name().parse(), Ok(semantics));
        }
        assert_eq!(Semantics::from_number(9), None);
        assert_eq!("".parse(), Ok(Semantics::Default));
    }
}
