//! Destinations that custom resources ask for.

use std::sync::Arc;
use std::time::Duration;

use k8s::client::{Access, Connection, Rule};

use super::{Clock, Step};
use crate::destination::Spec;
use crate::destinations::crd::KIND;
use crate::destinations::{Counters, Defaults, Watching};
use crate::names::listed;
use crate::settings::Settings;

/// How long the first list may take.
const LISTED: Duration = Duration::from_secs(10);
/// And how long after that it may take to be weighed.
const WEIGHED: Duration = Duration::from_millis(500);

/// Also returns those in force.
pub(super) async fn look_at(
    settings: &Settings,
    connection: Option<Arc<Connection>>,
    counters: Arc<Counters>,
    clock: Clock,
) -> (Step, Vec<Spec>) {
    let step = Step::new("resources");
    let Some(connection) = connection else {
        return (step.skip("no API server is asked for FlowExporterDestinations"), Vec::new());
    };
    let clock = Arc::new(move || clock() / 1_000_000);
    let (options, defaults) =
        (Watching::options(), Defaults::beside(settings.specs().len(), settings.profile.value));
    let (watching, mut found) = Watching::new(connection, options, defaults, counters, clock);
    let running = tokio::spawn(watching.run());
    let is_listed = listed(&found.progress, LISTED).await;
    let (absent, denied) = found
        .progress
        .kinds()
        .first()
        .map_or((false, false), |(_, state)| (state.absent, state.denied.is_some()));
    if is_listed && !absent && !denied {
        // What is listed is weighed right after; where nothing is, nothing changes.
        let changed = async {
            tokio::select! { _ = found.specs.changed() => {}, _ = found.refused.changed() => {} }
        };
        tokio::time::timeout(WEIGHED, changed).await.ok();
    }
    running.abort();
    let (specs, refused) = (found.specs.borrow().clone(), found.refused.borrow().clone());
    let mut step = match (is_listed, absent, denied) {
        (_, true, _) => step.skip("the API server has no FlowExporterDestination installed"),
        (_, _, true) => {
            let rules = Rule::allowing(&Access::all(&[KIND]));
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            let remedy = format!("add to the rules of our ClusterRole:\n{}", rules.join("\n"));
            step.warn("the API server does not allow to watch FlowExporterDestinations", remedy)
        }
        (false, ..) => step.warn(
            format!("FlowExporterDestinations were not listed in {LISTED:?}"),
            "see the step before",
        ),
        (true, false, false) => {
            step.ok(format!("{} FlowExporterDestinations are in force", specs.len()))
        }
    };
    for it in refused.iter() {
        let then = if it.former_runs { "; what it said before stays in force" } else { "" };
        let found = format!("FlowExporterDestination {} is refused: {}{then}", it.name, it.why);
        step = step.fail(found, "correct the resource");
    }
    if !specs.is_empty() && settings.gate.value {
        step = step.warn(
            "with its gate FlowExporter on, an Antrea Agent from 2.6 on exports to \
             FlowExporterDestinations as well",
            "where an Agent runs on this Node, list these destinations in flow-exporter.conf \
             instead",
        );
    }
    (step, specs.to_vec())
}
