//! What Antrea's own unit tests expect, by its tables.

use super::*;
use crate::conntrack::status;

const LABEL: u128 = 0x2_0000_0001;

/// Whether a connection is over: by TCP's state, by the bit of what has none, or because a dump
/// does not show it. The kernel's DYING bit alone is a ghost's, whose end an event tells.
#[test]
fn what_is_over_is_what_antrea_calls_dying_but_for_ghosts() {
    for (state, bits, is_shown, expected) in [
        (Some(tcp_state::ESTABLISHED), 0, true, ActiveTimeout),
        (Some(tcp_state::TIME_WAIT), 0, true, EndOfFlow),
        (Some(tcp_state::CLOSE), 0, true, EndOfFlow),
        (None, 0, true, ActiveTimeout),
        (None, status::ASSURED, true, ActiveTimeout),
        (None, 0, false, EndOfFlow),
        (Some(tcp_state::ESTABLISHED), 0, false, EndOfFlow),
    ] {
        let mut bench = Bench::new();
        let first = Entry { status: bits, tcp_state: state, ..dumped(7, 3) };
        bench.dump(&[first]);
        if !is_shown {
            bench.wait(1).dump(&[]);
        }
        bench.wait(5).expect(&[(7, 3, 3, expected)]);
    }
}

/// Packets of either direction are news. A state alone is none, other than in Antrea.
#[test]
fn packets_of_either_direction_are_news_and_a_state_is_not() {
    let start = Counters { packets: 2, octets: 200, reverse_packets: 1, reverse_octets: 100 };
    for (later, state, is_told) in [
        (Counters { packets: 3, ..start }, tcp_state::ESTABLISHED, true),
        (Counters { reverse_packets: 2, ..start }, tcp_state::ESTABLISHED, true),
        (start, tcp_state::ESTABLISHED, false),
        (start, tcp_state::TIME_WAIT, false),
    ] {
        let mut bench = Bench::new();
        let entry = |counters| Entry { counters: Some(counters), ..dumped(7, 0) };
        let tcp = |counters, state| Entry { tcp_state: Some(state), ..entry(counters) };
        bench.dump(&[tcp(start, tcp_state::ESTABLISHED)]).wait(5);
        assert_eq!(bench.due(9, |_| {}), 1);
        bench.dump(&[tcp(later, state)]).wait(5);
        assert_eq!(bench.due(9, |_| {}), usize::from(is_told), "{later:?} {state}");
    }
}

#[test]
fn everything_an_entry_tells_later_takes_the_place_of_what_was_known() {
    let mut bench = Bench::new();
    let first = Entry { tcp_state: Some(1), ..dumped(7, 1) };
    let labels = Some(LABEL.to_be_bytes());
    let bits = status::SEEN_REPLY | status::ASSURED;
    let later = Entry { mark: 0x13, status: bits, labels, ..dumped(7, 2) };
    bench.dump(&[first]).dump(&[Entry { tcp_state: Some(tcp_state::ESTABLISHED), ..later }]);
    bench.wait(5);
    let told = bench.due(9, |due| {
        assert_eq!((due.mark, due.status, due.labels), (0x13, bits, labels));
        assert_eq!(due.tcp_state, Some(tcp_state::ESTABLISHED));
    });
    assert_eq!(told, 1);
}
