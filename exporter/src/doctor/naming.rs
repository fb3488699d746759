//! Who knows names: a cluster file or the API server, and the Antrea Agent.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use k8s::Cluster;
use k8s::client::{Access, Answered, Connection, check};

use super::{Clock, Step};
use crate::names::{Agent, AskError, KINDS, Live, listed};
use crate::settings::Settings;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the first lists may take.
const LISTED: Duration = Duration::from_secs(20);

pub(super) async fn look_at(
    settings: &Settings,
    api_server: Result<Option<Arc<Connection>>, String>,
    clock: Clock,
) -> Step {
    let step = Step::new("names");
    let node = &settings.node.value;
    let is_watched = settings.cluster.value.is_none();
    let step = match (&settings.cluster.value, api_server) {
        (Some(path), _) => from_file(step, path, node),
        (None, Ok(Some(connection))) => {
            let (step, may_list) = access(step, &connection).await;
            if may_list { lists(step, connection, node, clock).await } else { step }
        }
        (None, Ok(None)) => step.fail(
            "nobody says which Pods there are",
            "give --cluster or --kubeconfig, or run in a Pod with a service account",
        ),
        (None, Err(error)) => step.fail(error, "correct the kubeconfig or the service account"),
    };
    agent(step, settings, is_watched).await
}

fn from_file(step: Step, path: &Path, node: &str) -> Step {
    let shown = path.display();
    match Cluster::from_file(path) {
        Ok(cluster) if cluster.has_node(node) => step.ok(format!("{shown} describes Node {node}")),
        Ok(_) => step.fail(
            format!("{shown} does not describe Node {node:?}"),
            "name a Node that it describes with --node",
        ),
        Err(error) => step.fail(Chain(&error).to_string(), "correct the cluster file"),
    }
}

/// Asks what is allowed. Returns whether everything is.
async fn access(step: Step, connection: &Connection) -> (Step, bool) {
    let report = check(&connection.client(), &Access::all(&KINDS), ANSWER).await;
    if let Some((_, failure)) = report.unknown.first() {
        let remedy = "check the API server's address, its certificate and our credentials";
        return (step.fail(Chain(failure).to_string(), remedy), false);
    }
    if !report.missing.is_empty() {
        let remedy = format!("add to the rules of our ClusterRole:\n{report}");
        return (step.fail("the API server does not allow all that is watched", remedy), false);
    }
    let how = match report.answered {
        Answered::ByReview => "says",
        Answered::ByTrial => "shows",
    };
    (step.ok(format!("the API server {how} that all that is watched is allowed")), true)
}

async fn lists(step: Step, connection: Arc<Connection>, node: &str, clock: Clock) -> Step {
    let (live, watching) = Live::begin(connection, node, Arc::new(move || clock() / 1_000_000));
    let progress = live.progress();
    let is_listed = tokio::select! {
        is_listed = listed(&progress, LISTED) => is_listed,
        ended = watching => {
            return step.fail(Chain(&ended).to_string(), "see the API server's log");
        }
    };
    if !is_listed {
        return step.fail(
            format!("the API server listed not everything in {LISTED:?}"),
            "see how loaded it is; an exporter goes on without names until it has",
        );
    }
    let mut told = String::from("listed:");
    for (kind, state) in progress.kinds() {
        // Writing into a text cannot fail.
        write!(told, " {} of kind {},", state.events, kind.name()).ok();
    }
    let step = step.ok(told.trim_end_matches(',').to_owned());
    if live.cluster().load().has_node(node) {
        return step.ok(format!("the cluster has Node {node}"));
    }
    step.fail(
        format!("the cluster has no Node {node:?}, so no Pod is known to be on it"),
        "set NODE_NAME from spec.nodeName of the Pod, or give --node",
    )
}

/// The Agent knows which rule an id means.
async fn agent(step: Step, settings: &Settings, is_watched: bool) -> Step {
    let token = &settings.naming.agent_token.value;
    if !is_watched && !token.exists() {
        return step.skip("no Antrea Agent is asked for names of rules beside a cluster file");
    }
    match ask_agent(settings).await {
        Ok(()) => step.ok("the Antrea Agent says which rules there are"),
        Err(error) => step.warn(
            format!("names of rules are not known: {}", Chain(&error)),
            match error {
                AskError::Token(..) | AskError::TokenForm => {
                    "mount the Agent's /var/run/antrea/apiserver read-only, and run as root; \
                     where there is no Antrea there is nothing to do"
                }
                AskError::Connect(..) | AskError::Deadline => {
                    "see whether the Agent runs on this Node, and use the host's network"
                }
                _ => "see the Agent's log, and whether the token is that of this Agent",
            },
        ),
    }
}

async fn ask_agent(settings: &Settings) -> Result<(), AskError> {
    let naming = &settings.naming;
    let mut agent = Agent::new(naming.agent_port.value, naming.agent_token.value.clone())?;
    let (mut session, _) = agent.connect().await?;
    session.get("/networkpolicies").await.map(drop)
}
