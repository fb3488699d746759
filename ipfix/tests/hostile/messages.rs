//! Messages made to do harm: each is an error or a count, the same whenever it is sent, and takes no
//! more memory than its bytes are worth.

use std::cell::Cell;

use ipfix::{
    decode::{DataRecord, Limits, Rules, Session, Summary, list::Walked},
    registry::DataType,
};

use crate::plain::{Field, Template, VARIABLE, message, set};
use crate::{MEMORY, alone};

/// How often each message is sent to a session.
const TIMES: u32 = 3;

/// How much a session may ask for because of one message, in bytes: a multiple of what the longest
/// message has.
const TAKEN: usize = 8 << 16;

/// What it asks for is the same each time, unlike what others ask for meanwhile.
const ATTEMPTS: usize = 20;

const fn field(id: u16, length: u16) -> Field {
    Field { pen: None, id, length }
}

/// A Template Set that defines a Template of IANA's elements 1, 2, ... of these lengths.
fn define(id: u16, lengths: &[u16]) -> Vec<u8> {
    let fields: Vec<Field> = (1..).zip(lengths).map(|(id, length)| field(id, *length)).collect();
    set(2, &Template::new(id, &fields).bytes())
}

/// A Template Set that takes a Template back (RFC 7011, section 8.1).
fn withdraw(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    set(2, &[high, low, 0, 0])
}

/// Sends `bytes` to a session of each kind; returns what came of it, or why nothing.
#[track_caller]
fn send(bytes: &[u8]) -> Result<Summary, String> {
    send_to(Limits::default(), bytes, |_| ())
}

#[track_caller]
fn send_to(limits: Limits, bytes: &[u8], look: impl Fn(DataRecord<'_>)) -> Result<Summary, String> {
    let _alone = alone();
    let mut told = None;
    for rules in [Rules::default(), Rules::stream()] {
        let taken = || {
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            let mut session = Session::with_rules(limits, rules);
            for _ in 0..TIMES {
                let result = session.decode(bytes, |_| (), |(), _, record| look(record));
                let result = result.map_err(|error| chain(&error));
                // Templates are new, and sequence numbers in order, the first time.
                let result =
                    result.map(|told| Summary { templates: 0, out_of_order: false, ..told });
                assert_eq!(told.get_or_insert_with(|| result.clone()), &result);
            }
            MEMORY.peak_usage().saturating_sub(before)
        };
        // Another test may be making its messages just then, some of which are as long.
        let least = std::iter::repeat_with(taken).take(ATTEMPTS).find(|taken| *taken < TAKEN);
        assert!(least.is_some(), "{TAKEN} bytes or more, each time");
    }
    told.unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Sends Sets, which must be refused with these words.
#[track_caller]
fn refuse(sets: &[Vec<u8>], words: &str) {
    let error = send(&message(7, 0, &sets.concat())).unwrap_err();
    assert!(error.contains(words), "{error}");
}

#[track_caller]
fn accept(sets: &[Vec<u8>]) -> Summary {
    send(&message(7, 0, &sets.concat())).unwrap()
}

#[test]
fn data_after_a_withdrawal_is_counted() {
    let told = accept(&[define(256, &[4]), withdraw(256), set(256, &[0; 64])]);
    assert_eq!((told.records, told.withdrawals, told.sets_without_template), (0, 1, 1));
}

#[test]
fn sets_of_nothing_but_padding_have_no_records() {
    let padding = [set(256, &[]), set(256, &[0]), set(256, &[0; 3])];
    let told = accept(&[define(256, &[4]), padding.concat(), set(2, &[0; 3]), set(3, &[])]);
    assert_eq!((told.records, told.sets_without_template), (0, 0));
    // As many as a message holds.
    let told = accept(&vec![set(60_000, &[]); 16_379]);
    assert_eq!((told.records, told.sets_without_template), (0, 16_379));
}

#[test]
fn a_second_set_and_what_pads_the_first_are_read() {
    let padded = set(256, &[1, 2, 3, 4, 0, 0, 0]);
    let told = accept(&[define(256, &[4]), padded, set(256, &[5, 6, 7, 8])]);
    assert_eq!(told.records, 2);
}

#[test]
fn elements_of_no_bytes_are_empty_values() {
    let sets = [define(256, &[0, 1, 0, VARIABLE]), set(256, &[7, 0, 8, 0])].concat();
    let records = Cell::new(0);
    let look = |record: DataRecord<'_>| {
        let lengths: Vec<usize> = record.values().map(<[u8]>::len).collect();
        assert_eq!(lengths, [0, 1, 0, 0]);
        records.set(records.get() + 1);
    };
    assert_eq!(send_to(Limits::default(), &message(7, 0, &sets), look).unwrap().records, 2);
    assert_eq!(records.get(), 2 * 2 * TIMES);
}

#[test]
fn records_of_no_bytes_are_refused_with_their_template() {
    for fields in [1, 3, 500] {
        let told = accept(&[define(256, &vec![0; fields]), set(256, &[0; 64])]);
        let counts = (told.records, told.templates_refused, told.sets_without_template);
        assert_eq!(counts, (0, 1, 1), "{fields} fields");
    }
}

#[test]
fn a_template_that_claims_65535_fields_is_incomplete() {
    // A session that would remember as many has no room for them before they are there.
    let limits = Limits { fields_per_template: usize::MAX, ..Limits::default() };
    for body in
        [vec![1, 0, 0xff, 0xff], [&[1, 0, 0xff, 0xff][..], &[0, 1, 0, 4].repeat(100)].concat()]
    {
        for limits in [limits, Limits::default()] {
            let error = send_to(limits, &message(7, 0, &set(2, &body)), |_| ()).unwrap_err();
            assert!(error.contains("template record is incomplete"), "{error}");
        }
    }
}

#[test]
fn a_template_of_as_many_fields_as_a_message_holds_is_refused() {
    let told = accept(&[define(256, &vec![1; 16_377])]);
    assert_eq!(told.templates_refused, 1);
}

#[test]
fn lengths_of_values_that_lie_are_errors() {
    let template = define(256, &[VARIABLE]);
    for body in [&[1][..], &[2, 0], &[255], &[255, 0], &[255, 0, 1], &[255, 255, 255, 0]] {
        refuse(&[template.clone(), set(256, body)], "data record at offset 32 is malformed");
    }
    // The next Set is no part of this one, however long the value says it is.
    let (lying, honest) = (set(256, &[3, b'a']), set(256, b"\x03abc"));
    refuse(&[template, lying, honest], "wanted 3 bytes, 1 left");
}

#[test]
fn sets_shorter_than_their_header_are_errors() {
    for length in 0..4 {
        for id in [2, 3, 256, 60_000] {
            let [high, low] = u16::to_be_bytes(id);
            refuse(&[vec![high, low, 0, length, 0, 0, 0, 0]], "a set header alone takes 4");
        }
    }
}

#[test]
fn sets_longer_than_their_message_are_errors() {
    for length in [5, 8, 255] {
        refuse(&[vec![1, 0, 255, length]], "set is longer than its message");
        refuse(&[vec![0, 2, 0, length]], "set is longer than its message");
    }
    for rest in 1..4 {
        refuse(&[define(256, &[1]), vec![0; rest]], "set header is incomplete");
    }
}

#[test]
fn sets_of_reserved_ids_are_counted() {
    // RFC 7011, section 3.3.2: 0 and 1 were NetFlow version 9's, 4 to 255 nobody's.
    for id in [0, 1].into_iter().chain(4..=255) {
        let told = accept(&[set(id, &[1, 0, 0, 1, 0, 1, 0, 4]), set(256, &[0; 4])]);
        assert_eq!((told.sets_reserved, told.templates_refused, told.records), (1, 0, 0));
        assert_eq!(told.sets_without_template, 1, "Set {id} has taught nothing");
    }
}

#[test]
fn a_scope_of_no_fields_or_too_many_is_an_error() {
    for (scope, fields) in [(0, 1), (2, 1), (65_535, 3)] {
        let mut options = [&[1, 0, 0, fields][..], &u16::to_be_bytes(scope)].concat();
        options.extend([0, 1, 0, 4].repeat(fields.into()));
        let words = format!("scope has {scope} of {fields} fields");
        refuse(&[set(3, &options)], &words);
    }
}

#[test]
fn messages_shorter_than_their_header_are_errors() {
    for length in 0..16 {
        let mut bytes = message(7, 0, &[]);
        bytes[3] = length;
        let error = send(&bytes).unwrap_err();
        assert!(error.contains("a header alone takes 16"), "{error}");
        send(&bytes[..usize::from(length)]).unwrap_err();
    }
}

#[test]
fn messages_of_another_length_than_they_say_are_errors() {
    let whole = message(7, 0, &define(256, &[4]));
    for stated in [16, 27, 29, 65_535] {
        let mut bytes = whole.clone();
        bytes[2..4].copy_from_slice(&u16::to_be_bytes(stated));
        let error = send(&bytes).unwrap_err();
        assert!(error.contains(&format!("message length is {stated}")), "{error}");
    }
}

/// A `basicList` of one `basicList` of one `basicList` and so on, as long as a value can be.
fn nested() -> Vec<u8> {
    let mut nested = vec![3, 0, 7, 0, 2, 0, 80];
    while nested.len() < 60_000 {
        let [high, low] = u16::try_from(nested.len()).unwrap().to_be_bytes();
        // Semantic allOf, element 291 of variable length.
        nested = [&[3, 1, 35, 255, 255, 255, high, low], nested.as_slice()].concat();
    }
    nested
}

#[test]
fn lists_in_lists_are_read_as_deep_as_asked_for() {
    let nested = nested();
    let template = Template::new(256, &[field(291, VARIABLE)]);
    let body = template.record(&vec![nested], false);
    let bytes = message(7, 0, &[set(2, &template.bytes()), set(256, &body)].concat());
    let look = |record: DataRecord<'_>| {
        let value = record.value(0).unwrap();
        for depth in [0, 1, 16, 255] {
            let walked = record.lists(depth).walk(DataType::BasicList, value, |_, _| ());
            let expected = Walked { lists: depth.into(), too_deep: 1, ..Walked::default() };
            assert_eq!(walked, expected);
        }
    };
    assert_eq!(send_to(Limits::default(), &bytes, look).unwrap().records, 1);
}

#[test]
fn a_list_whose_records_are_lists_of_themselves_ends() {
    // Template 256 is a subTemplateList, and this one's records are of Template 256.
    let template = Template::new(256, &[field(292, VARIABLE)]);
    let mut value = vec![3, 1, 0];
    for _ in 0..40 {
        let inner = [&[value.len().try_into().unwrap()], value.as_slice()].concat();
        value = [&[3, 1, 0], inner.as_slice()].concat();
    }
    let body = template.record(&vec![value], false);
    let sets = [set(2, &template.bytes()), set(256, &body)].concat();
    let look = |record: DataRecord<'_>| {
        let value = record.value(0).unwrap();
        let walked = record.lists(255).walk(DataType::SubTemplateList, value, |_, _| ());
        assert_eq!(walked, Walked { lists: 41, ..Walked::default() });
    };
    let told = send_to(Limits::default(), &message(7, 0, &sets), look);
    assert_eq!(told.unwrap().records, 1);
}
