//! A server, watches of it, and a plain picture of what they tell.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s::client::{Connection, Reason, Source};
use k8s::objects::{Change, Kind};
use k8s::watch::{KindState, News, Options, Progress, Retry, Seen, Watches};
use k8s::{Cluster, LabelFilter, Limits, Margins, Tracker};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api_server::StandIn;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::truth::{self, Picture};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The token of whoever may do everything, where anything is to be allowed.
pub(crate) const ADMIN: &str = "token-of-admin";
/// The token that watches begin with.
pub(crate) const OURS: &str = "token-of-fyke";

pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(elapsed.as_millis()).unwrap()
}

/// Retries soon, and pages that are soon full.
pub(crate) fn options() -> Options {
    let [first, most, calm] = [5, 50, 1_000].map(Duration::from_millis);
    Options {
        silence: PATIENCE,
        retry: Retry { first, most, calm },
        page_size: 7,
        ..Options::default()
    }
}

/// Notices silence soon. The stand-in sends bookmarks only when it is told to, so that watches of
/// a server at which nothing happens begin anew every now and then.
pub(crate) fn impatient() -> Options {
    Options { silence: Duration::from_millis(500), ..options() }
}

/// A client that may do everything.
pub(crate) async fn admin(server: &StandIn) -> Client {
    let directory = TempDir::new().unwrap();
    let path = server.kubeconfig(directory.path(), Some(ADMIN));
    let read = kube::config::Kubeconfig::read_from(path).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(read, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    Client::try_from(config).unwrap()
}

/// What watches have made known.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) picture: Picture,
    pub(crate) cluster: Option<Cluster>,
    /// How often it was told until when a kind is known.
    pub(crate) told: usize,
}

/// Watches of a server.
pub(crate) struct World {
    pub(crate) connection: Arc<Connection>,
    pub(crate) progress: Progress,
    known: watch::Receiver<Known>,
    running: JoinHandle<()>,
    directory: TempDir,
}

impl World {
    /// Watches as whoever has the token [`OURS`].
    pub(crate) async fn watch(server: &StandIn, options: Options) -> Self {
        let directory = TempDir::new().unwrap();
        let path = server.kubeconfig(directory.path(), None);
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        kubeconfig["users"][0]["user"]["tokenFile"] = "token".into();
        fs::write(&path, kubeconfig.to_string()).unwrap();
        fs::write(directory.path().join("token"), OURS).unwrap();
        Self::watch_by(path, options, directory).await
    }

    /// Watches whatever is at `url`.
    pub(crate) async fn watch_at(url: &str, options: Options) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("kubeconfig");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": url } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "users": [{ "name": "u", "user": {} }],
        });
        fs::write(&path, kubeconfig.to_string()).unwrap();
        Self::watch_by(path, options, directory).await
    }

    async fn watch_by(path: PathBuf, options: Options, directory: TempDir) -> Self {
        let connection = Arc::new(Connection::open(Source::Kubeconfig(path)).await.unwrap());
        let watches = Watches::new(Arc::clone(&connection), options, Arc::new(now_ms));
        let progress = watches.progress();
        let (publish, known) = watch::channel(Known::default());
        let running = tokio::spawn(async move {
            let mut plain = Plain::default();
            let none = Margins { skew_ms: 0, linger_ms: 0, settle_ms: 0, keep_ms: 0 };
            let mut tracker = Tracker::new(none, Limits::default(), LabelFilter::new(["*"]));
            let take = |news: News<'_>| {
                publish.send_modify(|known| {
                    match news {
                        News::Changes(changes) => {
                            for Seen { change, at_ms } in changes.drain(..) {
                                plain.apply(&mut known.picture, &change);
                                tracker.apply(change, at_ms);
                            }
                        }
                        News::Known { kind, until_ms } => {
                            known.told += 1;
                            tracker.advance_kind(kind, until_ms);
                        }
                    }
                    known.cluster = Some(tracker.cluster());
                });
            };
            panic!("watching never ends: {:?}", watches.run(take).await);
        });
        Self { connection, progress, known, running, directory }
    }

    /// Puts another token into the file.
    pub(crate) fn replace_token(&self, token: &str) {
        fs::write(self.directory.path().join("token"), token).unwrap();
    }

    pub(crate) fn state(&self, kind: Kind) -> KindState {
        let kinds = self.progress.kinds();
        kinds.into_iter().find(|(one, _)| *one == kind).unwrap().1
    }

    pub(crate) fn restarts(&self, kind: Kind, reason: Reason) -> u64 {
        self.state(kind).restarts.of(reason)
    }

    pub(crate) async fn ready(&self) {
        let mut ready = self.progress.ready();
        let waited = tokio::time::timeout(PATIENCE, ready.wait_for(|ready| *ready)).await;
        waited.expect("it gets ready in time").unwrap();
    }

    /// Waits until the states of all kinds are as they should be.
    pub(crate) async fn progresses(&self, what: &str, is_so: impl Fn(Kind, &KindState) -> bool) {
        let progressed = async {
            // States are numbers that anybody may look at, and nobody is told when they change.
            let mut look = tokio::time::interval(Duration::from_millis(2));
            while !self.progress.kinds().iter().all(|(kind, state)| is_so(*kind, state)) {
                look.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, progressed).await;
        waited.unwrap_or_else(|_| panic!("waited for {what}: {:#?}", self.progress.kinds()));
    }

    /// How often a watch of any kind began anew, for each reason.
    pub(crate) fn all_restarts(&self) -> [u64; Reason::ALL.len()] {
        let kinds = self.progress.kinds();
        Reason::ALL.map(|reason| kinds.iter().map(|(_, state)| state.restarts.of(reason)).sum())
    }

    /// Waits until a watch of any kind has begun anew for `reason`, more often than `before`.
    pub(crate) async fn until_restarts(&self, reason: Reason, before: &[u64; Reason::ALL.len()]) {
        let index = Reason::ALL.iter().position(|one| *one == reason).unwrap();
        let restarted = |_, _: &KindState| self.all_restarts()[index] > before[index];
        self.progresses(reason.name(), restarted).await;
    }

    /// Waits until a watch of each kind is open.
    pub(crate) async fn watching(&self, server: &StandIn) {
        let kinds = u64::try_from(self.progress.kinds().len()).unwrap();
        server.until("watches", move |counters| counters.all_open_watches() == kinds).await;
    }

    /// Waits until the picture is as it should be.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut(&Known) -> bool) {
        let mut known = self.known.clone();
        let waited = tokio::time::timeout(PATIENCE, known.wait_for(|now| is_so(now))).await;
        waited
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {:#?}", self.progress.kinds()))
            .expect("watching goes on");
    }

    /// Waits until the picture is what the server has, while nothing changes there.
    pub(crate) async fn settled(&self, server: &StandIn) -> Picture {
        let truth = truth::of(server).await;
        let mut known = self.known.clone();
        let right = known.wait_for(|known| known.picture == truth);
        if tokio::time::timeout(PATIENCE, right).await.is_err() {
            let now = &self.known.borrow().picture;
            let wrong = truth.iter().find(|(key, object)| now.get(key) != Some(object));
            let extra = now.keys().find(|key| !truth.contains_key(key));
            let (is, should) = (now.len(), truth.len());
            let kinds = self.progress.kinds();
            panic!("{is} of {should} objects; wrong: {wrong:?}; extra: {extra:?}; {kinds:#?}");
        }
        truth::names(known.borrow().cluster.as_ref().unwrap(), &truth, now_ms());
        truth
    }

    pub(crate) fn picture(&self) -> Picture {
        self.known.borrow().picture.clone()
    }

    /// Ends watching in good order.
    pub(crate) async fn stop(mut self) {
        self.running.abort();
        assert!((&mut self.running).await.unwrap_err().is_cancelled());
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_finished()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Changes, applied in the plainest way.
#[derive(Default)]
struct Plain {
    /// What the list of a kind that is under way has shown so far.
    listed: BTreeSet<(Kind, String, String)>,
    listing: BTreeSet<Kind>,
}

impl Plain {
    fn apply(&mut self, picture: &mut Picture, change: &Change) {
        match change {
            Change::Applied(object) => {
                self.listed.insert(truth::insert(picture, object.clone()));
            }
            Change::Deleted { kind, namespace, name, .. } => {
                picture.remove(&(*kind, namespace.as_str().to_owned(), name.as_str().to_owned()));
            }
            Change::ListBegun(kind) => {
                self.listed.retain(|key| key.0 != *kind);
                self.listing.insert(*kind);
            }
            Change::ListEnded(kind) => {
                assert!(self.listing.remove(kind), "a list that ends has begun: {kind:?}");
                picture.retain(|key, _| key.0 != *kind || self.listed.contains(key));
                self.listed.retain(|key| key.0 != *kind);
            }
        }
    }
}

/// Changes objects of all kinds; each step is another one, and over time everything happens.
pub(crate) struct Changes(u64);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) fn make(&mut self, server: &StandIn, count: u64) {
        for _ in 0..count {
            self.0 += 1;
            one(server, self.0);
        }
    }
}

/// A change that `step` alone decides.
fn one(server: &StandIn, step: u64) {
    // Weyl's sequence: spread evenly, and the same every time.
    let spread = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let (which, name) = (spread % 7, format!("thing-{}", spread / 7 % 12));
    let (api, kind, namespace) = [
        ("v1", "Pod", "default"),
        ("v1", "Service", "default"),
        ("discovery.k8s.io/v1", "EndpointSlice", "default"),
        ("v1", "Node", ""),
        ("v1", "Namespace", ""),
        ("apps/v1", "ReplicaSet", "default"),
        ("batch/v1", "Job", "default"),
    ][usize::try_from(which).unwrap()];
    if spread.is_multiple_of(3) && server.get(api, kind, namespace, &name).is_some() {
        return server.remove(api, kind, namespace, &name);
    }
    let mut object = json!({
        "apiVersion": api, "kind": kind,
        "metadata": { "name": name, "namespace": namespace,
            "labels": { "step": step.to_string(), "kubernetes.io/service-name": "web" },
            "ownerReferences": [{ "apiVersion": "x/v1", "kind": "X", "name": format!("x-{step}"),
                "uid": "u", "controller": true }] },
    });
    if namespace.is_empty() {
        object["metadata"].as_object_mut().unwrap().remove("namespace");
    }
    for (field, value) in fields(kind, step).as_object().unwrap() {
        object[field] = value.clone();
    }
    server.put(object);
}

fn fields(kind: &str, step: u64) -> Value {
    let ip = format!("10.1.{}.{}", step / 250 % 250, step % 250);
    match kind {
        "Pod" => json!({
            "spec": { "nodeName": format!("node-{}", step % 3), "containers": [] },
            "status": { "phase": "Running", "podIPs": [{ "ip": ip }] },
        }),
        "Service" => json!({
            "spec": { "clusterIPs": [ip], "ports": [{ "port": 80, "protocol": "UDP" }] },
        }),
        "EndpointSlice" => json!({
            "addressType": "IPv4", "endpoints": [{ "addresses": [ip] }],
            "ports": [{ "name": "http", "port": 8080 }],
        }),
        "Node" => json!({
            "spec": { "podCIDRs": ["10.10.0.0/24"] },
            "status": { "addresses": [{ "type": "InternalIP", "address": ip }] },
        }),
        _ => json!({}),
    }
}
