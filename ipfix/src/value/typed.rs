//! A value whose type is known only at run time.
//!
//! Whoever knows the fields it wants reads them with the functions of [`super`]; this is for those
//! who handle any field, such as a dump or a generic store.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    boolean, float, ipv4, ipv6, mac, microseconds, milliseconds, nanoseconds, seconds, signed,
    string, unsigned,
};
use crate::{encode::RecordWriter, registry::DataType, template::VARIABLE};

/// A value, by what its type means (RFC 7012, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Of type `octetArray`, `unsigned256` or a list, or not of the length its type has.
    Octets(&'a [u8]),
    /// RFC 7011, section 6.1.1.
    Unsigned(u64),
    /// RFC 7011, section 6.1.1.
    Signed(i64),
    /// RFC 7011, sections 6.1.3 and 6.1.4.
    Float(f64),
    /// RFC 7011, section 6.1.5.
    Boolean(bool),
    /// RFC 7011, section 6.1.2.
    Mac([u8; 6]),
    /// RFC 7011, section 6.1.6.
    String(&'a str),
    /// Since the UNIX epoch (RFC 7011, sections 6.1.7 to 6.1.10).
    Time(Duration),
    /// RFC 7011, section 6.1.2.
    Ipv4(Ipv4Addr),
    /// RFC 7011, section 6.1.2.
    Ipv6(Ipv6Addr),
}

impl<'a> Value<'a> {
    /// Reads a value of `data_type`. What is not one is handed out as the octets it is.
    pub fn decode(data_type: DataType, value: &'a [u8]) -> Self {
        use DataType as T;
        let fits = value.len() <= usize::from(data_type.natural_length());
        let typed = match data_type {
            T::Unsigned8 | T::Unsigned16 | T::Unsigned32 | T::Unsigned64 => {
                unsigned(value).filter(|_| fits).map(Self::Unsigned)
            }
            T::Signed8 | T::Signed16 | T::Signed32 | T::Signed64 => {
                signed(value).filter(|_| fits).map(Self::Signed)
            }
            T::Float32 | T::Float64 => float(value).filter(|_| fits).map(Self::Float),
            T::Boolean => boolean(value).map(Self::Boolean),
            T::MacAddress => mac(value).map(Self::Mac),
            T::String => string(value).map(Self::String),
            T::DateTimeSeconds => seconds(value).filter(|_| fits).map(Self::Time),
            T::DateTimeMilliseconds => milliseconds(value).filter(|_| fits).map(Self::Time),
            T::DateTimeMicroseconds => microseconds(value).map(Self::Time),
            T::DateTimeNanoseconds => nanoseconds(value).map(Self::Time),
            T::Ipv4Address => ipv4(value).map(Self::Ipv4),
            T::Ipv6Address => ipv6(value).map(Self::Ipv6),
            T::OctetArray
            | T::Unsigned256
            | T::BasicList
            | T::SubTemplateList
            | T::SubTemplateMultiList => None,
        };
        typed.unwrap_or(Self::Octets(value))
    }

    /// Writes the value as one of `data_type` into a field of `length` bytes, which may be
    /// [`VARIABLE`].
    ///
    /// A value that is of another type, or that `length` cannot express, makes the record refused.
    pub fn encode(self, data_type: DataType, length: u16, writer: &mut RecordWriter<'_>) {
        if length != VARIABLE {
            return self.encode_fixed(data_type, length, writer);
        }
        // Text and octets know their length; everything else has that of its type.
        match (self, data_type.natural_length()) {
            (Self::Octets(octets), _) => writer.variable(octets),
            (Self::String(text), _) => writer.string(text),
            (_, VARIABLE) => writer.refuse(),
            (_, natural) => {
                writer.length(usize::from(natural));
                self.encode_fixed(data_type, natural, writer);
            }
        }
    }

    fn encode_fixed(self, data_type: DataType, length: u16, writer: &mut RecordWriter<'_>) {
        let natural = data_type.natural_length();
        let whole = length == natural;
        match self {
            Self::Octets(octets) => writer.exactly(octets, length),
            Self::String(text) => writer.exactly(text.as_bytes(), length),
            Self::Unsigned(number) if length <= natural => writer.unsigned(number, length),
            Self::Signed(number) if length <= natural => writer.signed(number, length),
            Self::Float(number) if length == 4 => writer.reduced_float(number),
            Self::Float(number) if length == 8 && whole => writer.f64(number),
            Self::Boolean(truth) if length == 1 => writer.boolean(truth),
            Self::Mac(address) if length == 6 => writer.mac(address),
            Self::Ipv4(address) if length == 4 => writer.ipv4(address),
            Self::Ipv6(address) if length == 16 => writer.ipv6(address),
            Self::Time(time) if whole => match data_type {
                DataType::DateTimeSeconds => writer.seconds(time),
                DataType::DateTimeMilliseconds => writer.milliseconds(time),
                DataType::DateTimeMicroseconds => writer.microseconds(time),
                DataType::DateTimeNanoseconds => writer.nanoseconds(time),
                _ => writer.refuse(),
            },
            _ => writer.refuse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Encoder, Packing};
    use crate::template::TemplateId;

    /// Writes `value`, and compares its bytes; `None` stands for a refused record.
    #[track_caller]
    fn check(value: Value<'_>, data_type: DataType, length: u16, expected: Option<&[u8]>) {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(7, 512, Packing::OneRecord);
        let written = encoder
            .record(0, TemplateId::MIN, &mut out, |record| value.encode(data_type, length, record));
        assert_eq!(written.ok().and_then(|()| out.get(20..)), expected);
    }

    #[test]
    fn a_value_is_written_as_its_type_and_length_ask_for() {
        check(Value::Unsigned(258), DataType::Unsigned64, 2, Some(&[1, 2]));
        check(Value::Unsigned(258), DataType::Unsigned64, 3, Some(&[0, 1, 2]));
        check(Value::Signed(-2), DataType::Signed32, 2, Some(&[0xff, 0xfe]));
        check(Value::Float(1.5), DataType::Float64, 4, Some(&1.5_f32.to_be_bytes()));
        check(Value::String("ab"), DataType::String, VARIABLE, Some(b"\x02ab"));
        check(Value::String("ab"), DataType::String, 2, Some(b"ab"));
        check(Value::Unsigned(7), DataType::Unsigned16, VARIABLE, Some(&[2, 0, 7]));
        check(Value::Boolean(false), DataType::Boolean, 1, Some(&[2]));
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        check(Value::Unsigned(256), DataType::Unsigned64, 1, None);
        check(Value::Unsigned(1), DataType::Unsigned16, 4, None);
        check(Value::Unsigned(1), DataType::Unsigned64, 0, None);
        check(Value::Signed(128), DataType::Signed32, 1, None);
        check(Value::Signed(1), DataType::Signed32, 0, None);
        check(Value::Float(0.1), DataType::Float64, 4, None);
        check(Value::String("abc"), DataType::String, 2, None);
        check(Value::Boolean(true), DataType::String, VARIABLE, None);
        check(Value::Time(Duration::MAX), DataType::DateTimeSeconds, 4, None);
        check(Value::Time(Duration::MAX), DataType::DateTimeMilliseconds, 8, None);
        check(Value::Time(Duration::MAX), DataType::DateTimeNanoseconds, 8, None);
    }

    #[test]
    fn what_is_not_of_its_type_is_octets() {
        let octets = [1, 2, 3, 4, 5];
        let as_is = Value::Octets(&octets);
        for data_type in [DataType::Unsigned32, DataType::Ipv4Address, DataType::Float32] {
            assert_eq!(Value::decode(data_type, &octets), as_is);
        }
        assert_eq!(Value::decode(DataType::Unsigned64, &octets), Value::Unsigned(0x01_0203_0405));
    }
}
