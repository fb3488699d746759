//! What a session does where transports differ.

use std::time::Duration;

use super::*;

/// A session over UDP, in which messages arrive so many seconds after it began.
struct Datagrams {
    test: Test,
    start: Instant,
    sequence_number: u32,
}

impl Datagrams {
    fn new(rules: Rules) -> Self {
        let test = Test::under(Limits::default(), rules);
        Self { test, start: Instant::now(), sequence_number: 0 }
    }

    /// Decodes a message that is like no other.
    fn at(&mut self, seconds: u64, sets: &[Vec<u8>]) -> Summary {
        let mut message = message(7, sets);
        message[8..12].copy_from_slice(&self.sequence_number.to_be_bytes());
        let summary = self.message_at(seconds, &message);
        self.sequence_number += summary.records;
        summary
    }

    fn message_at(&mut self, seconds: u64, message: &[u8]) -> Summary {
        let now = self.start + Duration::from_secs(seconds);
        self.test.decode_some_time(Some(now), message).unwrap()
    }
}

const MINUTE: u64 = 60;

/// Nothing but the one rule a test is about.
fn waiting(bytes: usize) -> Rules {
    let waiting = Waiting { bytes, time: Duration::from_secs(5) };
    Rules { waiting, ..Rules::default() }
}

#[test]
fn a_redefinition_is_counted_where_it_is_forgiven() {
    let mut test = Test::new();
    let summary = test.decode(&[define(256, &[1]), define(256, &[2]), define(256, &[2])]).unwrap();
    assert_eq!((summary.templates, summary.redefinitions), (2, 1));
}

#[test]
fn a_redefinition_on_a_stream_is_malformed() {
    let mut test = Test::under(Limits::default(), Rules::stream());
    test.decode(&[define(256, &[1]), define(256, &[1])]).unwrap();
    let error = test.decode(&[define(256, &[2])]).unwrap_err();
    assert_eq!(
        chain(&error),
        "set 2 at offset 16 is malformed: template record at offset 20 is malformed: \
         template 256 differs from the one of that id, which was not withdrawn",
    );
}

#[test]
fn a_withdrawn_template_may_be_defined_anew_on_a_stream() {
    let mut test = Test::under(Limits::default(), Rules::stream());
    let sets = [define(256, &[1]), withdraw(256), define(256, &[2]), set(256, &[1, 2])];
    let summary = test.decode(&sets).unwrap();
    assert_eq!((summary.templates, summary.redefinitions, summary.records), (2, 0, 1));
}

#[test]
fn a_template_of_a_datagram_replaces_another() {
    let mut udp = Datagrams::new(Rules::datagrams());
    let summary = udp.at(0, &[define(256, &[1]), define(256, &[2]), set(256, &[1, 2])]);
    assert_eq!((summary.redefinitions, summary.records), (1, 1));
}

#[test]
fn a_template_that_is_not_sent_again_expires() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[define(256, &[1]), define(257, &[1])]);
    assert_eq!(udp.at(20 * MINUTE, &[define(257, &[1])]).templates, 0);
    assert_eq!(udp.at(30 * MINUTE, &[set(256, &[1])]).records, 1);
    let summary = udp.at(30 * MINUTE + 1, &[set(257, &[1]), set(256, &[1])]);
    assert_eq!((summary.templates_expired, summary.records, summary.sets_waiting), (1, 1, 1));
    let summary = udp.at(50 * MINUTE + 1, &[]);
    assert_eq!(summary.templates_expired, 1);
}

#[test]
fn nothing_expires_in_a_session_that_is_not_told_the_time() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.test.decode(&[define(256, &[1])]).unwrap();
    assert_eq!(udp.at(100 * MINUTE, &[set(256, &[1])]).records, 1);
}

#[test]
fn records_wait_for_their_template() {
    let mut udp = Datagrams::new(Rules::datagrams());
    let summary = udp.at(0, &[set(256, &[1, 2]), set(257, &[3])]);
    assert_eq!((summary.records, summary.sets_waiting, summary.sets_without_template), (0, 2, 0));
    let summary = udp.at(1, &[define(256, &[1]), set(256, &[4])]);
    assert_eq!((summary.sets_resumed, summary.records_resumed, summary.records), (1, 2, 1));
    let record = |byte| (256, values(&[&[byte]]));
    assert_eq!(udp.test.visited, [record(1), record(2), record(4)]);
    assert_eq!(udp.at(2, &[define(256, &[1])]).sets_resumed, 0, "they do not come twice");
}

#[test]
fn records_that_wait_keep_to_their_domain() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[set(256, &[1])]);
    assert_eq!(udp.message_at(0, &message(8, &[define(256, &[1])])).sets_resumed, 0);
    assert_eq!(udp.at(1, &[define(256, &[1])]).sets_resumed, 1);
}

#[test]
fn records_do_not_wait_forever() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[set(256, &[1])]);
    udp.at(1, &[set(256, &[2])]);
    let summary = udp.at(6, &[define(256, &[1])]);
    assert_eq!((summary.sets_given_up, summary.records_resumed), (1, 1));
    assert_eq!(udp.test.visited, [(256, values(&[&[2]]))]);
}

#[test]
fn what_waits_is_bounded_and_the_oldest_makes_room() {
    let mut udp = Datagrams::new(waiting(2_000));
    let mut given_up = 0;
    for byte in 0..100 {
        let summary = udp.at(0, &[set(256, &[byte])]);
        assert_eq!(summary.sets_waiting, 1);
        given_up += summary.sets_given_up;
    }
    let summary = udp.at(0, &[define(256, &[1])]);
    assert!((5..=30).contains(&summary.sets_resumed), "{summary:?}");
    assert_eq!(summary.sets_resumed + given_up, 100);
    assert_eq!(udp.test.visited.last(), Some(&(256, values(&[&[99]]))));
}

#[test]
fn a_set_that_is_too_long_to_wait_is_skipped() {
    let mut udp = Datagrams::new(waiting(2_000));
    let summary = udp.at(0, &[set(256, &[0; 3_000])]);
    assert_eq!((summary.sets_waiting, summary.sets_without_template), (0, 1));
}

#[test]
fn a_set_that_waited_for_a_template_that_does_not_describe_it_is_given_up() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[set(256, &[9, 9])]);
    let summary = udp.at(0, &[define(256, &[VARIABLE]), set(256, &[1, 5])]);
    assert_eq!((summary.sets_given_up, summary.records), (1, 1));
}

#[test]
fn a_datagram_that_comes_twice_is_decoded_once() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[define(256, &[1])]);
    let twice = message(7, &[set(256, &[1])]);
    assert_eq!(udp.message_at(1, &twice).records, 1);
    let summary = udp.message_at(2, &twice);
    assert!(summary.duplicate);
    assert_eq!((summary.records, summary.out_of_order, summary.lost_records), (0, false, 0));
    assert_eq!(udp.test.visited.len(), 1);
}

#[test]
fn a_message_that_comes_twice_on_a_stream_is_two_messages() {
    let mut test = Test::under(Limits::default(), Rules::stream());
    let twice = message(7, &[define(256, &[1]), set(256, &[1])]);
    assert_eq!(test.decode_message(&twice).unwrap().records, 1);
    assert_eq!(test.decode_message(&twice).unwrap().records, 1);
}

#[test]
fn datagrams_that_overtook_each_other_are_decoded_and_told() {
    let mut udp = Datagrams::new(Rules::datagrams());
    udp.at(0, &[define(256, &[1])]);
    let numbered = |number: u32| {
        let mut message = message(7, &[set(256, &[0])]);
        message[8..12].copy_from_slice(&number.to_be_bytes());
        message
    };
    assert_eq!(udp.message_at(0, &numbered(0)).lost_records, 0);
    assert_eq!(udp.message_at(0, &numbered(2)).lost_records, 1);
    let late = udp.message_at(0, &numbered(1));
    assert!(late.out_of_order && !late.duplicate);
    assert_eq!(late.records, 1);
}
