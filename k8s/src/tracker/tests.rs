//! What one change at a time does. Whether answers are true as a whole is for `tests/truth.rs`.

mod hostile; // what is made to be too much
mod kinds; // Nodes, Services, owners, namespaces
mod local_ports; // ports of Nodes that are Pods'

use std::net::IpAddr;

use super::*;
use crate::lookup::{Lookup, Reason};
use crate::objects::{Phase, Pod};

/// The moment at which a cluster is first listed.
const START: u64 = 1_700_000_000_000;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::from(text)
}

/// A tracker of a cluster that was empty at [`START`].
fn tracker_with(limits: Limits) -> Tracker {
    let mut tracker = Tracker::new(Margins::default(), limits, LabelFilter::new(["app*"]));
    for kind in Kind::ALL {
        tracker.apply(Change::ListBegun(kind), START);
        tracker.apply(Change::ListEnded(kind), START);
    }
    tracker
}

fn tracker() -> Tracker {
    tracker_with(Limits::default())
}

/// A Pod made and running at `made`.
fn pod(uid: &str, pod_name: &str, address: &str, made: u64) -> Pod {
    Pod {
        uid: name(uid),
        namespace: name("shop"),
        name: name(pod_name),
        node: name("a"),
        addresses: vec![ip(address)],
        created_ms: made,
        started_ms: made,
        network_ready_ms: made,
        phase: Phase::Running,
        ..Pod::default()
    }
}

fn apply(tracker: &mut Tracker, pod: &Pod, now: u64) {
    tracker.apply(Change::Applied(Object::Pod(pod.clone())), now);
}

fn delete(tracker: &mut Tracker, uid: &str, pod_name: &str, now: u64) {
    let (kind, namespace, name, uid) = (Kind::Pod, name("shop"), name(pod_name), name(uid));
    tracker.apply(Change::Deleted { kind, namespace, name, uid }, now);
}

/// The uid of who had the address, asked half a minute later.
fn owner(tracker: &mut Tracker, address: &str, time: u64) -> Result<String, Reason> {
    let now = tracker.now.max(time + MINUTE / 2);
    tracker.advance(now);
    let cluster = tracker.cluster();
    let found = cluster.pod(ip(address), time);
    if let Some((alone, times)) = cluster.pod_alone(ip(address))
        && times.contains(&time)
    {
        assert_eq!(found, Lookup::Found(alone));
    }
    match found {
        Lookup::Found(pod) => Ok(pod.uid.to_string()),
        Lookup::Likely(pod) => panic!("only likely: {pod:?}"),
        Lookup::Missing(reason) => Err(reason),
    }
}

#[test]
fn a_departed_pod_keeps_its_address_for_five_minutes() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    delete(&mut tracker, "1", "web", made + MINUTE);
    tracker.advance(made + 6 * MINUTE - 1);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 2 * MINUTE), Err(Reason::Vacant));
    tracker.advance(made + 6 * MINUTE);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Err(Reason::Unknown));
    assert_eq!(tracker.pods.len(), 0);
}

#[test]
fn where_two_may_have_had_an_address_none_is_named() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    // The next one is made at second 10, the address is free by then or a while later, and it
    // has it by second 13.
    delete(&mut tracker, "1", "web", made + 10 * SECOND + 200);
    let next = Pod {
        network_ready_ms: made + 12 * SECOND,
        ..pod("2", "web2", "10.0.0.1", made + 10 * SECOND)
    };
    apply(&mut tracker, &next, made + 14 * SECOND);
    let skew = Margins::default().skew_ms;
    for (time, expected) in [
        (made + 5 * SECOND, Ok("1".into())),
        (made + 10 * SECOND - skew - 1, Ok("1".into())),
        (made + 10 * SECOND - skew, Err(Reason::Ambiguous)),
        (made + 13 * SECOND + skew - 1, Err(Reason::Ambiguous)),
        (made + 13 * SECOND + skew, Ok("2".into())),
        (made + MINUTE, Ok("2".into())),
    ] {
        assert_eq!(owner(&mut tracker, "10.0.0.1", time), expected, "{}", time - made);
    }
}

#[test]
fn what_is_recent_is_only_likely_and_nobody_is_named_after_an_end() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    tracker.advance(made + 10 * SECOND);
    let cluster = tracker.cluster();
    let ask = |time| cluster.pod(ip("10.0.0.1"), time);
    assert!(matches!(ask(made + 5 * SECOND), Lookup::Found(_)));
    assert!(matches!(ask(made + 5 * SECOND + 1), Lookup::Likely(_)));
    delete(&mut tracker, "1", "web", made + 10 * SECOND);
    let cluster = tracker.cluster();
    let ask = |time| cluster.pod(ip("10.0.0.1"), time);
    assert!(matches!(ask(made + 10 * SECOND - 1), Lookup::Likely(_)));
    assert_eq!(ask(made + 10 * SECOND), Lookup::Missing(Reason::TooRecent));
}

#[test]
fn what_is_known_of_one_kind_is_not_known_of_others() {
    let mut tracker = tracker();
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", START), START + SECOND);
    let is_certain = |tracker: &Tracker| {
        matches!(tracker.cluster().pod(ip("10.0.0.1"), START + MINUTE), Lookup::Found(_))
    };
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Pod) {
        tracker.advance_kind(kind, START + 2 * MINUTE);
    }
    assert!(!is_certain(&tracker));
    tracker.advance_kind(Kind::Pod, START + 2 * MINUTE);
    assert!(is_certain(&tracker));
}

/// Another Pod may have come and gone while the connection was dead and nobody had noticed.
#[test]
fn what_a_silent_watch_did_not_tell_is_not_guessed_after_the_next_list() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    let heard = made + MINUTE;
    for other in [Kind::Service, Kind::Node] {
        tracker.advance_kind(other, made + 4 * MINUTE);
    }
    tracker.advance_kind(Kind::Pod, heard);
    let listed = made + 4 * MINUTE;
    tracker.apply(Change::ListBegun(Kind::Pod), listed);
    let next = pod("3", "web3", "10.0.0.1", listed - 10 * SECOND);
    apply(&mut tracker, &next, listed);
    tracker.apply(Change::ListEnded(Kind::Pod), listed);
    assert_eq!(owner(&mut tracker, "10.0.0.1", heard - 10 * SECOND), Ok("1".into()));
    let silent = made + 2 * MINUTE;
    assert_eq!(owner(&mut tracker, "10.0.0.1", silent), Err(Reason::Unwatched));
}

#[test]
fn what_a_clock_that_ran_ahead_made_certain_is_not() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    tracker.advance(made + 60 * MINUTE);
    let recent = made + 2 * MINUTE;
    tracker.advance(recent);
    let cluster = tracker.cluster();
    assert!(matches!(cluster.pod(ip("10.0.0.1"), recent), Lookup::Likely(_)));
}

/// A list that is long in coming shows what there was when it was asked for.
#[test]
fn a_list_makes_nothing_certain_that_came_after_it_was_asked_for() {
    let mut tracker = Tracker::new(Margins::default(), Limits::default(), LabelFilter::new(["*"]));
    // Another kind's news come first.
    tracker.apply(Change::ListBegun(Kind::Node), START + MINUTE);
    tracker.apply(Change::ListBegun(Kind::Pod), START);
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", START - MINUTE), START + MINUTE);
    tracker.apply(Change::ListEnded(Kind::Pod), START + MINUTE);
    let cluster = tracker.cluster();
    assert!(matches!(cluster.pod(ip("10.0.0.1"), START), Lookup::Likely(_)));
}

#[test]
fn what_was_missed_while_a_watch_was_broken_is_not_guessed() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let (stays, goes) = (pod("1", "web", "10.0.0.1", made), pod("2", "db", "10.0.0.2", made));
    apply(&mut tracker, &stays, made + SECOND);
    apply(&mut tracker, &goes, made + SECOND);
    tracker.advance(made + MINUTE);
    let listed = made + 2 * MINUTE;
    tracker.apply(Change::ListBegun(Kind::Pod), listed);
    apply(&mut tracker, &stays, listed);
    tracker.apply(Change::ListEnded(Kind::Pod), listed);
    let broken = made + 90 * SECOND;
    assert_eq!(owner(&mut tracker, "10.0.0.1", broken), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.2", broken), Err(Reason::Unwatched));
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 50 * SECOND), Ok("2".into()));
}

#[test]
fn what_a_list_lacked_may_return_and_what_was_deleted_may_not() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let one = pod("1", "web", "10.0.0.1", made);
    apply(&mut tracker, &one, made + SECOND);
    // A list of before it was made.
    tracker.apply(Change::ListBegun(Kind::Pod), made + 2 * SECOND);
    tracker.apply(Change::ListEnded(Kind::Pod), made + 2 * SECOND);
    apply(&mut tracker, &one, made + 3 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + MINUTE), Ok("1".into()));
    let gone = made + 3 * MINUTE;
    delete(&mut tracker, "1", "web", gone);
    apply(&mut tracker, &one, gone + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", gone + MINUTE), Err(Reason::Vacant));
    assert_eq!(tracker.stats().objects_late, 1);
    // The end that was only supposed is forgotten without consequence.
    apply(&mut tracker, &pod("3", "db", "10.0.0.3", made), gone + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + MINUTE), Ok("1".into()));
}

#[test]
fn a_name_that_is_used_again_is_another_pods() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "db-0", "10.0.0.1", made), made + SECOND);
    // The deletion is never told; a late one has no effect.
    let next = made + MINUTE;
    apply(&mut tracker, &pod("2", "db-0", "10.0.0.2", next), next + SECOND);
    delete(&mut tracker, "1", "db-0", next + 2 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", next + 30 * SECOND), Err(Reason::Vacant));
    assert_eq!(owner(&mut tracker, "10.0.0.2", next + 30 * SECOND), Ok("2".into()));
    // Without a uid, whoever has the name is meant.
    delete(&mut tracker, "", "db-0", next + MINUTE);
    assert_eq!(owner(&mut tracker, "10.0.0.2", next + 2 * MINUTE), Err(Reason::Vacant));
}

#[test]
fn whose_successor_is_forgotten_does_not_get_the_address_back() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    // Its deletion is never told.
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    let next = made + MINUTE;
    apply(&mut tracker, &pod("2", "web2", "10.0.0.1", next), next + SECOND);
    delete(&mut tracker, "2", "web2", next + MINUTE);
    let last = next + 10 * MINUTE;
    apply(&mut tracker, &pod("3", "web3", "10.0.0.1", last), last + SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 30 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", next + 30 * SECOND), Err(Reason::Forgotten));
    assert_eq!(owner(&mut tracker, "10.0.0.1", last + 30 * SECOND), Ok("3".into()));
}

#[test]
fn a_pod_that_has_ended_gives_up_its_address() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let running = pod("1", "job", "10.0.0.1", made);
    apply(&mut tracker, &running, made + SECOND);
    let ended = Pod { phase: Phase::Failed, ended_ms: made + 10 * SECOND, ..running.clone() };
    apply(&mut tracker, &ended, made + 20 * SECOND);
    // Not again, whatever a list of before says.
    apply(&mut tracker, &running, made + 21 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 9 * SECOND), Ok("1".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.1", made + 17 * SECOND), Err(Reason::Vacant));
    // One that was never seen alive had it once.
    let made = made + MINUTE;
    let ended = Pod { uid: name("2"), name: name("short"), created_ms: made, ..ended };
    let short = Pod { addresses: vec![ip("10.0.0.2")], ended_ms: 0, ..ended };
    apply(&mut tracker, &short, made + 30 * SECOND);
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 29 * SECOND), Ok("2".into()));
    assert_eq!(owner(&mut tracker, "10.0.0.2", made + 40 * SECOND), Err(Reason::Vacant));
}

#[test]
fn an_address_that_changes_is_each_ones_in_its_time() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    let first = pod("1", "web", "10.0.0.1", made);
    apply(&mut tracker, &first, made + SECOND);
    let both = Pod { addresses: vec![ip("10.0.0.2"), ip("fd00::2")], ..first };
    apply(&mut tracker, &both, made + MINUTE);
    let later = made + 2 * MINUTE;
    for (address, time, expected) in [
        ("10.0.0.1", made + 30 * SECOND, Ok("1".into())),
        ("10.0.0.1", later, Err(Reason::Vacant)),
        ("10.0.0.2", later, Ok("1".into())),
        ("fd00::2", later, Ok("1".into())),
    ] {
        assert_eq!(owner(&mut tracker, address, time), expected, "{address}");
    }
}

#[test]
fn an_address_may_move_to_another_node() {
    let mut tracker = tracker();
    let made = START + MINUTE;
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", made), made + SECOND);
    delete(&mut tracker, "1", "web", made + MINUTE);
    let moved = Pod { node: name("b"), ..pod("2", "web2", "10.0.0.1", made + 2 * MINUTE) };
    apply(&mut tracker, &moved, made + 2 * MINUTE + SECOND);
    let time = made + 3 * MINUTE;
    assert_eq!(owner(&mut tracker, "10.0.0.1", time), Ok("2".into()));
    let cluster = tracker.cluster();
    assert_eq!(cluster.pod(ip("10.0.0.1"), time).owner().unwrap().node.as_str(), "b");
}

#[test]
fn a_published_snapshot_never_changes() {
    let mut tracker = tracker();
    let latest = tracker.latest();
    apply(&mut tracker, &pod("1", "web", "10.0.0.1", START), START);
    assert_eq!(latest.load().pod(ip("10.0.0.1"), START).reason(), Some(Reason::NotListed));
    tracker.publish();
    let published = latest.load_full();
    delete(&mut tracker, "1", "web", START + SECOND);
    tracker.advance(START + 10 * MINUTE);
    tracker.publish();
    assert!(published.pod(ip("10.0.0.1"), START).guess().is_some());
    assert!(latest.load().pod(ip("10.0.0.1"), START).guess().is_none());
}

#[test]
fn news_that_change_nothing_cost_no_copy() {
    let mut tracker = tracker();
    let one = pod("1", "web", "10.0.0.1", START);
    apply(&mut tracker, &one, START);
    let before = tracker.cluster();
    apply(&mut tracker, &one, START + MINUTE);
    assert!(tracker.cluster().pods.is_same(&before.pods));
}
