//! What goes wrong on command, as the `kube` crate and a plain socket see it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{StreamExt as _, poll};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use tests::api_server::{End, Expiry, Failure, Keep, StandIn, Verb};

use crate::client::{Events, PATIENCE, client, names, pod};

#[tokio::test]
async fn a_list_in_pages_expires_with_the_history() {
    let server = StandIn::start();
    server.load(1, 25);
    let pods: Api<Pod> = Api::all(client(&server));
    let page = pods.list(&ListParams::default().limit(10)).await.unwrap();
    server.compact();
    let next = ListParams::default().limit(10).continue_token(&page.metadata.continue_.unwrap());
    let kube::Error::Api(status) = pods.list(&next).await.unwrap_err() else { panic!() };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn streaming_lists_can_be_refused() {
    let server = StandIn::start();
    server.refuse_streaming_lists(true);
    let config = watcher::Config::default().streaming_lists();
    let refused = Events::<Pod>::new(&server, config).failure().await;
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = refused else {
        panic!("{refused}")
    };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn a_watch_that_ends_is_continued_where_it_was() {
    for how in [End::Clean, End::Reset] {
        let server = StandIn::start();
        server.put(pod("a"));
        let mut pods = Events::<Pod>::new(&server, watcher::Config::default());
        assert_eq!(pods.listed().await, names(["a"]));
        // Only polling makes the watcher watch.
        server.put(pod("b"));
        assert_eq!(pods.applied().await, "b");
        server.end_watches(how);
        server.until("the end", |counters| counters.open_watches("pods") == 0).await;
        server.put(pod("c"));
        assert_eq!(pods.applied().await, "c", "{how:?}");
        assert_eq!(server.counters().requests(Verb::List, "pods"), 1, "{how:?}");
        assert_eq!(server.counters().requests(Verb::Watch, "pods"), 2, "{how:?}");
    }
}

/// A watcher that has listed `a` and seen `b` added, and whose version then expired.
async fn expired(server: &StandIn) -> Events<Pod> {
    server.put(pod("a"));
    let mut pods = Events::<Pod>::new(server, watcher::Config::default());
    assert_eq!(pods.listed().await, names(["a"]));
    server.put(pod("b"));
    assert_eq!(pods.applied().await, "b");
    server.compact();
    server.end_watches(End::Clean);
    server.until("the end", |counters| counters.open_watches("pods") == 0).await;
    pods
}

#[tokio::test]
async fn a_version_that_is_gone_means_a_new_list() {
    let server = StandIn::start();
    let mut pods = expired(&server).await;
    server.remove("v1", "Pod", "default", "a");
    assert_eq!(pods.listed().await, names(["b"]));
    server.put(pod("c"));
    assert_eq!(pods.applied().await, "c");
    server.end_watches(End::Gone);
    assert_eq!(pods.listed().await, names(["b", "c"]), "told in an open watch");
}

/// The watcher of `kube` never recovers from this by itself.
#[tokio::test]
async fn a_version_that_is_gone_may_be_told_by_status() {
    let server = StandIn::start();
    server.expire_by(Expiry::Status);
    let mut pods = expired(&server).await;
    for _ in 0..3 {
        let told = pods.failure().await;
        let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = told else {
            panic!("{told}")
        };
        assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    }
}

#[tokio::test]
async fn a_restart_may_lose_everything() {
    let mut server = StandIn::start();
    server.load(2, 10);
    let mut nodes =
        Events::<k8s_openapi::api::core::v1::Node>::new(&server, watcher::Config::default());
    assert_eq!(nodes.listed().await, names(["node-0", "node-1"]));
    server.restart(Keep::Everything);
    server.load(3, 0);
    assert_eq!(nodes.applied().await, "node-0");
    let before = server.version();
    server.restart(Keep::Nothing);
    assert!(server.version() < before);
    let all: Api<Pod> = Api::all(client(&server));
    assert_eq!(all.list(&ListParams::default()).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn requests_fail_on_command() {
    let server = StandIn::start();
    server.put(pod("a"));
    server.fail(Failure {
        verb: Some(Verb::List),
        resource: Some("pods"),
        times: 2,
        status: 503,
        retry_after: None,
    });
    let mut pods = Events::<Pod>::new(&server, watcher::Config::default());
    assert_eq!(pods.listed().await, names(["a"]));
    assert_eq!(server.counters().requests(Verb::List, "pods"), 3);
    assert_eq!(server.counters().refused[&503], 2);
}

#[tokio::test]
async fn a_stalled_watch_says_nothing() {
    let server = StandIn::start();
    let mut pods = Events::<Pod>::new(&server, watcher::Config::default());
    pods.listed().await;
    server.put(pod("a"));
    pods.applied().await;
    server.stall_watches(true);
    server.put(pod("b"));
    // A second watch, of Nodes, is not stalled in its list: time has passed for the first.
    let mut nodes = Events::<PartialObjectMeta<Pod>>::new(&server, watcher::Config::default());
    assert_eq!(nodes.listed().await, names(["a", "b"]));
    assert!(futures_util::poll!(pods.0.next()).is_pending());
    server.stall_watches(false);
    assert_eq!(pods.applied().await, "b");
}

#[tokio::test]
async fn events_come_twice_on_command() {
    let server = StandIn::start();
    server.duplicate_events(1);
    let mut pods = Events::<Pod>::new(&server, watcher::Config::default());
    pods.listed().await;
    server.put(pod("a"));
    server.put(pod("b"));
    let seen = [pods.applied().await, pods.applied().await, pods.applied().await];
    assert_eq!(seen, ["a", "a", "b"]);
}

/// A watch of Pods by hand: the connection, after the head of the answer.
fn watch_by_hand(server: &StandIn) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /api/v1/pods?watch=1&resourceVersion=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[test]
fn watches_end_as_they_are_told() {
    let server = StandIn::start();
    let mut stream = watch_by_hand(&server);
    server.end_watches(End::Clean);
    let mut rest = [0; 5];
    stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"0\r\n\r\n", "the last chunk");

    let mut stream = watch_by_hand(&server);
    server.end_watches(End::Reset);
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut stream = watch_by_hand(&server);
    server.end_watches(End::Gone);
    let mut text = String::new();
    while !text.ends_with("\r\n0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    assert!(text.contains(r#"{"type":"ERROR","object":{"#) && text.contains(r#""code":410"#));
}

#[test]
fn a_server_that_is_down_refuses_connections() {
    let mut server = StandIn::start();
    let mut stream = watch_by_hand(&server);
    let address = server.address();
    server.go_down();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "cut off, without a last chunk");
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    server.come_up();
    assert_eq!(server.address(), address);
    watch_by_hand(&server);
}

#[tokio::test]
async fn lists_and_events_can_be_late() {
    let server = StandIn::start();
    let pods: Api<Pod> = Api::all(client(&server));
    server.delay_lists(Duration::from_hours(1));
    let params = ListParams::default();
    let mut late = tokio::spawn({
        let pods = pods.clone();
        async move { pods.list(&ListParams::default()).await }
    });
    server.until("the list", |counters| counters.requests(Verb::List, "pods") == 1).await;
    server.delay_lists(Duration::ZERO);
    assert_eq!(pods.list(&params).await.unwrap().items.len(), 0, "others are not late");
    assert!(poll!(&mut late).is_pending());
    late.abort();

    let mut events = Events::<Pod>::new(&server, watcher::Config::default());
    events.listed().await;
    server.put(pod("on-time"));
    assert_eq!(events.applied().await, "on-time");
    server.delay_events(Duration::from_hours(1));
    server.put(pod("a"));
    assert_eq!(pods.list(&params).await.unwrap().items.len(), 2);
    assert!(poll!(events.0.next()).is_pending());
    server.delay_events(Duration::ZERO);
    server.end_watches(End::Clean);
    assert_eq!(events.applied().await, "a", "told by the next watch");
}

#[tokio::test]
async fn who_falls_behind_the_history_is_told_to_begin_anew() {
    let server = StandIn::start();
    server.keep_history(3);
    let mut pods = Events::<Pod>::new(&server, watcher::Config::default());
    pods.listed().await;
    server.put(pod("a"));
    assert_eq!(pods.applied().await, "a");
    server.stall_watches(true);
    for number in 0..4 {
        server.put(pod(&format!("b-{number}")));
    }
    assert_eq!(server.counters().watches_too_slow, 0);
    server.stall_watches(false);
    assert_eq!(pods.listed().await, names(["a", "b-0", "b-1", "b-2", "b-3"]));
    assert_eq!(server.counters().watches_too_slow, 1);
}

#[tokio::test]
async fn a_refusal_may_say_when_to_come_again() {
    let server = StandIn::start();
    server.fail(Failure {
        verb: None,
        resource: None,
        times: 1,
        status: 429,
        retry_after: Some(7),
    });
    let request = hyper::Request::get("/api/v1/nodes").body(kube::client::Body::empty()).unwrap();
    let answer = client(&server).send(request).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
}

#[tokio::test]
async fn bookmarks_come_when_told_and_before_the_end() {
    let server = StandIn::start();
    let pods: Api<Pod> = Api::all(client(&server));
    let mut told = pods.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    server.load(3, 0);
    server.send_bookmarks();
    let mut ended = pods.watch(&WatchParams::default().timeout(1), "1").await.unwrap().boxed();
    for events in [&mut told, &mut ended] {
        let Some(Ok(WatchEvent::Bookmark(bookmark))) = events.next().await else { panic!() };
        assert_eq!(bookmark.metadata.resource_version, "4");
    }
    assert!(ended.next().await.is_none());
}

#[tokio::test]
async fn versions_from_a_lost_past_are_too_large() {
    let mut server = StandIn::start();
    server.load(3, 0);
    server.restart(Keep::Nothing);
    let nodes: Api<Node> = Api::all(client(&server));
    let kube::Error::Api(status) = nodes.list(&ListParams::default().at("4")).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!((status.code, status.reason.as_str()), (504, "Timeout"));
}
