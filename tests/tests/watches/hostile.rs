//! Objects that nobody should make.

use k8s::objects::{Kind, Object, Pod};
use k8s::watch::{Left, LeftOut, Options};
use serde_json::{Value, json};
use tests::api_server::{End, StandIn};

use super::world::{World, options};

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
        "spec": { "nodeName": "node-0", "containers": [] },
        "status": { "phase": "Running", "podIPs": [{ "ip": "10.1.0.1" }] },
    })
}

fn hostile() -> Vec<Value> {
    let mut pods: Vec<_> =
        ["address", "addresses", "labels", "shape", "large", "long"].map(pod).into();
    pods[0]["status"]["podIPs"] = json!([{ "ip": "10.1.0.300" }, { "ip": "10.1.0.2" }]);
    let ips = (0..10_000).map(|n| json!({ "ip": format!("10.2.{}.{}", n / 250, n % 250) }));
    pods[1]["status"]["podIPs"] = ips.collect();
    pods[2]["metadata"]["labels"] = json!({ "a": "kept", "b": "x".repeat(1 << 20) });
    pods[3]["status"]["podIPs"] = "10.1.0.3".into();
    pods[4]["spec"]["padding"] = "x".repeat(3 << 20).into();
    pods[5]["metadata"]["name"] = "n".repeat(300).into();
    pods
}

fn pods(world: &World) -> Vec<Pod> {
    let objects = world.picture().into_values();
    let pods = objects.filter_map(|object| match object {
        Object::Pod(pod) => Some(pod),
        _ => None,
    });
    pods.collect()
}

#[tokio::test]
async fn hostile_objects_are_cut_or_left_out_and_end_nothing() {
    for stream_lists in [true, false] {
        let server = StandIn::start_tls();
        server.put(pod("first"));
        let options = Options { object_limit: 2 << 20, stream_lists, ..options() };
        let world = World::watch(&server, options).await;
        world.ready().await;
        for pod in hostile() {
            server.put(pod);
        }
        server.put(pod("last"));
        let last = |picture: &super::world::Known| {
            picture
                .picture
                .values()
                .any(|object| matches!(object, Object::Pod(pod) if pod.name.as_str() == "last"))
        };
        world.until("the last Pod", last).await;
        check(&world, 1);

        // The same by a list.
        world.watching(&server).await;
        server.end_watches(End::Gone);
        world.progresses("lists", |_, state| state.lists == 2).await;
        check(&world, 2);
        assert!(world.is_running());
    }
}

fn check(world: &World, times: u64) {
    let pods = pods(world);
    let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["address", "addresses", "first", "labels", "last"]);
    assert_eq!((pods[0].addresses.len(), pods[1].addresses.len()), (1, 16));
    assert_eq!(pods[3].labels, [("a".into(), "kept".into())]);
    let left = world.state(Kind::Pod).left_out;
    let counted = [
        (LeftOut::Malformed, 1),
        (LeftOut::Nameless, 1),
        (LeftOut::TooLarge, 1),
        (LeftOut::Address, 1 + 10_000 - 16),
        (LeftOut::Label, 1),
        (LeftOut::Port, 0),
        (LeftOut::NameEnd, 0),
    ];
    for (what, count) in counted {
        assert_eq!(left.of(what), count * times, "{what:?}");
    }
    assert_eq!(world.state(Kind::Job).left_out, Left::default());
}
