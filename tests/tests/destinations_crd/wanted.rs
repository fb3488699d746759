use serde_json::{Value, json};
use tests::api_server::{End, StandIn};

use crate::world::{World, definition, destination, documented_rules, over_tcp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_creates_edits_and_deletes_is_what_is_wanted() {
    let world = World::allowed().await;
    world.apply(&destination("b", &over_tcp("192.0.2.2:4739")));
    world.apply(&destination("a", &over_tcp("shop/collector:4739")));
    world.wants(&[("crd/a", "shop/collector:4739"), ("crd/b", "192.0.2.2:4739")]).await;
    let patch = r#"{"spec":{"address":"[fd00::1]:1"}}"#;
    let edit = ["patch", "flowexporterdestination", "a", "--type=merge", "-p", patch];
    world.kubectl(&edit, &Value::Null);
    world.wants(&[("crd/a", "[fd00::1]:1"), ("crd/b", "192.0.2.2:4739")]).await;
    world.delete("flowexporterdestination", "b");
    world.wants(&[("crd/a", "[fd00::1]:1")]).await;
    world.refuses(&[]).await;
    assert_eq!(world.metric("fyke_exporter_custom_resources_running"), Some(1));
    assert_eq!(world.server.counters().refused.get(&403), None, "the documented rules are enough");
}

/// No schema is checked by the stand-in, as by nobody if the definition is another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_and_leaves_what_was_there_before() {
    let world = World::allowed().await;
    world.apply(&destination("a", &over_tcp("x:1")));
    world.apply(&destination("b", &over_tcp("nowhere")));
    world.wants(&[("crd/a", "x:1")]).await;
    world.refuses(&[("b", "address")]).await;
    let without_tls = json!({ "address": "y:2", "protocol": { "grpc": {} } });
    world.apply(&destination("a", &without_tls));
    world.refuses(&[("a", "no_tls"), ("b", "address")]).await;
    world.wants(&[("crd/a", "x:1")]).await;
    let refused = world.resources.refused.borrow().clone();
    assert_eq!((refused[0].former_runs, refused[1].former_runs), (true, false));
    assert!(refused[0].why.to_string().contains("spec.tlsConfig is missing, which grpc needs"));
    let told = r#"fyke_exporter_custom_resources_refused{reason="no_tls"}"#;
    assert_eq!(world.metric(told), Some(1));
    world.apply(&destination("a", &over_tcp("y:2")));
    world.wants(&[("crd/a", "y:2")]).await;
    world.delete("flowexporterdestination", "b");
    world.refuses(&[]).await;
    assert_eq!(world.metric(told), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_is_missing_is_waited_for() {
    let server = StandIn::start_tls();
    server.require_definitions();
    let world = World::new(server, &documented_rules()).await;
    world.until_metric("fyke_exporter_custom_resources_absent", |value| value == 1).await;
    let looked = r#"fyke_exporter_custom_resources_restarts_total{reason="absent"}"#;
    world.until_metric(looked, |times| times >= 2).await;
    world.resources.progress.ready().wait_for(|ready| *ready).await.unwrap();
    world.wants(&[]).await;

    world.apply(&definition());
    world.apply(&destination("a", &over_tcp("x:1")));
    world.wants(&[("crd/a", "x:1")]).await;
    world.until_metric("fyke_exporter_custom_resources_absent", |value| value == 0).await;

    // What is not installed any more wants nothing.
    world.delete("customresourcedefinition", "flowexporterdestinations.crd.antrea.io");
    world.server.end_watches(End::Clean);
    world.wants(&[]).await;
    world.until_metric("fyke_exporter_custom_resources_absent", |value| value == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_told_with_the_rule_that_is_missing() {
    let world = World::new(StandIn::start_tls(), " []").await;
    world.apply(&destination("a", &over_tcp("x:1")));
    world.until_metric("fyke_exporter_custom_resources_denied", |value| value == 1).await;
    let missing = world.resources.progress.missing();
    let told: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let rule = "- apiGroups: [\"crd.antrea.io\"]\n  resources: [flowexporterdestinations]\n  \
                verbs: [list, watch]";
    assert_eq!(told, [rule]);
    world.wants(&[]).await;
    world.allow(&documented_rules());
    world.wants(&[("crd/a", "x:1")]).await;
    world.until_metric("fyke_exporter_custom_resources_denied", |value| value == 0).await;
}
