use flow::Profile;
use k8s::objects::Kind;
use serde_json::json;

use super::*;
use crate::destination::{Compatibility, Redaction};
use crate::destinations::crd::{KIND, RESOURCE};

/// How many may run.
const ROOM: usize = 13;

fn desired() -> Desired {
    Desired::new(Defaults {
        profile: Profile::Antrea,
        compatibility: Compatibility::Antrea,
        redaction: Redaction::default(),
        template_refresh: Spec::TEMPLATE_REFRESH,
        room: ROOM,
    })
}

fn applied(name: &str, uid: &str, created_ms: u64, address: &str) -> Change {
    let protocol = json!({ "ipfix": { "transport": "tcp" } });
    let json = json!({ "spec": { "address": address, "protocol": protocol } }).to_string();
    Change::Applied(Object::Custom(CustomObject {
        kind: &RESOURCE,
        uid: uid.into(),
        name: name.into(),
        created_ms,
        json: json.into(),
    }))
}

fn deleted(name: &str, uid: &str) -> Change {
    Change::Deleted { kind: KIND, namespace: "".into(), name: name.into(), uid: uid.into() }
}

/// Names and addresses of what runs.
fn running(desired: &Desired) -> Vec<(String, String)> {
    let picture = desired.picture();
    picture.specs.iter().map(|spec| (spec.name.clone(), spec.address.to_string())).collect()
}

fn one(name: &str, address: &str) -> (String, String) {
    (format!("crd/{name}"), address.to_owned())
}

#[test]
fn an_edit_that_is_refused_keeps_what_runs() {
    let mut desired = desired();
    desired.apply(applied("a", "1", 0, "x:1"));
    desired.apply(applied("a", "1", 0, "nowhere"));
    assert_eq!(running(&desired), [one("a", "x:1")]);
    let refused = &desired.picture().refused;
    assert_eq!((refused[0].name.as_str(), refused[0].why.reason()), ("a", "address"));
    assert!(refused[0].former_runs);
    desired.apply(applied("a", "1", 0, "y:2"));
    assert_eq!((running(&desired), desired.picture().refused.len()), (vec![one("a", "y:2")], 0));
}

#[test]
fn what_was_refused_from_the_start_does_not_run() {
    let mut desired = desired();
    desired.apply(applied("a", "1", 0, "nowhere"));
    let picture = desired.picture();
    assert!(picture.specs.is_empty() && !picture.refused[0].former_runs);
    desired.apply(deleted("a", "1"));
    assert_eq!(desired.picture(), Picture::default());
}

#[test]
fn another_resource_of_the_same_name_inherits_nothing() {
    let mut desired = desired();
    desired.apply(applied("a", "1", 0, "x:1"));
    desired.apply(applied("a", "2", 0, "nowhere"));
    assert_eq!(running(&desired), []);
    // News of the first, which come late, do not concern the second.
    desired.apply(applied("a", "2", 0, "y:2"));
    desired.apply(deleted("a", "1"));
    assert_eq!(running(&desired), [one("a", "y:2")]);
    desired.apply(deleted("a", ""));
    assert_eq!(running(&desired), []);
}

#[test]
fn what_is_not_in_a_new_list_is_gone_when_the_list_ends() {
    let mut desired = desired();
    desired.apply(applied("a", "1", 0, "x:1"));
    desired.apply(applied("b", "2", 0, "x:2"));
    desired.apply(Change::ListBegun(KIND));
    desired.apply(applied("b", "2", 0, "x:3"));
    assert_eq!(running(&desired), [one("a", "x:1"), one("b", "x:3")], "the list goes on");
    desired.apply(Change::ListEnded(KIND));
    assert_eq!(running(&desired), [one("b", "x:3")]);
}

#[test]
fn the_oldest_run_and_the_rest_is_told_and_waits() {
    let mut desired = desired();
    for number in 0..ROOM + 2 {
        // Names are in the other order than ages.
        let (name, uid) = (format!("n{:03}", 900 - number), number.to_string());
        desired.apply(applied(&name, &uid, number as u64, "x:1"));
    }
    let picture = desired.picture();
    assert_eq!(picture.specs.len(), ROOM);
    let waiting: Vec<_> = picture.refused.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(waiting, ["n886", "n887"]);
    assert!(picture.refused.iter().all(|it| it.why == Refusal::TooMany(ROOM) && !it.former_runs));
    desired.apply(deleted("n900", "0"));
    let picture = desired.picture();
    assert_eq!((picture.specs.len(), picture.refused.len()), (ROOM, 1));
    assert_eq!(picture.refused[0].name, "n886");
}

#[test]
fn more_than_can_be_remembered_are_counted() {
    let mut desired = desired();
    desired.apply(Change::ListBegun(KIND));
    for number in 0..KNOWN + 3 {
        desired.apply(applied(&format!("n{number}"), &number.to_string(), 0, "x:1"));
    }
    desired.apply(Change::ListEnded(KIND));
    let picture = desired.picture();
    assert_eq!((picture.specs.len(), picture.refused.len()), (ROOM, KNOWN - ROOM));
    assert_eq!(picture.unknown, 3);
    desired.apply(Change::ListBegun(Kind::Custom(&RESOURCE)));
    desired.apply(Change::ListEnded(KIND));
    assert_eq!(desired.picture(), Picture::default());
}
