//! The reference page, made from what is registered.

use config::reference::is_committed;
use daemon::admin::reference::table;
use k8s::client::{Connection, Source};
use k8s::watch::Watching;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::Metrics;
use crate::deny;
use crate::deny::ovs::Passed;
use crate::names::{self, End, Live};

const HEAD: &str = "\
# Metrics of flow-exporter

This page is made from what the exporter registers (`cargo xtask generate`). They are served at
`/metrics` of the admin address as OpenMetrics text, where names of counters end in `_total`.
`/readyz` answers 200 once every zone has been read and names have been listed, or 20 s have passed
without; that a collector is away does not matter to it. `/healthz` answers 200 as long as the
process lives, since it ends by itself when a stage does.

`fyke doctor exporter` reads these of a running exporter and says what to do.

## What adds up

All names here begin with `fyke_exporter_`. Of entries, at any time:

    entries + entries_denied
      = entries_filtered + entries_not_allowed + entries_of_clients
      + connections + connections_refused + entries_known + entries_late

Of what a destination is to be told, for each `destination`, as long as it lasts:

    records_due
      = records_sent + records_refused                       it was handed out,
      + records_queued + records_pending                     is on its way,
      + records_lagging + records_coalesced                  waits, or waits as part of another,
      + records_filtered + records_unmade                    is not for this destination,
      + records_lost + records_abandoned                     or is given up

What is under way between two of these when the metrics are read is missing on the right.
`records_refused_late` are among those sent: a server of gRPC that refuses a stream as such does so
at its end, and where that is more than a second after its first message they were written for
nothing.
`records_abandoned` grows at the end of the process, and then also by what was never due.

## Antrea's names

Those of Antrea's Flow Exporter are there with their names, types and buckets, and mean what
Antrea's documentation says. Where the original counts a connection once for each destination or
zone, these count it once. `antrea_agent_ovs_meter_packet_dropped_count` is the Agent's own.
";

/// Everything, with each family having one series at least: others are not shown.
async fn everything() -> Registry {
    let metrics = Metrics::default();
    let destination = metrics.destination("NAME");
    destination.records_sent.get();
    for source in deny::Source::ALL {
        metrics.denied.set_active(source, false);
        metrics.denied.told(source, 0);
        for loss in deny::Loss::ALL {
            metrics.denied.lost(source, loss, 0);
        }
    }
    metrics.deny_ovs.sessions_ended("REASON");
    metrics.deny_ovs.passed_over(Passed::ALL[0]);
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let registry_of_names = registry.sub_registry_with_prefix("fyke_exporter");
    let counts = names::Counts::default();
    counts.unresolved(End::Source, "REASON");
    counts.not_exportable("REASON");
    counts.agent_failed("REASON");
    counts.register(registry_of_names);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
        contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x, \
        users: [{name: u, user: {}}]}";
    std::fs::write(&kubeconfig, text).unwrap();
    let connection = Connection::open(Source::Kubeconfig(kubeconfig)).await.unwrap();
    let (live, _watching) = Live::begin(connection.into(), "a", std::sync::Arc::new(|| 0));
    registry_of_names.register_collector(Box::new(Watching(vec![live.progress()])));
    registry
}

#[tokio::test]
async fn what_is_committed_is_what_is_registered() {
    let mut text = String::new();
    encode(&mut text, &everything().await).unwrap();
    let page = format!("{HEAD}\n{}", table(&text));
    for name in ["antrea_agent_denied_connection_count", "deny_dropped", "watch_following"] {
        assert!(page.contains(name), "{name}");
    }
    let is_so = is_committed("docs/metrics-exporter.md", &page);
    assert!(is_so, "docs/metrics-exporter.md is stale; run `cargo xtask generate`");
}
