//! Certificates of a destination, always current: read when it starts, and followed from then on
//! (`k8s::certificates`), so that a rotation needs no restart and ends no session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use k8s::certificates::{
    AGGREGATOR_NAMESPACE, AuthoritiesOrigin, BUNDLE_CONFIG_MAP, CLIENT_SECRET, ClientOrigin,
    ClientPolicy, ClientSource, FollowCounters, Follower, PairFiles, PairOrigin,
};
use k8s::client::Connection;
use rand::RngExt as _;
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::counters::Counters;
use crate::destination::{Authorities, Identity, ObjectName, TlsSpec, TlsVersion};

/// How soon what could not be read is read again; twice as long after each failure, to the most.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MOST: Duration = Duration::from_mins(1);

/// What protects sessions with an aggregator of Antrea: the objects it keeps, as Antrea's Agents
/// use them.
pub fn of_aggregator() -> TlsSpec {
    let object = |name: &str| ObjectName {
        namespace: AGGREGATOR_NAMESPACE.to_owned(),
        name: name.to_owned(),
    };
    TlsSpec {
        server_name: None,
        min_version: TlsVersion::default(),
        ca: Authorities::ConfigMap(object(BUNDLE_CONFIG_MAP)),
        identity: Some(Identity::Secret(object(CLIENT_SECRET))),
    }
}

/// What the handshakes of one destination use. Ends with its last clone.
#[derive(Debug, Clone)]
pub struct Material {
    state: watch::Receiver<State>,
    _task: Arc<Following>,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// Nothing has been tried yet.
    #[default]
    Unread,
    /// Why it cannot be read so far.
    Failed(Arc<str>),
    Good(ClientSource),
}

/// The task behind it.
#[derive(Debug)]
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Material {
    /// Reads what `tls` names, from now on until all clones are gone. `protocol` is what is asked
    /// for in the handshake (ALPN). Needs a runtime around it.
    pub fn follow(
        tls: &TlsSpec,
        protocol: Option<&'static str>,
        connection: Option<Arc<Connection>>,
        counters: Arc<Counters>,
    ) -> Self {
        let policy = ClientPolicy { tls13_only: tls.min_version == TlsVersion::Tls13, protocol };
        let (state, receiver) = watch::channel(State::default());
        let reader = Reader { origin: origin(tls), policy, connection, state, counters };
        let task = tokio::spawn(reader.run());
        Self { state: receiver, _task: Arc::new(Following(task.abort_handle())) }
    }

    /// Waits until reading has been tried once.
    pub async fn tried(&self) {
        let mut state = self.state.clone();
        // The task behind it ends after this.
        state.wait_for(|state| !matches!(state, State::Unread)).await.ok();
    }

    /// What the next handshake is to use. To be asked before each, since that makes objects be
    /// read again for the one after it.
    pub fn config(&self) -> io::Result<Arc<ClientConfig>> {
        match &*self.state.borrow() {
            State::Unread => Err(io::Error::other("it has not been read yet")),
            State::Failed(why) => Err(io::Error::other(why.to_string())),
            State::Good(source) => Ok(source.config()),
        }
    }
}

pub(super) fn origin(tls: &TlsSpec) -> ClientOrigin {
    let object = |name: &ObjectName| k8s::certificates::ObjectName {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    };
    let pair = |identity: &Identity| match identity {
        Identity::Secret(name) => PairOrigin::Secret(object(name)),
        Identity::Files { certificate, key } => {
            PairOrigin::Files(PairFiles { certificates: certificate.clone(), key: key.clone() })
        }
    };
    ClientOrigin {
        authorities: match &tls.ca {
            Authorities::File(path) => AuthoritiesOrigin::File(path.clone()),
            Authorities::ConfigMap(name) => AuthoritiesOrigin::ConfigMap(object(name)),
        },
        pair: tls.identity.as_ref().map(pair),
    }
}

struct Reader {
    origin: ClientOrigin,
    policy: ClientPolicy,
    connection: Option<Arc<Connection>>,
    state: watch::Sender<State>,
    counters: Arc<Counters>,
}

impl Reader {
    async fn run(self) {
        let follower = self.first().await;
        self.state.send_replace(State::Good(follower.client()));
        let mut told = follower.counters();
        let mut before = *told.borrow_and_update();
        self.counters.material(FollowCounters::default(), before);
        let forever = watch::Sender::new(false);
        let mut following = std::pin::pin!(follower.run(forever.subscribe()));
        loop {
            tokio::select! {
                () = &mut following => return,
                Ok(()) = told.changed() => {
                    let now = *told.borrow_and_update();
                    self.counters.material(before, now);
                    before = now;
                }
            }
        }
    }

    /// Tries until it can be read.
    async fn first(&self) -> Follower<ClientConfig> {
        let mut wait = RETRY;
        let mut said = String::new();
        loop {
            let (connection, origin) = (self.connection.clone(), self.origin.clone());
            let error = match Follower::of_client(connection, origin, self.policy).await {
                Ok(follower) => return follower,
                Err(error) => Chain(&error).to_string(),
            };
            self.counters.material_unread();
            if error != said {
                tracing::warn!(%error, "certificates of a destination cannot be used");
                self.state.send_replace(State::Failed(error.as_str().into()));
                said = error;
            }
            // Nodes do not come back all at once.
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.5));
            sleep(jittered).await;
            wait = (wait * 2).min(RETRY_MOST);
        }
    }
}
