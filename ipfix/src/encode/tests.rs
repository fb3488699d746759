use super::*;
use crate::registry::{antrea, iana};

const ID: TemplateId = TemplateId::MIN;
const OTHER: TemplateId = match TemplateId::new(257) {
    Ok(id) => id,
    Err(_) => panic!("257 is a template id"),
};

/// 2023-11-14T22:13:20Z
const NOW: u32 = 0x6553_f100;

/// Adds a record of `length` bytes, of which one is its length.
fn add(
    encoder: &mut Encoder,
    template: TemplateId,
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    encoder.record(NOW, template, out, |record| record.variable(&vec![b'x'; length - 1]))
}

/// The (length, sequence number) of every message in `bytes`.
fn messages(mut bytes: &[u8]) -> Vec<(usize, u32)> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let sequence = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        messages.push((length, sequence));
        bytes = &bytes[length..];
    }
    messages
}

#[test]
fn a_template_is_a_message_of_its_own() {
    let elements =
        [iana::OCTET_DELTA_COUNT, iana::OCTET_DELTA_COUNT.reverse(), antrea::SOURCE_POD_NAME];
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::Full);
    encoder.template(NOW, &Template::new(ID, elements), &mut out).unwrap();
    #[rustfmt::skip]
    assert_eq!(out, [
        0x00, 0x0a, 0x00, 0x2c, // version 10, length 44
        0x65, 0x53, 0xf1, 0x00, // export time
        0x00, 0x00, 0x00, 0x00, // no Data Records before this message
        0x00, 0x00, 0x00, 0x07, // Observation Domain 7
        0x00, 0x02, 0x00, 0x1c, // Template Set, length 28
        0x01, 0x00, 0x00, 0x03, // Template 256 of 3 fields
        0x00, 0x01, 0x00, 0x08, // octetDeltaCount, 8 bytes
        0x80, 0x01, 0x00, 0x08, // its reverse element, 8 bytes,
        0x00, 0x00, 0x72, 0x79, //   by enterprise number 29305
        0x80, 0x65, 0xff, 0xff, // sourcePodName, variable length,
        0x00, 0x00, 0xdc, 0xba, //   by enterprise number 56506
    ]);
    assert_eq!(encoder.sequence_number(), 0);
}

#[test]
fn an_options_template_states_its_scope() {
    let elements = [iana::OBSERVATION_DOMAIN_ID, iana::EXPORTED_FLOW_RECORD_TOTAL_COUNT];
    let template = Template { scope_count: 1, ..Template::new(ID, elements) };
    let mut out = Vec::new();
    Encoder::new(7, 512, Packing::Full).template(NOW, &template, &mut out).unwrap();
    #[rustfmt::skip]
    assert_eq!(out[16..], [
        0x00, 0x03, 0x00, 0x12, // Options Template Set, length 18
        0x01, 0x00, 0x00, 0x02, // Options Template 256 of 2 fields,
        0x00, 0x01, //             1 of which is the scope
        0x00, 0x95, 0x00, 0x04, // observationDomainId
        0x00, 0x2a, 0x00, 0x08, // exportedFlowRecordTotalCount
    ]);
}

#[test]
fn records_of_several_templates_share_a_message() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::Full);
    encoder.record(NOW, ID, &mut out, |record| record.u16(0x0102)).unwrap();
    encoder.record(NOW, ID, &mut out, |record| record.u16(0x0304)).unwrap();
    encoder.record(NOW + 1, OTHER, &mut out, |record| record.string("ab")).unwrap();
    assert!(out.is_empty(), "nothing is complete yet");
    encoder.finish(&mut out);
    #[rustfmt::skip]
    assert_eq!(out, [
        0x00, 0x0a, 0x00, 0x1f, // version 10, length 31
        0x65, 0x53, 0xf1, 0x01, // the time of the last record
        0x00, 0x00, 0x00, 0x00, // no Data Records before this message
        0x00, 0x00, 0x00, 0x07, // Observation Domain 7
        0x01, 0x00, 0x00, 0x08, // Data Set of Template 256, length 8
        0x01, 0x02, //             its first record
        0x03, 0x04, //             its second record
        0x01, 0x01, 0x00, 0x07, // Data Set of Template 257, length 7
        0x02, b'a', b'b', //       its only record
    ]);
    assert_eq!(encoder.sequence_number(), 3);
    encoder.finish(&mut out);
    assert_eq!(out.len(), 31, "there is nothing left to finish");
}

#[test]
fn one_record_packing_sends_each_record_at_once() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::OneRecord);
    for _ in 0..3 {
        add(&mut encoder, ID, 10, &mut out).unwrap();
    }
    assert_eq!(messages(&out), [(30, 0), (30, 1), (30, 2)]);
}

#[test]
fn one_set_packing_begins_a_message_for_each_template() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 60, Packing::OneSet);
    for template in [ID, ID, OTHER, ID, ID, ID, ID, ID] {
        add(&mut encoder, template, 10, &mut out).unwrap();
    }
    encoder.finish(&mut out);
    assert_eq!(messages(&out), [(40, 0), (30, 2), (60, 3), (30, 7)]);
}

#[test]
fn a_full_message_makes_room_for_the_next_record() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 60, Packing::Full);
    for _ in 0..5 {
        add(&mut encoder, ID, 20, &mut out).unwrap();
    }
    assert_eq!(messages(&out), [(60, 0), (60, 2)]);
    encoder.finish(&mut out);
    assert_eq!(messages(&out), [(60, 0), (60, 2), (40, 4)]);
}

#[test]
fn a_record_that_moves_on_keeps_its_bytes_and_takes_its_set_along() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 42, Packing::Full);
    add(&mut encoder, ID, 20, &mut out).unwrap();
    encoder.record(NOW, OTHER, &mut out, |record| record.u32(0xdead_beef)).unwrap();
    encoder.finish(&mut out);
    assert_eq!(messages(&out), [(40, 0), (24, 1)]);
    #[rustfmt::skip]
    assert_eq!(out[40 + 16..], [
        0x01, 0x01, 0x00, 0x08, // Data Set of Template 257, length 8
        0xde, 0xad, 0xbe, 0xef,
    ]);
    assert_eq!(out[16..20], [0x01, 0x00, 0x00, 0x18], "a Set of 24 bytes, ended in time");
}

#[test]
fn a_template_comes_after_the_records_before_it() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::Full);
    add(&mut encoder, ID, 10, &mut out).unwrap();
    let template = Template::new(OTHER, [iana::OCTET_DELTA_COUNT]);
    encoder.template(NOW, &template, &mut out).unwrap();
    assert_eq!(messages(&out), [(30, 0), (28, 1)]);
}

#[test]
fn the_longest_record_fits_and_one_byte_more_is_refused() {
    for packing in [Packing::OneRecord, Packing::Full] {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(7, 100, packing);
        add(&mut encoder, ID, 80, &mut out).unwrap();
        let refused = add(&mut encoder, ID, 81, &mut out).unwrap_err();
        assert_eq!(refused, EncodeError::RecordTooLong { id: 256, limit: 100 });
        encoder.finish(&mut out);
        assert_eq!(messages(&out), [(100, 0)]);
    }
}

#[test]
fn a_refused_record_leaves_no_trace() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 100, Packing::Full);
    add(&mut encoder, OTHER, 90, &mut out).unwrap_err();
    encoder.finish(&mut out);
    assert!(out.is_empty(), "not even a header");

    add(&mut encoder, ID, 20, &mut out).unwrap();
    add(&mut encoder, OTHER, 90, &mut out).unwrap_err();
    encoder.record(NOW, OTHER, &mut out, |_| {}).unwrap_err();
    add(&mut encoder, ID, 20, &mut out).unwrap();
    encoder.finish(&mut out);
    assert_eq!(messages(&out), [(60, 0)], "both records are in one Set");
    assert_eq!(encoder.sequence_number(), 2);
}

#[test]
fn a_record_without_bytes_is_refused() {
    let mut encoder = Encoder::new(7, 100, Packing::Full);
    let refused = encoder.record(NOW, ID, &mut Vec::new(), |_| {}).unwrap_err();
    assert_eq!(refused.to_string(), "record of template 256 is empty");
}

#[test]
fn values_of_255_bytes_and_more_have_long_lengths() {
    for (length, prefix) in
        [(0, &[0][..]), (254, &[254]), (255, &[255, 0, 255]), (256, &[255, 1, 0])]
    {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(7, 1000, Packing::OneRecord);
        encoder.record(NOW, ID, &mut out, |record| record.variable(&vec![1; length])).unwrap();
        assert_eq!(&out[20..20 + prefix.len()], prefix);
        assert_eq!(out.len(), 20 + prefix.len() + length);
    }
}

#[test]
fn a_string_no_length_can_express_is_refused_not_cut() {
    let mut encoder = Encoder::new(7, u16::MAX, Packing::Full);
    for length in [65_513, 65_535, 65_536, 1 << 20] {
        let value = "x".repeat(length);
        let refused = encoder.record(NOW, ID, &mut Vec::new(), |record| record.string(&value));
        assert_eq!(refused, Err(EncodeError::RecordTooLong { id: 256, limit: u16::MAX }));
    }
    let longest = "x".repeat(65_512);
    encoder.record(NOW, ID, &mut Vec::new(), |record| record.string(&longest)).unwrap();
}

#[test]
fn a_template_longer_than_a_message_is_refused() {
    let elements = [iana::OCTET_DELTA_COUNT; 20];
    let template = Template::new(ID, elements);
    let mut out = Vec::new();
    let refused = Encoder::new(7, 103, Packing::Full).template(NOW, &template, &mut out);
    assert_eq!(refused, Err(EncodeError::TemplateTooLong { id: 256, limit: 103 }));
    assert!(out.is_empty());
    Encoder::new(7, 104, Packing::Full).template(NOW, &template, &mut out).unwrap();
    assert_eq!(out.len(), 104);
}

#[test]
fn a_limit_below_the_headers_refuses_everything() {
    for limit in 0..=20 {
        let mut encoder = Encoder::new(7, limit, Packing::Full);
        let mut out = Vec::new();
        add(&mut encoder, ID, 1, &mut out).unwrap_err();
        encoder.template(NOW, &Template::new(ID, []), &mut out).unwrap_err();
        encoder.finish(&mut out);
        assert!(out.is_empty());
    }
}

#[test]
fn a_withdrawal_is_a_template_without_fields() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::Full);
    encoder.record(NOW, ID, &mut out, |record| record.u8(1)).unwrap();
    encoder.withdraw(NOW, &Template::new(ID, []), &mut out).unwrap();
    assert_eq!(messages(&out), [(21, 0), (24, 1)], "records come before the withdrawal");
    #[rustfmt::skip]
    assert_eq!(out[21 + 16..], [
        0x00, 0x02, 0x00, 0x08, // Template Set, length 8
        0x01, 0x00, 0x00, 0x00, // Template 256 of no fields
    ]);
    out.clear();
    let options = Template { scope_count: 1, ..Template::new(ID, [iana::OBSERVATION_DOMAIN_ID]) };
    encoder.withdraw(NOW, &options, &mut out).unwrap();
    assert_eq!(out[16..], [0x00, 0x03, 0x00, 0x08, 0x01, 0x00, 0x00, 0x00]);
}

#[test]
fn all_templates_are_withdrawn_by_the_id_of_their_set() {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(7, 512, Packing::Full);
    encoder.withdraw_all_templates(NOW, &mut out).unwrap();
    assert_eq!(out[16..], [0x00, 0x02, 0x00, 0x08, 0x00, 0x02, 0x00, 0x00]);
    out.clear();
    encoder.withdraw_all_options_templates(NOW, &mut out).unwrap();
    assert_eq!(out[16..], [0x00, 0x03, 0x00, 0x08, 0x00, 0x03, 0x00, 0x00]);
    let refused = Encoder::new(7, 23, Packing::Full).withdraw_all_templates(NOW, &mut out);
    assert_eq!(refused, Err(EncodeError::TemplateTooLong { id: 2, limit: 23 }));
}

#[test]
fn messages_are_conservative_unless_told_otherwise() {
    let mut out = Vec::new();
    let mut encoder = Encoder::datagrams(7);
    for _ in 0..2 {
        add(&mut encoder, ID, 100, &mut out).unwrap();
    }
    assert_eq!(messages(&out), [(120, 0), (120, 1)]);
    let refused = add(&mut encoder, ID, 1_003, &mut out);
    assert_eq!(refused, Err(EncodeError::RecordTooLong { id: 256, limit: 1_024 }));
    add(&mut Encoder::stream(7), ID, 65_513, &mut out).unwrap();
}

#[test]
fn a_datagram_leaves_room_for_its_headers() {
    assert_eq!(max_message_over_ipv4(1_500), 1_472);
    assert_eq!(max_message_over_ipv6(1_280), 1_232);
    assert_eq!(max_message_over_ipv6(40), 0);
}
