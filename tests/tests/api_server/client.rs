//! What the `kube` crate makes of the stand-in.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tests::api_server::{StandIn, Verb};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn client(server: &StandIn) -> Client {
    let mut config = Config::new(server.url().parse().unwrap());
    // What the server says is to be seen here, not kept trying at.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
        "spec": { "containers": [] },
    })
}

/// What a watcher says, errors left out: it tries again by itself.
pub(crate) struct Events<K>(
    pub(crate) Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>,
);

impl<K> Events<K>
where
    K: ResourceExt<DynamicType: Default> + Clone + std::fmt::Debug + Send + 'static,
    K: serde::de::DeserializeOwned,
{
    pub(crate) fn new(server: &StandIn, config: watcher::Config) -> Self {
        Self(watcher(Api::all(client(server)), config).boxed())
    }

    pub(crate) async fn next(&mut self) -> Event<K> {
        let next = async {
            loop {
                if let Ok(event) = self.0.next().await.expect("a watcher never ends") {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("an event in time")
    }

    /// The next failure.
    pub(crate) async fn failure(&mut self) -> watcher::Error {
        let next = async {
            loop {
                if let Err(error) = self.0.next().await.expect("a watcher never ends") {
                    return error;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("a failure in time")
    }

    /// The names of a complete list: from the event that begins it to the one that ends it.
    pub(crate) async fn listed(&mut self) -> BTreeSet<String> {
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

    pub(crate) async fn applied(&mut self) -> String {
        match self.next().await {
            Event::Apply(object) => object.name_any(),
            event => panic!("something was changed, not {event:?}"),
        }
    }

    pub(crate) async fn deleted(&mut self) -> String {
        match self.next().await {
            Event::Delete(object) => object.name_any(),
            event => panic!("something was deleted, not {event:?}"),
        }
    }
}

pub(crate) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
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

#[tokio::test]
async fn an_object_comes_into_a_selection_and_leaves_it() {
    let server = StandIn::start();
    let labelled = |name: &str, label: &str| {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = json!({ "app": label });
        pod
    };
    server.put(labelled("a", "x"));
    server.put(labelled("b", "y"));
    let config = watcher::Config::default().labels("app=x").fields("metadata.namespace=default");
    let mut pods = Events::<Pod>::new(&server, config);
    assert_eq!(pods.listed().await, names(["a"]));
    server.put(labelled("b", "x"));
    assert_eq!(pods.applied().await, "b");
    server.put(labelled("c", "y"));
    server.put(labelled("a", "y"));
    assert_eq!(pods.deleted().await, "a");
    server.remove("v1", "Pod", "default", "c");
    server.remove("v1", "Pod", "default", "b");
    assert_eq!(pods.deleted().await, "b");
}

/// Two clients that want to be the holder, as `kube-lease-manager` asks for it.
#[tokio::test]
async fn what_another_applied_is_not_overwritten() {
    let server = StandIn::start();
    let leases: Api<Lease> = Api::namespaced(client(&server), "default");
    let wanted = |holder: &str| {
        Patch::Apply(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15 },
        }))
    };
    let by = |manager: &str| PatchParams::apply(manager);
    let holder = |lease: Lease| lease.spec.unwrap().holder_identity;
    let held = leases.patch("l", &by("a"), &wanted("a")).await.unwrap();
    assert_eq!(holder(held).as_deref(), Some("a"));
    let kube::Error::Api(status) = leases.patch("l", &by("b"), &wanted("b")).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"a\": .spec.holderIdentity"
    );
    // What is given up is free for all.
    let gone = Patch::Strategic(json!({ "spec": { "holderIdentity": null } }));
    let manager = PatchParams { field_manager: Some("a".to_owned()), ..PatchParams::default() };
    assert_eq!(holder(leases.patch("l", &manager, &gone).await.unwrap()), None);
    let held = leases.patch("l", &by("b"), &wanted("b")).await.unwrap();
    assert_eq!(holder(held).as_deref(), Some("b"));
    let forced = leases.patch("l", &by("c").force(), &wanted("c")).await.unwrap();
    assert_eq!(holder(forced).as_deref(), Some("c"));
}

#[tokio::test]
async fn tokens_and_rules_over_tls() {
    let server = StandIn::start_tls();
    server.require_access(
        "users: [{ name: a, token: t, rules: [{ apiGroups: [''], resources: [pods], \
         resourceNames: [mine], verbs: [list, watch] }] }]",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = Kubeconfig::read_from(server.kubeconfig(folder.path(), Some("t"))).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let pods: Api<Pod> = Api::all(Client::try_from(config.unwrap()).unwrap());
    let refusal = |error: kube::Error| match error {
        kube::Error::Api(status) => (status.code, status.message),
        error => panic!("{error}"),
    };
    let all = pods.list(&ListParams::default()).await.unwrap_err();
    let message = "pods is forbidden: User \"a\" cannot list resource \"pods\" in API group \"\" \
                   at the cluster scope";
    assert_eq!(refusal(all), (403, message.to_owned()));
    let mine = ListParams::default().fields("metadata.name=mine");
    assert_eq!(pods.list(&mine).await.unwrap().items.len(), 0);
    server.expire_tokens();
    assert_eq!(refusal(pods.list(&mine).await.unwrap_err()), (401, "Unauthorized".to_owned()));
}

#[tokio::test]
async fn a_large_cluster_is_listed() {
    let server = StandIn::start();
    server.load(100, 20_000);
    let config = watcher::Config::default().page_size(500);
    let pods = Events::<PartialObjectMeta<Pod>>::new(&server, config).listed().await;
    assert_eq!(pods.len(), 20_000);
    assert_eq!(server.counters().requests(Verb::List, "pods"), 40);
}
