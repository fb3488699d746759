//! One fault at a time, while objects of all kinds change.

use std::sync::Arc;

use k8s::client::Reason;
use k8s::objects::{Kind, Object};
use k8s::watch::{KindState, Options, Watches};
use k8s::{LabelFilter, Limits, Lookup, Margins, Tracker};
use tests::api_server::{End, Expiry, Failure, Keep, StandIn, Verb};

use super::world::{Changes, World, impatient, options};

/// Watches that have settled once, and what changes meanwhile.
struct Scene {
    server: StandIn,
    world: World,
    changes: Changes,
}

impl Scene {
    async fn set(options: Options) -> Self {
        Self::set_at(StandIn::start_tls(), options).await
    }

    async fn set_at(server: StandIn, options: Options) -> Self {
        let mut changes = Changes::new();
        changes.make(&server, 200);
        let world = World::watch(&server, options).await;
        world.ready().await;
        world.settled(&server).await;
        world.watching(&server).await;
        Self { server, world, changes }
    }

    fn change(&mut self) {
        self.changes.make(&self.server, 50);
    }

    /// Waits until each kind began anew for `reason`.
    async fn each_restarted(&self, reason: Reason) {
        self.world.progresses(reason.name(), |_, state| state.restarts.of(reason) > 0).await;
    }

    /// What is left when all is well again: the whole picture, and every kind followed.
    async fn recovers(mut self) -> World {
        self.server.fail_no_more();
        self.world.settled(&self.server).await;
        self.change();
        self.world.settled(&self.server).await;
        for (kind, state) in self.world.progress.kinds() {
            assert!(state.synced_ms.is_some() && state.denied.is_none(), "{kind:?}: {state:?}");
        }
        self.world
    }
}

fn refusal(verb: Option<Verb>, status: u16) -> Failure {
    Failure { verb, resource: None, times: 21, status, retry_after: None }
}

#[tokio::test]
async fn watches_that_end_go_on_where_they_were() {
    for (how, reason) in [(End::Clean, Reason::Ended), (End::Reset, Reason::Broken)] {
        let mut scene = Scene::set(options()).await;
        for _ in 0..5 {
            scene.change();
            scene.server.end_watches(how);
            scene.change();
        }
        scene.each_restarted(reason).await;
        let world = scene.recovers().await;
        assert!(Kind::ALL.iter().all(|&kind| world.state(kind).lists == 1), "no second list");
    }
}

#[tokio::test]
async fn a_history_that_is_gone_is_listed_anew() {
    for expiry in [Expiry::Event, Expiry::Status] {
        let mut scene = Scene::set(options()).await;
        scene.server.expire_by(expiry);
        scene.change();
        scene.server.compact();
        scene.server.end_watches(End::Clean);
        scene.change();
        scene.each_restarted(Reason::Expired).await;
        scene.recovers().await;
    }
}

#[tokio::test]
async fn gone_in_the_middle_of_a_watch_is_listed_anew() {
    let mut scene = Scene::set(options()).await;
    scene.change();
    scene.server.end_watches(End::Gone);
    scene.change();
    scene.each_restarted(Reason::Expired).await;
    let world = scene.recovers().await;
    assert!(Kind::ALL.iter().all(|&kind| world.state(kind).lists == 2));
}

#[tokio::test]
async fn silence_is_noticed() {
    let mut scene = Scene::set(impatient()).await;
    scene.server.stall_watches(true);
    scene.change();
    scene.each_restarted(Reason::Stalled).await;
    scene.server.stall_watches(false);
    scene.recovers().await;
}

#[tokio::test]
async fn bookmarks_are_signs_of_life_and_move_the_watch_on() {
    let scene = Scene::set(options()).await;
    // Of one kind only: without bookmarks, the others would stand at a version from before.
    scene.server.load(0, 30);
    scene.world.settled(&scene.server).await;
    let before: Vec<_> = scene.world.progress.kinds();
    let before = |kind| before.iter().find(|(one, _)| *one == kind).unwrap().1.last_event_ms;
    scene.server.send_bookmarks();
    scene.world.progresses("bookmarks", |kind, state| state.last_event_ms > before(kind)).await;
    let version = scene.server.version();
    scene.server.end_watches(End::Clean);
    scene.each_restarted(Reason::Ended).await;
    scene.world.watching(&scene.server).await;
    let from = format!("&resourceVersion={version}");
    let asked = scene.server.counters().last;
    let last = asked.iter().rev().find(|seen| seen.resource == "jobs").unwrap();
    assert!(last.query.ends_with(&from), "{from}: {last:?}");
    scene.recovers().await;
}

#[tokio::test]
async fn refused_requests_are_tried_again() {
    for (status, reason) in
        [(500, Reason::ServerError), (503, Reason::ServerError), (429, Reason::Throttled)]
    {
        for streams in [true, false] {
            let mut scene = Scene::set(Options { stream_lists: streams, ..options() }).await;
            scene.server.fail(refusal(None, status));
            scene.server.end_watches(End::Gone);
            scene.change();
            scene.each_restarted(reason).await;
            scene.recovers().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_streams_no_lists_is_read_by_pages() {
    let server = StandIn::start_tls();
    server.refuse_streaming_lists(true);
    server.load(2, 40);
    let mut scene = Scene::set_at(server, options()).await;
    for kind in Kind::ALL {
        assert_eq!(scene.world.restarts(kind, Reason::Rejected), 1, "{kind:?}");
    }
    let counters = scene.server.counters();
    assert!(counters.requests(Verb::List, "pods") >= 40 / 7, "in pages");
    scene.change();
    scene.server.end_watches(End::Gone);
    scene.change();
    scene.each_restarted(Reason::Expired).await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_list_whose_pages_expire_is_begun_again() {
    let server = StandIn::start_tls();
    server.load(2, 200);
    let mut scene = Scene::set_at(server, Options { stream_lists: false, ..options() }).await;
    let pages = |counters: &tests::api_server::Counters| counters.requests(Verb::List, "pods");
    let before = pages(&scene.server.counters());
    scene.server.end_watches(End::Gone);
    scene.server.until("a page", move |counters| pages(counters) >= before + 2).await;
    scene.server.compact();
    scene.change();
    scene.each_restarted(Reason::Expired).await;
    scene.recovers().await;
}

#[tokio::test]
async fn a_server_that_starts_again_is_found_again() {
    let mut scene = Scene::set(options()).await;
    scene.change();
    scene.server.go_down();
    scene.change();
    scene.each_restarted(Reason::Unreachable).await;
    scene.server.come_up();
    scene.change();
    let world = scene.recovers().await;
    assert!(Kind::ALL.iter().all(|&kind| world.state(kind).lists == 1), "no second list");
}

#[tokio::test]
async fn a_server_that_is_down_at_first_is_found_later() {
    let mut server = StandIn::start_tls();
    server.load(1, 10);
    server.go_down();
    let world = World::watch(&server, options()).await;
    let unreachable = |_, state: &KindState| state.restarts.of(Reason::Unreachable) > 0;
    world.progresses("failure", unreachable).await;
    server.come_up();
    world.ready().await;
    world.settled(&server).await;
}

#[tokio::test]
async fn a_server_restored_to_the_past_is_listed_anew() {
    let mut scene = Scene::set(impatient()).await;
    let version = scene.server.version();
    scene.server.restart(Keep::Nothing);
    scene.change();
    assert!(scene.server.version() < version, "its versions begin anew");
    scene.each_restarted(Reason::WentBack).await;
    scene.recovers().await;
}

#[tokio::test]
async fn one_kind_that_is_denied_keeps_no_other_from_going_on() {
    let mut scene = Scene::set(options()).await;
    let pods = Failure { resource: Some("pods"), times: u32::MAX, ..refusal(None, 403) };
    scene.server.fail(pods);
    scene.server.end_watches(End::Clean);
    let denied =
        |kind, state: &KindState| kind != Kind::Pod || state.restarts.of(Reason::Denied) > 2;
    scene.world.progresses("denials", denied).await;
    let denied = scene.world.state(Kind::Pod).denied.expect("it is told");
    assert_eq!(scene.world.state(Kind::Pod).followed_since_ms, None);
    assert_eq!((denied.access.kind, denied.access.verb), (Kind::Pod, k8s::client::Verb::Watch));
    let before = scene.world.progress.kinds();
    let events = |kind| before.iter().find(|(one, _)| *one == kind).unwrap().1.events;
    scene.change();
    let goes_on = |kind, state: &KindState| kind == Kind::Pod || state.events > events(kind);
    scene.world.progresses("the others", goes_on).await;
    scene.server.fail_no_more();
    let world = scene.recovers().await;
    assert_eq!(world.restarts(Kind::Job, Reason::Denied), 0);
}

#[tokio::test]
async fn a_kind_that_is_denied_from_the_start_does_not_hold_up_the_others() {
    let server = StandIn::start_tls();
    server.fail(Failure { resource: Some("jobs"), times: u32::MAX, ..refusal(None, 403) });
    server.load(1, 3);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    assert!(world.state(Kind::Job).denied.is_some());
    assert!(world.state(Kind::Pod).synced_ms.is_some());
    server.fail_no_more();
    world.settled(&server).await;
    server.until("Jobs", |counters| counters.open_watches("jobs") == 1).await;
}

#[tokio::test]
async fn a_nodes_own_pods_are_all_that_is_asked_for() {
    for streams in [true, false] {
        let server = StandIn::start_tls();
        server.load(3, 30);
        let own = Options { node: Some("node-1".into()), stream_lists: streams, ..options() };
        let world = World::watch(&server, own).await;
        world.ready().await;
        let pods = |world: &World| {
            let pods = world.picture().into_values().filter_map(|object| match object {
                Object::Pod(pod) => Some(pod.node.as_str().to_owned()),
                _ => None,
            });
            pods.collect::<Vec<_>>()
        };
        assert_eq!(pods(&world), ["node-1"; 10]);
        let seen = server.counters().last;
        let asked: Vec<_> = seen.iter().filter(|seen| seen.resource == "pods").collect();
        assert!(asked.iter().all(|seen| seen.query.contains("spec.nodeName%3Dnode-1")));
        let nodes = world.picture().keys().filter(|key| key.0 == Kind::Node).count();
        assert_eq!(nodes, 3, "of other kinds everything");
    }
}

/// Whose Pod 0 of the stand-in is, at `at`: it is certain.
fn is_certain(known: &super::world::Known, at: u64) -> bool {
    let cluster = known.cluster.as_ref();
    cluster.is_some_and(|now| matches!(now.pod([11, 0, 0, 0].into(), at), Lookup::Found(_)))
}

#[tokio::test]
async fn what_is_certain_is_told_of_a_kind_though_another_is_denied() {
    let server = StandIn::start_tls();
    server.load(1, 1);
    server.fail(Failure { resource: Some("jobs"), times: u32::MAX, ..refusal(None, 403) });
    let world = World::watch(&server, options()).await;
    world.ready().await;
    server.until("Pods", |counters| counters.open_watches("pods") == 1).await;
    let at = super::world::now_ms();
    server.send_bookmarks();
    world.until("certainty", |known| is_certain(known, at)).await;
    assert!(world.state(Kind::Job).denied.is_some());
}

/// Nothing comes any more, as if the connection had died; nobody can know what changes meanwhile.
#[tokio::test]
async fn silence_makes_nothing_certain() {
    let server = StandIn::start_tls();
    server.load(1, 1);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    world.watching(&server).await;
    server.stall_watches(true);
    let silent = super::world::now_ms();
    // Two rounds, so that a whole one has begun since then.
    let mut told = None;
    let rounds = |known: &super::world::Known| {
        known.told >= *told.get_or_insert(known.told) + 2 * Kind::ALL.len()
    };
    world.until("what is known to be told again", rounds).await;
    world.until("no certainty", |known| !is_certain(known, silent + 1)).await;
    server.stall_watches(false);
    let at = super::world::now_ms();
    server.send_bookmarks();
    world.until("certainty", |known| is_certain(known, at)).await;
}

/// What was missed comes first, however much it is, and nothing in it says how much more there is.
#[tokio::test]
async fn a_watch_that_goes_on_makes_nothing_certain_before_a_bookmark() {
    let server = StandIn::start_tls();
    server.load(1, 1);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    world.watching(&server).await;
    server.end_watches(End::Clean);
    server.until("a second watch", |counters| counters.requests(Verb::Watch, "pods") >= 2).await;
    let at = super::world::now_ms();
    server.put(pod("late"));
    let has_come = |known: &super::world::Known| {
        known.picture.keys().any(|key| key.0 == Kind::Pod && key.2 == "late")
    };
    world.until("the change", has_come).await;
    let mut told = None;
    let rounds = |known: &super::world::Known| {
        known.told >= *told.get_or_insert(known.told) + 2 * Kind::ALL.len()
    };
    world.until("what is known to be told again", rounds).await;
    world.until("no certainty", |known| !is_certain(known, at)).await;
    server.send_bookmarks();
    world.until("certainty", |known| is_certain(known, at)).await;
}

fn pod(name: &str) -> serde_json::Value {
    let status = serde_json::json!({ "podIPs": [{ "ip": "11.9.9.9" }] });
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "ns-0" }, "status": status,
    })
}

/// Nobody has to wait for the next bookmark, of which there is one a minute.
#[tokio::test]
async fn how_far_a_quiet_server_is_can_be_asked() {
    let server = StandIn::start_tls();
    server.load(1, 1);
    let world = World::watch(&server, options()).await;
    world.ready().await;
    world.watching(&server).await;
    let at = super::world::now_ms();
    world.progress.want(Kind::Pod);
    world.until("certainty", |known| is_certain(known, at)).await;
    let state = world.state(Kind::Pod);
    assert_eq!((state.probes, state.probes_vain), (1, 0));
}

#[tokio::test]
async fn a_tracker_publishes_snapshots_and_what_it_could_not_take() {
    let server = StandIn::start_tls();
    server.load(2, 10);
    let connection = Arc::clone(&World::watch(&server, options()).await.connection);
    let watches = Watches::new(connection, options(), Arc::new(super::world::now_ms));
    let progress = watches.progress();
    let limits = Limits { objects: 7, ..Limits::default() };
    let tracker = Tracker::new(Margins::default(), limits, LabelFilter::new(["*"]));
    let latest = tracker.latest();
    let tracking = tokio::spawn(watches.track(tracker));
    progress.ready().wait_for(|ready| *ready).await.unwrap();
    let (now, cluster) = (super::world::now_ms(), latest.load());
    let named = (0..10).filter(|&host| cluster.pod([11, 0, 0, host].into(), now).guess().is_some());
    assert_eq!(named.count(), 7);
    assert_eq!(progress.tracker_stats().objects_refused, 3);
    tracking.abort();
}

#[tokio::test]
async fn watching_stops_in_good_order() {
    let scene = Scene::set(options()).await;
    scene.world.stop().await;
    scene.server.until("no watch", |counters| counters.all_open_watches() == 0).await;
}
