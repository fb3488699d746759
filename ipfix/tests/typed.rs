//! Values of every type, in any field that can hold them, come back as they were; and messages
//! that were decoded are encoded to the same bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

use std::time::Duration;

use ipfix::{
    decode::{DataRecord, Limits, Rules, Session, Types, list::List},
    encode::{Encoder, MAX_STREAM_MESSAGE, Packing, RecordWriter},
    file::Messages,
    list::ListSemantic,
    registry::{self, DataType, InformationElement, antrea, iana},
    template::{FieldSpecifier, Template, TemplateId, VARIABLE},
    value::Value,
};
use proptest::{collection::vec, prelude::*, sample};

/// A value that owns its bytes; see [`Value`].
#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Octets(Vec<u8>),
    Text(String),
    Other(Value<'static>),
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Octets(octets) => Value::Octets(octets),
            Self::Text(text) => Value::String(text),
            Self::Other(value) => *value,
        }
    }
}

/// One field of a template, and one value of it.
#[derive(Debug, Clone)]
struct Field {
    element: InformationElement,
    length: u16,
    value: Owned,
}

/// Every element there is, of IANA, of Antrea and of the reverse direction.
fn elements() -> Vec<InformationElement> {
    let pens = [registry::IANA_PEN, registry::REVERSE_PEN, registry::ANTREA_PEN];
    let ids = pens.into_iter().flat_map(|pen| (1..600).map(move |id| (pen, id)));
    ids.filter_map(|(pen, id)| registry::element(pen, id)).collect()
}

fn field() -> impl Strategy<Value = Field> {
    sample::select(elements()).prop_flat_map(|element| {
        value(element).prop_map(move |(length, value)| Field { element, length, value })
    })
}

/// A value of an element, and the length of a field that can hold it.
fn value(element: InformationElement) -> BoxedStrategy<(u16, Owned)> {
    use DataType as T;
    let natural = element.data_type.natural_length();
    let whole = move |value: Value<'static>| (natural, Owned::Other(value));
    match element.data_type {
        T::Unsigned8 | T::Unsigned16 | T::Unsigned32 | T::Unsigned64 => (any::<u64>(), 1..=natural)
            .prop_map(|(number, length)| {
                let kept = number >> (64 - 8 * u32::from(length));
                (length, Owned::Other(Value::Unsigned(kept)))
            })
            .boxed(),
        T::Signed8 | T::Signed16 | T::Signed32 | T::Signed64 => (any::<i64>(), 1..=natural)
            .prop_map(|(number, length)| {
                let kept = number >> (64 - 8 * u32::from(length));
                (length, Owned::Other(Value::Signed(kept)))
            })
            .boxed(),
        T::Float32 => any::<f32>().prop_map(move |n| whole(Value::Float(n.into()))).boxed(),
        T::Float64 => any::<f64>().prop_map(move |n| whole(Value::Float(n))).boxed(),
        T::Boolean => any::<bool>().prop_map(move |truth| whole(Value::Boolean(truth))).boxed(),
        T::MacAddress => any::<[u8; 6]>().prop_map(move |mac| whole(Value::Mac(mac))).boxed(),
        T::Ipv4Address => {
            any::<[u8; 4]>().prop_map(move |ip| whole(Value::Ipv4(ip.into()))).boxed()
        }
        T::Ipv6Address => {
            any::<[u8; 16]>().prop_map(move |ip| whole(Value::Ipv6(ip.into()))).boxed()
        }
        T::DateTimeSeconds => time(1_000_000_000).prop_map(move |t| whole(Value::Time(t))).boxed(),
        T::DateTimeMilliseconds => time(1_000_000).prop_map(move |t| whole(Value::Time(t))).boxed(),
        T::DateTimeMicroseconds => time(1_000).prop_map(move |t| whole(Value::Time(t))).boxed(),
        T::DateTimeNanoseconds => time(1).prop_map(move |t| whole(Value::Time(t))).boxed(),
        T::String => (".{0,300}", any::<bool>())
            .prop_map(|(text, fixed)| {
                let length = if fixed { u16::try_from(text.len()).unwrap() } else { VARIABLE };
                (length, Owned::Text(text))
            })
            .boxed(),
        T::OctetArray
        | T::Unsigned256
        | T::BasicList
        | T::SubTemplateList
        | T::SubTemplateMultiList => (vec(any::<u8>(), 0..300), any::<bool>())
            .prop_map(|(octets, fixed)| {
                let length = if fixed { u16::try_from(octets.len()).unwrap() } else { VARIABLE };
                (length, Owned::Octets(octets))
            })
            .boxed(),
    }
}

/// Bytes that are text, or were until a few of them changed.
fn almost_text() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<sample::Index>(), any::<u8>()), 0..2);
    (prop_oneof!["[a-z0-9-]{0,60}", ".{0,20}", ".{0,300}"], damage).prop_map(|(text, damage)| {
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

/// A time that is a multiple of so many nanoseconds.
fn time(unit: u32) -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0..1_000_000_000_u32)
        .prop_map(move |(seconds, nanos)| Duration::new(seconds.into(), nanos / unit * unit))
}

/// A template of these fields, the first `scope` of which are its scope.
fn template(fields: &[Field], scope: usize) -> Template {
    let specifier = |field: &Field| FieldSpecifier { length: field.length, ..field.element.into() };
    Template {
        id: TemplateId::MIN,
        fields: fields.iter().map(specifier).collect(),
        scope_count: u16::try_from(scope.min(fields.len())).unwrap(),
    }
}

fn same(got: Value<'_>, sent: Value<'_>) -> bool {
    match (got, sent) {
        // NaN is not itself, and its bits may change when it is widened.
        (Value::Float(got), Value::Float(sent)) => {
            got.to_bits() == sent.to_bits() || (got.is_nan() && sent.is_nan())
        }
        (got, sent) => got == sent,
    }
}

proptest! {
    #[test]
    fn a_value_of_any_type_comes_back(
        fields in vec(field(), 1..20),
        scope in 0..4_usize,
        packing in sample::select(vec![Packing::OneRecord, Packing::Full]),
        datagrams in any::<bool>(),
    ) {
        let template = template(&fields, scope);
        prop_assume!(template.minimum_record_length() > 0);
        let mut encoder = Encoder::new(7, MAX_STREAM_MESSAGE, packing);
        let mut wire = Vec::new();
        encoder.template(0, &template, &mut wire).unwrap();
        for _ in 0..3 {
            encoder.record(0, template.id, &mut wire, |record| {
                for Field { element, length, value } in &fields {
                    value.borrow().encode(element.data_type, *length, record);
                }
            }).unwrap();
        }
        encoder.finish(&mut wire);

        let rules = if datagrams { Rules::datagrams() } else { Rules::stream() };
        let mut session = Session::with_rules(Limits::default(), rules);
        let mut messages = Messages::new(wire.as_slice());
        let mut records = 0;
        while let Some(message) = messages.next_message().unwrap() {
            session.decode(message, Types::of, |types, got, record| {
                assert_eq!(got, &template);
                records += 1;
                for (index, _, bytes) in record.fields() {
                    let field = &fields[index];
                    let value = Value::decode(field.element.data_type, bytes);
                    assert!(same(value, field.value.borrow()), "{value:?} is not {field:?}");
                }
                let mut rest = fields.iter();
                record.typed(types, |value| {
                    let field = rest.next().unwrap();
                    assert!(same(value, field.value.borrow()), "{value:?} is not {field:?}");
                });
                assert_eq!(rest.len(), 0);
            }).unwrap();
        }
        prop_assert_eq!(records, 3);
    }

    /// Text is read many fields at once, which must not be seen: whatever bytes are in the place of
    /// it, and whatever is between.
    #[test]
    fn a_text_is_what_it_is_by_itself(
        texts in vec((almost_text(), vec(any::<u8>(), 0..3), any::<bool>()), 1..12),
    ) {
        let mut elements = Vec::new();
        for (_, bytes, port) in &texts {
            elements.push(antrea::SOURCE_POD_NAME);
            elements.extend(bytes.iter().map(|_| antrea::FLOW_TYPE));
            elements.extend(port.then_some(iana::SOURCE_TRANSPORT_PORT));
        }
        let template = Template::new(TemplateId::MIN, elements);
        let mut encoder = Encoder::stream(7);
        let (mut definition, mut data) = (Vec::new(), Vec::new());
        encoder.template(0, &template, &mut definition).unwrap();
        encoder.record(0, template.id, &mut data, |record| {
            for (text, bytes, port) in &texts {
                record.variable(text);
                record.bytes(bytes);
                if *port {
                    record.u16(443);
                }
            }
        }).unwrap();
        let mut session = Session::new(Limits::default());
        for message in [definition, data] {
            session.decode(&message, Types::of, |types, _, record| {
                let by_itself = record.fields().map(|(_, field, bytes)| {
                    Value::decode(field.element().unwrap().data_type, bytes)
                });
                let by_itself: Vec<_> = by_itself.collect();
                let mut together = Vec::new();
                record.typed(types, |value| together.push(value));
                assert_eq!(together, by_itself);
            }).unwrap();
        }
    }

    /// The other way round: what was decoded is encoded to the very same bytes.
    #[test]
    fn a_decoded_session_is_encoded_to_its_bytes(
        fields in vec(field(), 1..20),
        scope in 0..4_usize,
        packing in sample::select(vec![Packing::OneRecord, Packing::Full]),
    ) {
        let template = template(&fields, scope);
        prop_assume!(template.minimum_record_length() > 0);
        let mut encoder = Encoder::new(7, 8_000, packing);
        let mut wire = Vec::new();
        encoder.template(9, &template, &mut wire).unwrap();
        for _ in 0..20 {
            let write = |record: &mut RecordWriter<'_>| {
                for Field { element, length, value } in &fields {
                    value.borrow().encode(element.data_type, *length, record);
                }
            };
            prop_assume!(encoder.record(9, template.id, &mut wire, write).is_ok());
        }
        encoder.finish(&mut wire);
        prop_assert_eq!(encoded_again(&wire, packing), wire);
    }

    #[test]
    fn lists_of_lists_come_back(lists in vec(vec(any::<u16>(), 0..20), 0..20), number in any::<u8>()) {
        let semantic = ListSemantic::from(number);
        let template = Template::new(TemplateId::MIN, [iana::BASIC_LIST]);
        let mut encoder = Encoder::stream(7);
        let (mut definition, mut data) = (Vec::new(), Vec::new());
        encoder.template(0, &template, &mut definition).unwrap();
        encoder.record(0, template.id, &mut data, |record| {
            record.basic_list(semantic, iana::BASIC_LIST.into(), |outer| {
                for ports in &lists {
                    outer.basic_list(semantic, iana::SOURCE_TRANSPORT_PORT.into(), |inner| {
                        for port in ports {
                            inner.u16(*port);
                        }
                    });
                }
            });
        }).unwrap();
        let mut session = Session::new(Limits::default());
        let mut got = Vec::new();
        for message in [definition, data] {
            session.decode(&message, |_| (), |(), _, record| got = ports(&record, semantic)).unwrap();
        }
        prop_assert_eq!(got, lists);
    }
}

/// Decodes messages back to back, and encodes what they said.
fn encoded_again(wire: &[u8], packing: Packing) -> Vec<u8> {
    let mut session = Session::new(Limits::default());
    let mut messages = Messages::new(wire);
    let mut encoder = Encoder::new(7, 8_000, packing);
    let mut again = Vec::new();
    while let Some(message) = messages.next_message().unwrap() {
        let mut templates = Vec::new();
        let mut records: Vec<(TemplateId, Vec<u8>)> = Vec::new();
        let visit = |(): &(), template: &Template, record: DataRecord<'_>| {
            let mut bytes = Vec::new();
            for (_, field, value) in record.fields() {
                if field.length == VARIABLE {
                    bytes.extend(prefix(value.len()));
                }
                bytes.extend(value);
            }
            records.push((template.id, bytes));
        };
        let summary = session.decode(message, |template| templates.push(template.clone()), visit);
        let export_time = summary.unwrap().header.export_time;
        for template in templates {
            encoder.template(export_time, &template, &mut again).unwrap();
        }
        for (id, bytes) in records {
            encoder.record(export_time, id, &mut again, |record| record.bytes(&bytes)).unwrap();
        }
        encoder.finish(&mut again);
    }
    again
}

/// The length in front of a value of variable length.
fn prefix(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length) if length < 255 => vec![length],
        _ => [&[255], u16::try_from(length).unwrap().to_be_bytes().as_slice()].concat(),
    }
}

fn ports(record: &DataRecord<'_>, semantic: ListSemantic) -> Vec<Vec<u16>> {
    let value = record.value(0).unwrap();
    let List::Basic(outer) = record.lists(2).open(DataType::BasicList, value).unwrap() else {
        panic!("a basic list");
    };
    assert_eq!(outer.semantic, semantic);
    let inner = outer.values().map(|value| outer.lists.basic(value).unwrap());
    inner
        .map(|list| {
            list.values().map(|port| u16::from_be_bytes(port.try_into().unwrap())).collect()
        })
        .collect()
}
