//! The reference page, made from what is registered.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::reference::is_committed;
use daemon::admin::reference::table;
use ipfix::transport::export::ExportCounters;
use k8s::certificates::{Counters, FollowCounters};
use k8s::client::{Connection, Source};
use k8s::watch::{self, Watches, Watching};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use sinks::click_house::ClickHouseCounters;
use sinks::json::JsonCounters;
use sinks::spool::SpoolOptions;
use sinks::{Deeds, Spool};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch as value};

use super::{CertificateMetrics, Certificates, Metrics};
use crate::collect::{CollectOptions, Collecting, Epoch, Room};
use crate::enrich::{self, End};
use crate::fan_out::{FanOut, SinkMetrics};
use crate::{reload, stream};

const HEAD: &str = "\
# Metrics of flow-aggregator

This page is made from what the aggregator registers (`cargo xtask generate`). They are served at
`/metrics` of the admin address as OpenMetrics text, where names of counters end in `_total`.
`/readyz` answers 200 once records are taken. `/healthz` answers 200 as long as the process lives,
since it ends by itself when a stage does, and says what of a changed configuration is refused or
waits for the next start.

## What adds up

Of what an output is given, for each `sink`, at any time and across reloads:

    fyke_sink_given
      = fyke_sink_delivered
      + fyke_sink_waiting
      + fyke_sink_dropped                                    for all reasons

What is under way between two of these when the metrics are read is missing on the right.

`sink` is the output: `click_house`, `flow_collector`, `flow_log`, `log`, `s3` or `store`. What else an
output does, such as making connections, putting files aside, inserting blocks or storing objects,
is there for those that do it, and goes on counting when a reload replaces the output.
`fyke_sink_records_in_doubt` are among those delivered: they were written to a connection that was
lost right after, or inserted again where ClickHouse may have had them.

## What is there when

- `fyke_aggregator_watch_*`: if the API server is asked.
- `fyke_aggregator_names_filled`, `names_unresolved` and `labels_cut`: if the API server, or a file,
  tells of the cluster.
- `fyke_aggregator_certificates_*`: once there are certificates; `checks` and what follows from them
  where they are kept in the cluster, `readings` where they come from files.
- `fyke_aggregator_stream_*`: if live streams are enabled.
- `fyke_spool_*`: if there is a spool.
- `fyke_store_*`: if there is an embedded store; `tier` is `raw` for records, and `1m`, `5m`, `1h`
  for their sums. What there is, is counted every 10 s.
";

/// Everything, with each family having one series at least: others have no labels to be seen.
async fn everything(folder: &TempDir) -> Registry {
    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::default());
    metrics.register(&mut registry);
    let (reported, _queue) = mpsc::channel(1);
    let room = Room::new(1, reported);
    let epoch = Epoch::new(Instant::now(), 0);
    let collecting = Collecting::new(CollectOptions::default(), room, metrics, None, epoch);
    collecting.connected().show_all("NAME");
    collecting.connected().register(&mut registry);
    reload::Counts::default().register(&mut registry);
    stream::Counts::default().register(&mut registry);
    let names = enrich::Counts::default();
    for end in [End::Source, End::Destination, End::Service] {
        names.unresolved(end, "REASON");
    }
    names.register(&mut registry);
    registry.register_collector(Box::new(SinkMetrics(sinks(folder))));
    let kept = Certificates::Kept(value::channel(Counters::default()).1);
    let followed = Certificates::Followed(vec![value::channel(FollowCounters::default()).1]);
    for certificates in [kept, followed] {
        let shown = CertificateMetrics::default();
        shown.show(certificates);
        shown.register(&mut registry);
    }
    let watching = Watching(vec![watches(folder).await.progress()]);
    registry.sub_registry_with_prefix("fyke_aggregator").register_collector(Box::new(watching));
    registry
}

/// An outlet whose sinks do everything, one after the other.
fn sinks(folder: &TempDir) -> FanOut {
    let durable_within = None::<Duration>;
    let options = SpoolOptions { durable_within, ..SpoolOptions::new(folder.path().join("spool")) };
    let fan_out = FanOut::with_spool(Spool::open(&options).unwrap());
    fan_out.add("NAME");
    fan_out.counts("NAME", Deeds::Ipfix(value::channel(ExportCounters::default()).1));
    fan_out.counts("NAME", Deeds::Json(value::channel(JsonCounters::default()).1));
    fan_out.counts("NAME", Deeds::Log(Arc::default()));
    fan_out.counts("NAME", Deeds::ClickHouse(value::channel(ClickHouseCounters::default()).1));
    fan_out.keeps(Arc::default());
    #[cfg(feature = "s3")]
    fan_out.counts("NAME", Deeds::S3(Arc::default()));
    fan_out
}

async fn watches(folder: &TempDir) -> Watches {
    let kubeconfig = folder.path().join("config");
    let text = "{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
        contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x, \
        users: [{name: u, user: {}}]}";
    fs::write(&kubeconfig, text).unwrap();
    let connection = Connection::open(Source::Kubeconfig(kubeconfig)).await.unwrap();
    let kinds = crate::app::KINDS.to_vec();
    let options = watch::Options { kinds, ..watch::Options::default() };
    Watches::new(connection.into(), options, Arc::new(|| 0))
}

#[tokio::test]
async fn what_is_committed_is_what_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    encode(&mut text, &everything(&folder).await).unwrap();
    let page = format!("{HEAD}\n{}", table(&text));
    for name in ["node_lag_seconds", "sink_files_rotated", "watch_following", "spool_records"] {
        assert!(page.contains(name), "{name}");
    }
    let is_so = is_committed("docs/metrics-aggregator.md", &page);
    assert!(is_so, "docs/metrics-aggregator.md is stale; run `cargo xtask generate`");
}
