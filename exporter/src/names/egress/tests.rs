use std::net::IpAddr;

use flow::Name;
use k8s::objects::{Change, CustomObject, Namespace, Object, Pod};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};
use serde_json::{Value, json};

use super::resource::KIND;
use super::table::{Egresses, KNOWN, Known, Uncertain};

const POD: [u8; 4] = [10, 0, 0, 2];

/// A Pod with these labels in a namespace `shop` with those, if it is known.
fn cluster(labels: &[(&str, &str)], namespace: Option<&[(&str, &str)]>) -> Cluster {
    let named = |labels: &[(&str, &str)]| {
        labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let filter = LabelFilter::new(["*"]);
    let mut tracker = Tracker::new(Margins::default(), Limits::default(), filter);
    let pod = Pod {
        uid: "u".into(),
        namespace: "shop".into(),
        name: "web".into(),
        node: "a".into(),
        addresses: vec![POD.into()],
        created_ms: 1,
        labels: named(labels),
        ..Pod::default()
    };
    tracker.apply(Change::Applied(Object::Pod(pod)), 1);
    if let Some(labels) = namespace {
        let (uid, name) = ("s".into(), "shop".into());
        let shop = Namespace { uid, name, labels: named(labels) };
        tracker.apply(Change::Applied(Object::Namespace(shop)), 1);
    }
    tracker.cluster()
}

fn custom(name: &str, body: &Value) -> Change {
    let k8s::objects::Kind::Custom(kind) = KIND else { panic!("{KIND:?}") };
    let (name, json) = (Name::from(name), body.to_string().into_boxed_str());
    Change::Applied(Object::Custom(CustomObject {
        kind,
        uid: name.clone(),
        name,
        created_ms: 1,
        json,
    }))
}

/// One that selects by `applied_to`, and is at an address of a Node.
fn egress(name: &str, applied_to: &Value) -> Change {
    custom(
        name,
        &json!({
            "spec": { "appliedTo": applied_to, "egressIP": "192.0.2.1" },
            "status": { "egressNode": "gate", "egressIP": "192.0.2.8" },
        }),
    )
}

fn listed(changes: impl IntoIterator<Item = Change>) -> Known {
    let mut known = Known::default();
    known.apply(Change::ListBegun(KIND));
    changes.into_iter().for_each(|change| known.apply(change));
    known.apply(Change::ListEnded(KIND));
    known
}

/// Name, Node and IPv4 address of what the Pod has.
fn found(egresses: &Egresses, cluster: &Cluster) -> Result<Option<[String; 3]>, Uncertain> {
    let pod = cluster.pod(POD.into(), 2_000_000).guess();
    let pod = pod.cloned().unwrap_or_else(|| {
        panic!("no Pod: {:?}", cluster.pod(POD.into(), 2_000_000));
    });
    let found = egresses.of(&pod, cluster)?;
    let to = IpAddr::from([1, 1, 1, 1]);
    Ok(found.map(|it| {
        let address = it.address(to).map(Name::to_string).unwrap_or_default();
        [it.name.to_string(), it.node.to_string(), address]
    }))
}

fn of(known: &Known, cluster: &Cluster) -> Result<Option<[String; 3]>, Uncertain> {
    let egresses = Egresses::default();
    egresses.publish(known);
    found(&egresses, cluster)
}

/// Expected is what the documentation of Kubernetes says of selectors, and Antrea's of `appliedTo`.
#[test]
fn a_pod_has_the_one_that_selects_it() {
    let web = cluster(&[("app", "web"), ("tier", "front")], Some(&[("team", "red")]));
    for (applied_to, is_for_it) in [
        (json!({ "podSelector": { "matchLabels": { "app": "web" } } }), true),
        (json!({ "podSelector": { "matchLabels": { "app": "web", "tier": "back" } } }), false),
        (json!({ "podSelector": {} }), true),
        (json!({ "namespaceSelector": {} }), true),
        (json!({ "namespaceSelector": { "matchLabels": { "team": "red" } } }), true),
        (json!({ "namespaceSelector": { "matchLabels": { "team": "blue" } } }), false),
        (
            json!({ "podSelector": { "matchLabels": { "app": "web" } },
                "namespaceSelector": { "matchLabels": { "team": "blue" } } }),
            false,
        ),
        (
            json!({ "podSelector": { "matchExpressions": [
                { "key": "app", "operator": "In", "values": ["db", "web"] },
                { "key": "tier", "operator": "NotIn", "values": ["back"] },
                { "key": "nothing", "operator": "NotIn", "values": ["back"] },
                { "key": "tier", "operator": "Exists" },
                { "key": "nothing", "operator": "DoesNotExist" }] } }),
            true,
        ),
        (
            json!({ "podSelector": { "matchExpressions": [
                { "key": "tier", "operator": "DoesNotExist" }] } }),
            false,
        ),
    ] {
        let told = of(&listed([egress("out", &applied_to)]), &web);
        let expected = is_for_it.then(|| ["out", "gate", "192.0.2.8"].map(str::to_owned));
        assert_eq!(told, Ok(expected), "{applied_to}");
    }
}

#[test]
fn none_is_told_that_is_not_certain() {
    let web = cluster(&[("app", "web")], Some(&[]));
    let everyone = json!({ "podSelector": {} });
    let nobody = json!({ "podSelector": { "matchLabels": { "app": "db" } } });
    assert_eq!(of(&Known::default(), &web), Err(Uncertain::NotListed));
    assert_eq!(of(&listed([]), &web), Ok(None));
    let two = [egress("first", &everyone), egress("second", &everyone)];
    assert_eq!(of(&listed(two), &web), Err(Uncertain::Ambiguous));
    let unassigned = json!({ "spec": { "appliedTo": everyone, "egressIP": "192.0.2.1" } });
    assert_eq!(of(&listed([custom("out", &unassigned)]), &web), Err(Uncertain::Unassigned));
    for strange in [
        json!({ "spec": { "appliedTo": everyone, "destinations": [] } }),
        json!({ "spec": { "appliedTo": { "serviceAccount": { "name": "web" } } } }),
        json!({ "spec": { "appliedTo": {} } }),
        json!({ "spec": { "appliedTo": { "podSelector": { "matchExpressions": [
            { "key": "app", "operator": "Like" }] } } } }),
        json!({ "spec": 7 }),
    ] {
        let told = of(&listed([custom("out", &strange)]), &web);
        assert_eq!(told, Err(Uncertain::NotUnderstood), "{strange}");
    }
    // Whoever it is for, it is not this Pod.
    let other = json!({ "spec": { "appliedTo": nobody, "destinations": [] } });
    assert_eq!(of(&listed([custom("out", &other)]), &web), Ok(None));
}

#[test]
fn labels_that_are_not_all_there_select_nothing() {
    let everywhere = json!({ "namespaceSelector": {} });
    let unknown = cluster(&[], None);
    assert_eq!(of(&listed([egress("out", &everywhere)]), &unknown), Err(Uncertain::Namespace));
    let by_pod = json!({ "podSelector": {} });
    assert!(of(&listed([egress("out", &by_pod)]), &unknown).unwrap().is_some());
    let keys: Vec<String> = (0..40).map(|number| format!("key-{number}")).collect();
    let labels: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
    for (count, is_cut) in [(31, false), (32, true), (40, true)] {
        let pod = cluster(&labels[..count], Some(&[]));
        let namespace = cluster(&[], Some(&labels[..count]));
        for cluster in [pod, namespace] {
            let told = of(&listed([egress("out", &everywhere)]), &cluster);
            assert_eq!(told == Err(Uncertain::LabelsCut), is_cut, "{count}: {told:?}");
        }
    }
}

#[test]
fn each_family_has_its_address() {
    let web = cluster(&[], Some(&[]));
    let dual = json!({
        "spec": { "appliedTo": { "podSelector": {} } },
        "status": { "egressNode": "gate", "egressIP": "192.0.2.8",
            "egressIPs": ["192.0.2.8", "2001:DB8:0::8"] },
    });
    let egresses = Egresses::default();
    egresses.publish(&listed([custom("out", &dual)]));
    let pod = web.pod(POD.into(), 2_000_000).guess().unwrap();
    let both = egresses.of(pod, &web).unwrap().unwrap();
    let address = |to: &str| both.address(to.parse().unwrap()).map(Name::to_string);
    assert_eq!(address("1.1.1.1").as_deref(), Some("192.0.2.8"));
    assert_eq!(address("2606:4700::1").as_deref(), Some("2001:db8::8"));
    egresses.publish(&listed([egress("out", &json!({ "podSelector": {} }))]));
    let one = egresses.of(pod, &web).unwrap().unwrap();
    assert_eq!(one.address("2606:4700::1".parse().unwrap()), None);
}

#[test]
fn what_changes_is_found_anew() {
    let everyone = json!({ "podSelector": {} });
    let egresses = Egresses::default();
    let mut known = listed([egress("out", &everyone)]);
    egresses.publish(&known);
    let web = cluster(&[("app", "web")], Some(&[]));
    let name = |cluster: &Cluster| found(&egresses, cluster).map(|it| it.map(|[name, ..]| name));
    assert_eq!(name(&web), Ok(Some("out".into())));
    let named = Name::from("out");
    let gone = |uid: &str| Change::Deleted {
        kind: KIND,
        namespace: Name::default(),
        name: named.clone(),
        uid: uid.into(),
    };
    known.apply(gone("of another"));
    egresses.publish(&known);
    assert_eq!(name(&web), Ok(Some("out".into())));
    known.apply(gone("out"));
    egresses.publish(&known);
    assert_eq!(name(&web), Ok(None));
    let only = json!({ "podSelector": { "matchLabels": { "app": "web" } } });
    known.apply(egress("web", &only));
    egresses.publish(&known);
    assert_eq!(name(&web), Ok(Some("web".into())));
    // The same Pod, with other labels.
    assert_eq!(name(&cluster(&[("app", "db")], Some(&[]))), Ok(None));
    // A list that lacks it.
    known.apply(Change::ListBegun(KIND));
    known.apply(Change::ListEnded(KIND));
    egresses.publish(&known);
    assert_eq!(name(&web), Ok(None));
}

#[test]
fn with_more_than_are_remembered_none_is_certain() {
    let nobody = json!({ "podSelector": { "matchLabels": { "app": "db" } } });
    let web = cluster(&[("app", "web")], Some(&[]));
    let all = |count: usize| listed((0..count).map(|it| egress(&format!("e{it}"), &nobody)));
    assert_eq!(of(&all(KNOWN), &web), Ok(None));
    let over = all(KNOWN + 1);
    assert_eq!((over.len(), over.refused()), (KNOWN, 1));
    assert_eq!(of(&over, &web), Err(Uncertain::TooMany));
}

#[test]
fn the_documentation_shows_the_rule() {
    let page = include_str!("../../../../docs/rbac.md");
    let shown = super::manifest();
    assert!(page.contains(&shown), "docs/rbac.md must contain:\n{shown}");
}
