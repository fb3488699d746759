//! Where names come from: a cluster file or the API server, and the Antrea Agent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use daemon::{Supervisor, now_ns};
use k8s::Cluster;
use k8s::client::Connection;
use k8s::watch::{Progress, Watching};
use prometheus_client::registry::Registry;

use super::StartError;
use crate::enrich::Enricher;
use crate::names::egress::Following;
use crate::names::{Agent, Asker, Counts, Live, Policies, listed};
use crate::settings::Settings;

/// How long readiness may wait for the first lists.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

/// What names are looked up in.
#[derive(Debug)]
pub(super) struct Names {
    cluster: Arc<ArcSwap<Cluster>>,
    progress: Option<Progress>,
    egresses: Option<Following>,
    policies: Option<Policies>,
    counts: Arc<Counts>,
}

/// Reads the cluster file, or begins to watch; begins to ask the Agent.
pub(super) fn begin(
    settings: &Settings,
    connection: Option<Arc<Connection>>,
    servers: &mut Supervisor,
) -> Result<Names, StartError> {
    let counts = Arc::<Counts>::default();
    let (cluster, progress, egresses) = if let Some(path) = &settings.cluster.value {
        (from_file(path, &settings.node.value)?, None, None)
    } else {
        let connection = connection.ok_or(StartError::NoCluster)?;
        let egresses = followed(Arc::clone(&connection), servers);
        let (cluster, progress) = watched(connection, &settings.node.value, servers);
        (cluster, Some(progress), Some(egresses))
    };
    let token = &settings.naming.agent_token.value;
    // Beside a cluster file there need be no Agent.
    let is_asked = progress.is_some() || token.exists();
    let policies = is_asked.then(Policies::default);
    if let Some(policies) = &policies {
        let agent = Agent::new(settings.naming.agent_port.value, token.clone())?;
        let asker = Asker::new(agent, policies.clone(), Arc::clone(&counts), now_ms);
        servers.spawn("policies", asker.run());
    }
    Ok(Names { cluster, progress, egresses, policies, counts })
}

fn from_file(path: &Path, node: &str) -> Result<Arc<ArcSwap<Cluster>>, StartError> {
    let cluster = Cluster::from_file(path)?;
    if cluster.has_node(node) {
        Ok(Arc::new(ArcSwap::from_pointee(cluster)))
    } else {
        Err(StartError::UnknownNode(node.to_owned()))
    }
}

fn watched(
    connection: Arc<Connection>,
    node: &str,
    servers: &mut Supervisor,
) -> (Arc<ArcSwap<Cluster>>, Progress) {
    let (live, watching) = Live::begin(connection, node, Arc::new(now_ms));
    servers.spawn_fallible("cluster", async { Err(watching.await.into()) });
    (live.cluster(), live.progress())
}

fn followed(connection: Arc<Connection>, servers: &mut Supervisor) -> Following {
    let (following, watching) = Following::begin(connection, Arc::new(now_ms));
    servers.spawn_fallible("egresses", async { Err(watching.await.into()) });
    following
}

impl Names {
    pub(super) fn enricher(&self, settings: &Settings) -> Enricher {
        let (cluster, counts) = (Arc::clone(&self.cluster), Arc::clone(&self.counts));
        let enricher = Enricher::following(cluster, &settings.node.value)
            .with_rules(settings.naming.rules())
            .counting(counts);
        let enricher = match &self.policies {
            Some(policies) => enricher.with_policies(policies.clone()),
            None => enricher,
        };
        match &self.egresses {
            Some(following) => enricher.with_egresses(following.egresses.clone()),
            None => enricher,
        }
    }

    /// What can be hurried, if anything.
    pub(super) fn live(&self) -> Option<Live> {
        let progress = self.progress.clone()?;
        Some(Live::new(Arc::clone(&self.cluster), progress))
    }

    /// Waits for the first lists, though not for ever: recording goes on without names.
    pub(super) async fn listed(&self) {
        let Some(progress) = &self.progress else { return };
        if !listed(progress, LISTED_WITHIN).await {
            tracing::warn!(within = ?LISTED_WITHIN, "API server lists nothing; names come later");
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("fyke_exporter");
        self.counts.register(registry);
        let followed = self.egresses.as_ref().map(|egresses| egresses.progress.clone());
        let progress: Vec<_> = self.progress.iter().cloned().chain(followed).collect();
        if !progress.is_empty() {
            registry.register_collector(Box::new(Watching(progress)));
        }
        if let Some(egresses) = &self.egresses {
            egresses.register(registry);
        }
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    now_ns() / 1_000_000
}
