//! A stand-in for a Kubernetes API server: in memory, inside the test's process, on a port of
//! 127.0.0.1. kubectl and the `kube` crate talk to it as to a real one.
//!
//! It speaks HTTP/1.1, plain or over TLS, and JSON. It has discovery, get, list (paged, with
//! label and field selectors), watch (bookmarks, streaming lists, 410 Gone), create, update,
//! patch, delete, and reviews of tokens and access. Faults are asked for in Rust, never over
//! HTTP, and what happened is counted, so that tests wait for conditions and do not sleep.
//!
//! What it is not: there is no admission, no validation against schemas and no defaulting, no
//! garbage collection, no controllers and no finalizers: deleting removes at once, a Namespace
//! leaves its objects behind, and objects may be put where there is no Namespace. `status` is
//! taken from any write. `Table`, protobuf, CBOR and aggregated discovery are not given; clients
//! that ask for them take JSON. `managedFields` are not shown. Custom resources must have a row
//! in its table; a `CustomResourceDefinition` does not add one, though one may be required. Lists of an older version
//! (`resourceVersionMatch=Exact`) have expired, and a list of any version (0) knows no pages.
//! Of protobuf only the questions are read that kubectl asks about itself.
//!
//! It is bounded as test code is: 100,000 events of history, 64 lists that are being walked, 16
//! chunks on their way to one watch. A watch that falls behind the history is told 410 Gone.

pub(crate) mod resources; // the kinds served
pub(crate) mod refusal; // errors as clients see them
pub(crate) mod selector; // labels and fields
mod store; // objects and their history
mod request; // what is asked for
mod list; // pages
mod watch; // changes as they happen
mod strategic; // patches that merge lists
mod owners; // who set which field
mod patch; // what becomes of an object
mod protobuf; // the little that comes as such
mod write; // changes
mod body; // answers
mod access; // who may do what
mod review; // questions about that
mod service; // one request
mod tls; // certificates
mod listener; // connections
mod kubeconfig; // how clients find it
mod faults; // what goes wrong on command
mod counters; // what happened
mod commands; // what goes wrong, and who may do what
mod bulk; // many objects

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch as channel;
use tokio_rustls::TlsAcceptor;

pub use counters::{Counters, Seen};
pub use faults::{End, Expiry, Failure};
pub use request::Verb;

use access::Access;
use faults::{Faults, Orders};
use list::{Page, Walks};
use listener::Listening;
use owners::Owners;
use refusal::Refusal;
use request::ResourceRequest;
use resources::ResourceId;
use store::{Key, Store};
use tls::Identity;

/// Group, version and plural of what defines custom resources.
const DEFINITIONS: (&str, &str, &str) = ("apiextensions.k8s.io", "v1", "customresourcedefinitions");

/// How long a test waits for a condition.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of the objects when the server goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Everything,
    /// The cluster is empty, and versions begin anew.
    Nothing,
}

/// A running server; it ends when this is dropped.
///
/// It has threads of its own, so a test may block, pause its clock, or start processes.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Unless it speaks plain HTTP.
    tls: Option<Identity>,
    listening: Option<Listening>,
    /// Only taken at the end.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) counters: Arc<channel::Sender<Counters>>,
    pub(crate) orders: channel::Sender<Orders>,
    /// The newest version, for watches to wait on.
    pub(crate) version: channel::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) access: Access,
    walks: Walks,
}

impl State {
    pub(crate) fn page(&mut self, request: &ResourceRequest) -> Result<Page, Refusal> {
        self.walks.page(&self.store, request)
    }

    /// Whether a request is for a custom resource that is not installed.
    pub(crate) fn is_undefined(&self, request: &ResourceRequest) -> bool {
        let definition = || {
            let resource = ResourceId::find(DEFINITIONS.0, DEFINITIONS.1, DEFINITIONS.2)?;
            let name = format!("{}.{}", request.plural, request.group);
            self.store.get(&Key { resource, namespace: String::new(), name })
        };
        let is_custom = request.group.starts_with("crd.");
        self.faults.definitions_required && is_custom && definition().is_none()
    }
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request panics")
    }

    /// Wakes the watches. To be called without the state locked.
    pub(crate) fn changed(&self) {
        let version = self.state().store.version();
        self.version.send_replace(version);
    }
}

impl StandIn {
    /// Starts an empty cluster on a free port of 127.0.0.1, over plain HTTP.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts an empty cluster that speaks HTTPS; [`ca_pem`](Self::ca_pem) is whom to trust.
    pub fn start_tls() -> Self {
        Self::start_with(Some(Identity::new()))
    }

    fn start_with(tls: Option<Identity>) -> Self {
        let state = State {
            store: Store::new(),
            faults: Faults::default(),
            access: Access::default(),
            walks: Walks::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            counters: Arc::new(channel::Sender::new(Counters::default())),
            orders: channel::Sender::new(Orders::default()),
            version: channel::Sender::new(0),
        });
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut server = Self {
            shared,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls,
            listening: None,
            runtime: Some(runtime.expect("a thread can be started")),
        };
        server.come_up();
        server
    }

    /// Where it listens, now or before it went down.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Such as `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate of the authority that vouches for a server with TLS.
    #[track_caller]
    pub fn ca_pem(&self) -> &str {
        &self.tls.as_ref().expect("a server with TLS").authority
    }

    /// Writes a kubeconfig into `folder`, and `ca.crt` if there is TLS; returns its path.
    ///
    /// kubectl sends tokens over TLS only.
    pub fn kubeconfig(&self, folder: &Path, token: Option<&str>) -> PathBuf {
        let authority = self.tls.as_ref().map(|tls| tls.authority.as_str());
        kubeconfig::write(folder, &self.url(), authority, token)
    }

    /// Closes the listener and every connection. The port answers nobody until it comes up.
    pub fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop();
        }
    }

    /// Listens again, on the same port.
    pub fn come_up(&mut self) {
        let runtime = self.runtime.as_ref().expect("it is only taken at the end");
        let shared = Arc::clone(&self.shared);
        let tls = self.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        let started = Listening::start(runtime.handle(), self.address, tls, shared);
        let (listening, address) = started.expect("the port is free");
        self.address = address;
        self.listening = Some(listening);
    }

    /// Goes down and comes up again.
    pub fn restart(&mut self, keep: Keep) {
        self.go_down();
        let mut state = self.shared.state();
        state.walks.expire();
        if keep == Keep::Nothing {
            state.store = Store::new();
        }
        drop(state);
        self.come_up();
    }

    /// Creates an object, or replaces it whole; a replaced one keeps its `uid` unless `object`
    /// says otherwise.
    pub fn put(&self, object: Value) {
        let mut state = self.shared.state();
        put(&mut state.store, object);
        drop(state);
        self.shared.changed();
    }

    /// Removes an object that is there. `namespace` is empty for what belongs to the cluster.
    #[track_caller]
    pub fn remove(&self, api_version: &str, kind: &str, namespace: &str, name: &str) {
        let key = key(api_version, kind, namespace, name);
        let removed = self.shared.state().store.remove(&key);
        assert!(removed.is_some(), "there is no {kind} {namespace}/{name}");
        self.shared.changed();
    }

    /// An object as it is stored.
    pub fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = key(api_version, kind, namespace, name);
        self.shared.state().store.get(&key).map(|object| object.value.clone())
    }

    /// Makes Nodes `node-0`... and running Pods `app-N-M` that are spread over them and over 20
    /// namespaces `ns-0`...
    pub fn load(&self, nodes: usize, pods: usize) {
        let mut state = self.shared.state();
        for number in 0..nodes {
            put(&mut state.store, bulk::node(&format!("node-{number}"), number));
        }
        for number in 0..pods {
            let name = format!("app-{}-{number}", number / 10);
            let mut pod = bulk::pod(&name, number, &format!("node-{}", number % nodes.max(1)));
            pod["metadata"]["namespace"] = format!("ns-{}", number % 20).into();
            put(&mut state.store, pod);
        }
        drop(state);
        self.shared.changed();
    }

    /// The newest version of anything.
    pub fn version(&self) -> u64 {
        self.shared.state().store.version()
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters.borrow().clone()
    }

    /// Waits until the counters say so, and panics if they do not within 30 s.
    pub async fn until(&self, what: &str, is_so: impl FnMut(&Counters) -> bool + Send + 'static) {
        let mut counters = self.shared.counters.subscribe();
        // Timed by the server's own runtime: the test's clock may be paused.
        let runtime = self.runtime.as_ref().expect("it is only taken at the end");
        let waiting = runtime.spawn(async move {
            tokio::time::timeout(PATIENCE, counters.wait_for(is_so)).await.is_ok()
        });
        let came = waiting.await.expect("the condition does not panic");
        assert!(came, "waited in vain for {what}: {:#?}", self.counters());
    }

    /// Like [`until`](Self::until), for tests without a runtime.
    pub fn wait_until(&self, what: &str, is_so: impl FnMut(&Counters) -> bool + Send + 'static) {
        let runtime = self.runtime.as_ref().expect("it is only taken at the end");
        runtime.block_on(self.until(what, is_so));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Dropping a runtime waits, which is refused inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[track_caller]
fn key(api_version: &str, kind: &str, namespace: &str, name: &str) -> Key {
    let resource = ResourceId::of_kind(api_version, kind);
    let resource = resource.unwrap_or_else(|| panic!("{kind} of {api_version} is not served"));
    Key { resource, namespace: namespace.to_owned(), name: name.to_owned() }
}

#[track_caller]
fn put(store: &mut Store, object: Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = (text(&object["apiVersion"]), text(&object["kind"]));
    let metadata = &object["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let mut uid = metadata["uid"].clone();
    let mut created = metadata["creationTimestamp"].clone();
    let key = key(&kind.0, &kind.1, &namespace, &name);
    let (key, mut object) =
        write::new_object(key.resource, &namespace, object).expect("a complete object");
    if let Some(before) = store.get(&key) {
        let before = &before.value["metadata"];
        uid = if uid.is_null() { before["uid"].clone() } else { uid };
        created = if created.is_null() { before["creationTimestamp"].clone() } else { created };
    }
    for (field, value) in [("uid", uid), ("creationTimestamp", created)] {
        if !value.is_null() {
            object["metadata"][field] = value;
        }
    }
    store.put(key, object, Owners::default());
}
