//! What the `kube` crate makes of the stand-in.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tests::api_server::{End, Expiry, Failure, Keep, StandIn, Verb};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(server: &StandIn) -> Client {
    let config = Config::new(server.url().parse().unwrap());
    Client::try_from(config).unwrap()
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
        "spec": { "containers": [] },
    })
}

/// What a watcher says, errors left out: it tries again by itself.
struct Events<K>(Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>);

impl<K> Events<K>
where
    K: ResourceExt<DynamicType: Default> + Clone + std::fmt::Debug + Send + 'static,
    K: serde::de::DeserializeOwned,
{
    fn new(server: &StandIn, config: watcher::Config) -> Self {
        Self(watcher(Api::all(client(server)), config).boxed())
    }

    async fn next(&mut self) -> Event<K> {
        let next = async {
            loop {
                if let Ok(event) = self.0.next().await.expect("a watcher never ends") {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("an event in time")
    }

    /// The names of a complete list: from the event that begins it to the one that ends it.
    async fn listed(&mut self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        loop {
            match self.next().await {
                Event::Init => names.clear(),
                Event::InitApply(object) => assert!(names.insert(object.name_any())),
                Event::InitDone => return names,
                event => panic!("a list comes first, not {event:?}"),
            }
        }
    }

    async fn applied(&mut self) -> String {
        match self.next().await {
            Event::Apply(object) => object.name_any(),
            event => panic!("something was changed, not {event:?}"),
        }
    }

    async fn deleted(&mut self) -> String {
        match self.next().await {
            Event::Delete(object) => object.name_any(),
            event => panic!("something was deleted, not {event:?}"),
        }
    }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn a_page_walk_shows_one_moment() {
    let server = StandIn::start();
    server.load(1, 25);
    let pods: Api<Pod> = Api::all(client(&server));
    let mut seen = Vec::new();
    let mut params = ListParams::default().limit(10);
    loop {
        let page = pods.list(&params).await.unwrap();
        seen.extend(page.items.iter().map(ResourceExt::name_any));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        let remaining = page.metadata.remaining_item_count.unwrap();
        assert_eq!(seen.len() + usize::try_from(remaining).unwrap(), 25);
        // What changes meanwhile is not seen.
        server.put(pod(&format!("new-{}", seen.len())));
        params = params.continue_token(&token);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.iter().all(|name| name.starts_with("app-")));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25);
}

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

/// Follows an addition, a change and a deletion, after the list.
async fn follows<K>(server: &StandIn, config: watcher::Config)
where
    K: ResourceExt<DynamicType: Default> + Clone + std::fmt::Debug + Send + 'static,
    K: serde::de::DeserializeOwned,
{
    server.put(pod("old-0"));
    server.put(pod("old-1"));
    server.put(pod("old-2"));
    let mut events = Events::<K>::new(server, config);
    assert_eq!(events.listed().await, names(["old-0", "old-1", "old-2"]));
    server.put(pod("new"));
    assert_eq!(events.applied().await, "new");
    let mut changed = pod("old-1");
    changed["metadata"]["labels"] = json!({ "a": "b" });
    server.put(changed);
    assert_eq!(events.applied().await, "old-1");
    server.remove("v1", "Pod", "default", "old-0");
    assert_eq!(events.deleted().await, "old-0");
}

#[tokio::test]
async fn a_watcher_that_lists_first() {
    let server = StandIn::start();
    follows::<Pod>(&server, watcher::Config::default().page_size(2)).await;
    let counters = server.counters();
    assert_eq!(counters.requests(Verb::List, "pods"), 2, "pages");
    assert_eq!(counters.open_watches("pods"), 1);
}

#[tokio::test]
async fn a_watcher_that_streams_the_list() {
    let server = StandIn::start();
    follows::<Pod>(&server, watcher::Config::default().streaming_lists()).await;
    assert_eq!(server.counters().requests(Verb::List, "pods"), 0);
}

#[tokio::test]
async fn a_watcher_of_metadata() {
    let server = StandIn::start();
    follows::<PartialObjectMeta<Pod>>(&server, watcher::Config::default()).await;
    let mut pods = Events::<PartialObjectMeta<Pod>>::new(&server, watcher::Config::default());
    pods.listed().await;
    server.send_bookmarks();
    server.put(pod("after a bookmark"));
    assert_eq!(pods.applied().await, "after a bookmark");
}

#[tokio::test]
async fn streaming_lists_can_be_refused() {
    let server = StandIn::start();
    server.refuse_streaming_lists(true);
    let config = watcher::Config::default().streaming_lists();
    let mut events = watcher(Api::<Pod>::all(client(&server)), config).boxed();
    let refused = loop {
        match events.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
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
        let told = pods.0.next().await.unwrap().unwrap_err();
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

#[tokio::test]
async fn objects_are_written() {
    let server = StandIn::start();
    let pods: Api<Pod> = Api::namespaced(client(&server), "default");
    let new: Pod = serde_json::from_value(pod("a")).unwrap();
    let made = pods.create(&PostParams::default(), &new).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let kube::Error::Api(again) = pods.create(&PostParams::default(), &new).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(again.message, "pods \"a\" already exists");

    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let patched = pods.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.labels()["a"], "b");
    assert_eq!(patched.uid(), made.uid());
    assert_ne!(patched.resource_version(), made.resource_version());

    let kube::Error::Api(stale) =
        pods.replace("a", &PostParams::default(), &made).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
    pods.replace("a", &PostParams::default(), &patched).await.unwrap();

    pods.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(pods.get_opt("a").await.unwrap(), None);
}
