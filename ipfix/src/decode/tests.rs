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
fn every_shorter_message_is_refused() {
    for length in 0..MESSAGE.len() {
        Test::new().decode_message(&MESSAGE[..length]).unwrap_err();
    }
}

#[test]
fn every_shorter_message_that_lies_about_its_length_does_no_harm() {
    for length in 16..MESSAGE.len() {
        let mut message = MESSAGE[..length].to_vec();
        message[3] = u8::try_from(length).unwrap();
        let mut test = Test::new();
        // What ends between two Sets is a message; there are four such places.
        let whole = [16, 40, 70, 88].contains(&length);
        assert_eq!(test.decode_message(&message).is_ok(), whole, "{length} bytes");
    }
}

#[track_caller]
fn refuse(message: &[u8], expected: &str) {
    let error = Test::new().decode_message(message).unwrap_err();
    assert_eq!(chain(&error), expected);
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut longer = message(7, &[]);
    longer[3] = 17;
    refuse(&longer, "message length is 17, but the message has 16 bytes");
    refuse(
        &message(7, &[vec![0x01, 0x00, 0x00, 0x03]]),
        "set 256 at offset 16 is malformed: set length is 3, but a set header alone takes 4",
    );
    refuse(
        &message(7, &[vec![0x01, 0x00, 0xff, 0xff]]),
        "set 256 at offset 16 is malformed: set is longer than its message: \
         truncated at offset 20: wanted 65531 bytes, 0 left",
    );
    refuse(
        &message(7, &[define(256, &[VARIABLE]), set(256, &[3, b'a', b'b'])]),
        "set 256 at offset 28 is malformed: data record at offset 32 is malformed: \
         truncated at offset 33: wanted 3 bytes, 2 left",
    );
    refuse(
        &message(7, &[vec![0x01, 0x00, 0x00]]),
        "set header is incomplete: truncated at offset 18: wanted 2 bytes, 1 left",
    );
}

#[test]
fn templates_that_lie_are_refused() {
    refuse(
        &message(7, &[set(2, &[0, 255, 0, 1, 0, 1, 0, 4])]),
        "set 2 at offset 16 is malformed: template record at offset 20 is malformed: \
         template id is 255, but must be at least 256",
    );
    refuse(
        &message(7, &[set(3, &[1, 0, 0, 1, 0, 2, 0, 1, 0, 4])]),
        "set 3 at offset 16 is malformed: template record at offset 20 is malformed: \
         scope has 2 of 1 fields, but must have at least one and at most all",
    );
    refuse(
        &message(7, &[set(3, &[1, 0, 0, 1, 0, 0, 0, 1, 0, 4])]),
        "set 3 at offset 16 is malformed: template record at offset 20 is malformed: \
         scope has 0 of 1 fields, but must have at least one and at most all",
    );
}

#[test]
fn a_template_that_claims_65535_fields_is_refused_without_room_for_them() {
    let truncated = "set 2 at offset 16 is malformed: template record at offset 20 is malformed: \
                     template record is incomplete: truncated at offset 24: wanted 2 bytes, 0 left";
    refuse(&message(7, &[set(2, &[1, 0, 0xff, 0xff])]), truncated);
}

#[test]
fn a_template_with_too_many_fields_costs_only_its_own_records() {
    let mut test = Test::with(Limits { fields_per_template: 2, ..Limits::default() });
    let summary = test
        .decode(&[
            define(256, &[1, 1, 1]),
            define(257, &[1, 1]),
            set(256, &[1, 2, 3]),
            set(257, &[4, 5]),
        ])
        .unwrap();
    assert_eq!((summary.templates, summary.templates_refused), (1, 1));
    assert_eq!((summary.records, summary.sets_without_template), (1, 1));
    assert_eq!(test.visited, [(257, values(&[&[4], &[5]]))]);
}

#[test]
fn templates_beyond_the_limit_are_refused_until_others_are_withdrawn() {
    let mut test = Test::with(Limits { templates: 1, ..Limits::default() });
    let summary = test.decode(&[define(256, &[1]), define(257, &[1])]).unwrap();
    assert_eq!((summary.templates, summary.templates_refused), (1, 1));
    let summary = test.decode(&[define(256, &[2])]).unwrap();
    assert_eq!(summary.templates, 1, "a known template may still change");
    let summary = test.decode(&[withdraw(256), define(257, &[1])]).unwrap();
    assert_eq!((summary.withdrawals, summary.templates), (1, 1));
}

#[test]
fn a_refused_definition_takes_the_old_one_with_it() {
    let mut test = Test::with(Limits { fields_per_template: 1, ..Limits::default() });
    let summary =
        test.decode(&[define(256, &[2]), define(256, &[1, 1]), set(256, &[1, 2])]).unwrap();
    assert_eq!((summary.templates_refused, summary.sets_without_template), (1, 1));
    assert!(test.visited.is_empty());
}

#[test]
fn records_of_no_bytes_are_no_endless_loop() {
    let mut test = Test::new();
    let summary = test.decode(&[define(256, &[0, 0]), set(256, &[1, 2, 3, 4])]).unwrap();
    assert_eq!((summary.records, summary.templates_refused), (0, 1));
}

#[test]
fn fields_of_no_bytes_are_empty() {
    let mut test = Test::new();
    test.decode(&[define(256, &[0, 1, 0]), set(256, &[7, 8])]).unwrap();
    let record = |byte| (256, values(&[&[], &[byte], &[]]));
    assert_eq!(test.visited, [record(7), record(8)]);
}

#[test]
fn empty_strings_are_values() {
    let mut test = Test::new();
    test.decode(&[define(256, &[VARIABLE, 1, VARIABLE]), set(256, &[0, 7, 0])]).unwrap();
    assert_eq!(test.visited, [(256, values(&[&[], &[7], &[]]))]);
}

#[test]
fn a_set_of_nothing_but_padding_has_no_records() {
    let mut test = Test::new();
    let summary =
        test.decode(&[define(256, &[4]), set(256, &[0, 0, 0]), set(256, &[]), set(2, &[0, 0, 0])]);
    assert_eq!(summary.unwrap().records, 0);
}

#[test]
fn data_before_its_template_is_counted_and_skipped() {
    let mut test = Test::new();
    let summary = test.decode(&[set(256, &[1]), define(256, &[1]), set(256, &[2])]).unwrap();
    assert_eq!((summary.sets_without_template, summary.records), (1, 1));
    assert_eq!(test.visited, [(256, values(&[&[2]]))]);
}

#[test]
fn data_after_a_withdrawal_is_counted_and_skipped() {
    let mut test = Test::new();
    let summary = test.decode(&[define(256, &[1]), withdraw(256), set(256, &[1])]).unwrap();
    assert_eq!((summary.withdrawals, summary.sets_without_template), (1, 1));
    assert_eq!(test.decode(&[withdraw(256)]).unwrap().withdrawals, 0, "it is already gone");
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
