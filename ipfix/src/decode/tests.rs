mod hostile;
mod rules;

use std::{error::Error, iter};

use super::*;
use crate::template::VARIABLE;

/// What was visited: the id of the Template, and the values.
type Visited = Vec<(u16, Vec<Vec<u8>>)>;

/// A session, and what it has done so far.
struct Test {
    session: Session<u16>,
    compiled: Vec<u16>,
    visited: Visited,
}

impl Test {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self::under(limits, Rules::default())
    }

    fn under(limits: Limits, rules: Rules) -> Self {
        let session = Session::with_rules(limits, rules);
        Self { session, compiled: Vec::new(), visited: Vec::new() }
    }

    /// Decodes a message of `sets`, from Observation Domain 7.
    fn decode(&mut self, sets: &[Vec<u8>]) -> Result<Summary, MessageError> {
        self.decode_message(&message(7, sets))
    }

    fn decode_message(&mut self, message: &[u8]) -> Result<Summary, MessageError> {
        self.decode_some_time(None, message)
    }

    fn decode_some_time(
        &mut self,
        now: Option<Instant>,
        message: &[u8],
    ) -> Result<Summary, MessageError> {
        self.session.decode_message(
            now,
            message,
            |template| {
                self.compiled.push(template.id.get());
                template.id.get()
            },
            |&plan, template, record| {
                assert_eq!(plan, template.id.get(), "a plan stays with its template");
                assert_eq!(record.values().len(), template.fields.len());
                let values = record.values().map(<[u8]>::to_vec).collect();
                self.visited.push((plan, values));
            },
        )
    }
}

fn message(domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let header = MessageHeader {
        length: u16::try_from(16 + body.len()).unwrap(),
        export_time: 0x6553_f100,
        sequence_number: 0,
        domain,
    };
    [&header.encode(), body.as_slice()].concat()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap();
    [&id.to_be_bytes(), &length.to_be_bytes(), body].concat()
}

/// A Template Set that defines `id` with IANA elements 1, 2, ... of these lengths.
fn define(id: u16, lengths: &[u16]) -> Vec<u8> {
    let mut body = [id.to_be_bytes(), u16::try_from(lengths.len()).unwrap().to_be_bytes()].concat();
    for (element, length) in (1_u16..).zip(lengths) {
        body.extend([element.to_be_bytes(), length.to_be_bytes()].concat());
    }
    set(2, &body)
}

/// A Template Set that withdraws `id`.
fn withdraw(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    set(2, &[high, low, 0, 0])
}

fn values(values: &[&[u8]]) -> Vec<Vec<u8>> {
    values.iter().map(|value| value.to_vec()).collect()
}

/// An error with everything that caused it, on one line.
fn chain(error: &MessageError) -> String {
    let causes = iter::successors(Some(error as &dyn Error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[rustfmt::skip]
const MESSAGE: &[u8] = &[
    0x00, 0x0a, 0x00, 0x61, // version 10, length 97
    0x65, 0x53, 0xf1, 0x00, // exported 2023-11-14T22:13:20Z
    0x00, 0x00, 0x00, 0x2a, // 42 Data Records before this message
    0x00, 0x00, 0x00, 0x07, // Observation Domain 7
    0x00, 0x02, 0x00, 0x18, // Template Set, length 24
    0x01, 0x00, 0x00, 0x03, // Template 256 of 3 fields
    0x00, 0x08, 0x00, 0x04, // sourceIPv4Address, 4 bytes
    0x00, 0x01, 0x00, 0x02, // octetDeltaCount, reduced to 2 bytes
    0x80, 0x65, 0xff, 0xff, // sourcePodName, variable length,
    0x00, 0x00, 0xdc, 0xba, //   by enterprise number 56506
    0x01, 0x00, 0x00, 0x1e, // Data Set of Template 256, length 30
    10, 0, 0, 1, // the first record
    0x01, 0x00,
    5, b'p', b'o', b'd', b'-', b'1',
    10, 0, 0, 2, // the second record
    0x00, 0xff,
    0xff, 0x00, 0x01, b'p', // a short value may have a long length
    0x00, 0x00, 0x00, 0x00, // padding
    0x00, 0x03, 0x00, 0x12, // Options Template Set, length 18
    0x01, 0x01, 0x00, 0x02, // Options Template 257 of 2 fields,
    0x00, 0x01, //             1 of which is the scope
    0x00, 0x95, 0x00, 0x04, // observationDomainId, 4 bytes
    0x00, 0x2a, 0x00, 0x01, // exportedFlowRecordTotalCount, reduced to 1 byte
    0x01, 0x01, 0x00, 0x09, // Data Set of Template 257, length 9
    0x00, 0x00, 0x00, 0x07, // its only record
    99,
];

#[test]
fn a_message_is_decoded() {
    let mut test = Test::new();
    let summary = test.decode_message(MESSAGE).unwrap();
    assert_eq!(test.compiled, [256, 257]);
    assert_eq!(
        test.visited,
        [
            (256, values(&[&[10, 0, 0, 1], &[1, 0], b"pod-1"])),
            (256, values(&[&[10, 0, 0, 2], &[0, 255], b"p"])),
            (257, values(&[&[0, 0, 0, 7], &[99]])),
        ]
    );
    assert_eq!((summary.records, summary.templates), (3, 2));
    assert_eq!(summary.header.sequence_number, 42);
}

#[test]
fn a_record_knows_its_fields_by_position() {
    let mut session = Session::new(Limits::default());
    let mut seen = 0;
    let visit = |(): &(), template: &Template, record: DataRecord<'_>| {
        assert_eq!((record.domain, record.export_time), (7, 0x6553_f100));
        for (index, field, value) in record.fields() {
            assert_eq!(template.fields.get(index), Some(field));
            assert_eq!(record.value(index), Some(value));
        }
        assert_eq!(record.value(template.fields.len()), None);
        seen += 1;
    };
    session.decode(MESSAGE, |_| (), visit).unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn data_before_its_template_is_counted_and_skipped() {
    let mut test = Test::new();
    let summary = test.decode(&[set(256, &[1]), define(256, &[1]), set(256, &[2])]).unwrap();
    assert_eq!((summary.sets_without_template, summary.records), (1, 1));
    assert_eq!(test.visited, [(256, values(&[&[2]]))]);
}

#[test]
fn all_templates_of_a_domain_are_withdrawn_at_once() {
    let mut test = Test::new();
    let options = set(3, &[1, 2, 0, 1, 0, 1, 0, 1, 0, 1]);
    test.decode(&[define(256, &[1]), define(257, &[1]), options]).unwrap();
    test.decode_message(&message(8, &[define(256, &[1])])).unwrap();

    assert_eq!(test.decode(&[withdraw(2)]).unwrap().withdrawals, 2);
    assert_eq!(test.decode(&[set(258, &[1])]).unwrap().records, 1, "options templates stay");
    let other = test.decode_message(&message(8, &[set(256, &[1])])).unwrap();
    assert_eq!(other.records, 1, "other domains keep theirs");

    let all_options = set(3, &[0, 3, 0, 0]);
    assert_eq!(test.decode(&[all_options]).unwrap().withdrawals, 1);
}

#[test]
fn a_template_sent_again_is_compiled_again_only_if_it_changed() {
    let mut test = Test::new();
    test.decode(&[define(256, &[1]), define(256, &[1])]).unwrap();
    assert_eq!(test.compiled, [256]);
    let summary = test.decode(&[define(256, &[2]), set(256, &[1, 2])]).unwrap();
    assert_eq!((summary.templates, summary.records), (1, 1));
    assert_eq!(test.compiled, [256, 256]);
}

#[test]
fn templates_of_different_domains_do_not_meet() {
    let mut test = Test::new();
    test.decode(&[define(256, &[1])]).unwrap();
    let summary = test.decode_message(&message(8, &[set(256, &[1])])).unwrap();
    assert_eq!(summary.sets_without_template, 1);
}

#[test]
fn reserved_sets_are_skipped() {
    let mut test = Test::new();
    let sets = [set(0, &[1]), set(1, &[2]), set(4, &[3]), set(255, &[4])];
    assert_eq!(test.decode(&sets).unwrap().sets_reserved, 4);
}
