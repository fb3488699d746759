//! Messages made to do harm: each is an error or a count, and none a panic.
//!
//! Attacks that take many messages are in `ipfix/tests/hostile.rs`, those by lists in
//! `decode/list/tests.rs`.

use super::*;

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
        &message(7, &[define(256, &[VARIABLE]), set(256, &[255, 0])]),
        "set 256 at offset 28 is malformed: data record at offset 32 is malformed: \
         truncated at offset 33: wanted 2 bytes, 1 left",
    );
    refuse(
        &message(7, &[define(256, &[VARIABLE, VARIABLE]), set(256, &[1, b'a'])]),
        "set 256 at offset 32 is malformed: data record at offset 36 is malformed: \
         truncated at offset 38: wanted 1 bytes, 0 left",
    );
    refuse(
        &message(7, &[define(256, &[VARIABLE, 4]), set(256, &[2, b'a', b'b', 0, 0])]),
        "set 256 at offset 32 is malformed: data record at offset 36 is malformed: \
         truncated at offset 39: wanted 4 bytes, 2 left",
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
fn data_after_a_withdrawal_is_counted_and_skipped() {
    let mut test = Test::new();
    let summary = test.decode(&[define(256, &[1]), withdraw(256), set(256, &[1])]).unwrap();
    assert_eq!((summary.withdrawals, summary.sets_without_template), (1, 1));
    assert_eq!(test.decode(&[withdraw(256)]).unwrap().withdrawals, 0, "it is already gone");
}

#[test]
fn a_second_set_and_padding_are_read_as_what_they_are() {
    // Both make the collector of Antrea end its process.
    let mut test = Test::new();
    test.decode(&[define(256, &[4])]).unwrap();
    let padded = set(256, &[1, 2, 3, 4, 0, 0, 0]);
    let summary = test.decode(&[padded, set(256, &[5, 6, 7, 8])]).unwrap();
    assert_eq!(summary.records, 2);
    let record = |bytes: &[u8]| (256, values(&[bytes]));
    assert_eq!(test.visited, [record(&[1, 2, 3, 4]), record(&[5, 6, 7, 8])]);
}

#[test]
fn a_message_of_nothing_but_empty_sets_has_no_records() {
    let mut test = Test::new();
    let empty = vec![set(256, &[]); 16_379];
    let summary = test.decode(&empty).unwrap();
    assert_eq!((summary.records, summary.sets_without_template), (0, 16_379));
}
