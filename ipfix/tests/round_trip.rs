//! Whatever is encoded is decoded again, message by message, and nothing is lost on the way.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

use ipfix::{
    decode::{Limits, Session},
    encode::{Encoder, Packing},
    file::Messages,
    template::{FieldSpecifier, Template, TemplateId, VARIABLE},
};
use proptest::{collection::vec, prelude::*, sample};

/// Longer than the header of a message and the longest record made here.
const ROOM: u16 = 4096;

#[derive(Debug, Clone)]
struct Flow {
    template: Template,
    records: Vec<Vec<Vec<u8>>>,
}

fn field() -> impl Strategy<Value = FieldSpecifier> {
    let pen = prop_oneof![Just(0), Just(29305), Just(56506), 1_u32..];
    let length = prop_oneof![Just(VARIABLE), 0_u16..=32];
    (pen, 0_u16..0x8000, length).prop_map(|(pen, id, length)| FieldSpecifier { pen, id, length })
}

fn value(field: FieldSpecifier) -> BoxedStrategy<Vec<u8>> {
    match field.length {
        VARIABLE => {
            prop_oneof![3 => vec(any::<u8>(), 0..8), 1 => vec(any::<u8>(), 250..300)].boxed()
        }
        fixed => vec(any::<u8>(), usize::from(fixed)).boxed(),
    }
}

/// A Template whose records have at least one byte, and records of it.
fn flow() -> impl Strategy<Value = Flow> {
    (vec(field(), 1..12), any::<sample::Index>(), any::<bool>())
        .prop_map(|(fields, scope, options)| {
            let scope_count = u16::try_from(scope.index(fields.len())).unwrap() + 1;
            let scope_count = if options { scope_count } else { 0 };
            Template { id: TemplateId::MIN, fields, scope_count }
        })
        .prop_filter("records have bytes", |template| template.minimum_record_length() > 0)
        .prop_flat_map(|template| {
            let record: Vec<_> = template.fields.iter().copied().map(value).collect();
            vec(record, 0..20).prop_map(move |records| Flow { template: template.clone(), records })
        })
}

fn encode(flows: &[Flow], packing: Packing, max_message: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, max_message, packing);
    for flow in flows {
        encoder.template(1, &flow.template, &mut out).unwrap();
        for values in &flow.records {
            encoder
                .record(2, flow.template.id, &mut out, |record| {
                    for (field, value) in flow.template.fields.iter().zip(values) {
                        match field.length {
                            VARIABLE => record.variable(value),
                            _ => record.bytes(value),
                        }
                    }
                })
                .unwrap();
        }
    }
    encoder.finish(&mut out);
    out
}

/// Decodes messages back to back; returns the records, and which Template each was of.
fn decode(bytes: &[u8]) -> Vec<(Template, Vec<Vec<u8>>)> {
    let mut records = Vec::new();
    let mut session = Session::new(Limits::default());
    let mut messages = Messages::new(bytes);
    while let Some(message) = messages.next_message().unwrap() {
        let visit =
            |plan: &Template, template: &Template, record: ipfix::decode::DataRecord<'_>| {
                assert_eq!(plan, template);
                records.push((template.clone(), record.values().map(<[u8]>::to_vec).collect()));
            };
        let summary = session.decode(message, Template::clone, visit).unwrap();
        assert_eq!((summary.lost_records, summary.out_of_order), (0, false));
        assert_eq!((summary.sets_without_template, summary.templates_refused), (0, 0));
    }
    records
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        mut flows in vec(flow(), 1..4),
        packing in sample::select(vec![Packing::OneRecord, Packing::Full]),
        max_message in ROOM..,
    ) {
        for (id, flow) in (256_u16..).zip(&mut flows) {
            flow.template.id = TemplateId::new(id).unwrap();
        }
        let sent: Vec<_> = flows
            .iter()
            .flat_map(|flow| flow.records.iter().map(|values| (flow.template.clone(), values.clone())))
            .collect();
        prop_assert_eq!(decode(&encode(&flows, packing, max_message)), sent);
    }

    /// Templates that take each other's id are told apart by when they were sent.
    #[test]
    fn a_template_may_take_the_place_of_another(flows in vec(flow(), 1..4)) {
        let records: usize = flows.iter().map(|flow| flow.records.len()).sum();
        prop_assert_eq!(decode(&encode(&flows, Packing::Full, ROOM)).len(), records);
    }

    #[test]
    fn no_message_is_longer_than_allowed(flow in flow(), max_message in ROOM..) {
        let bytes = encode(&[flow], Packing::Full, max_message);
        let mut messages = Messages::new(bytes.as_slice());
        while let Some(message) = messages.next_message().unwrap() {
            prop_assert!(message.len() <= usize::from(max_message));
        }
    }

    /// Bytes that are almost a session must not make the decoder panic or loop.
    #[test]
    fn a_damaged_session_does_no_harm(
        flow in flow(),
        damage in vec((any::<sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encode(&[flow], Packing::Full, ROOM);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let mut session = Session::new(Limits::default());
        let mut messages = Messages::new(bytes.as_slice());
        while let Ok(Some(message)) = messages.next_message() {
            let visit = |(): &(), _: &Template, record: ipfix::decode::DataRecord<'_>| {
                assert!(record.values().map(<[u8]>::len).sum::<usize>() <= message.len());
            };
            if session.decode(message, |_| (), visit).is_err() {
                break;
            }
        }
    }
}
