//! Egresses, as exporters learn them: from an API server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use exporter::names::egress::{Egresses, Following};
use k8s::client::{Connection, Source};
use serde::Deserialize;
use serde_json::json;

use crate::api_server::StandIn;
use crate::scenario::BEGIN_MS;

const PATIENCE: Duration = Duration::from_secs(30);

/// An Egress that a Node has the address of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedEgress {
    name: String,
    /// Labels of the Pods it is for.
    pods: BTreeMap<String, String>,
    node: String,
    /// At most one of each family.
    addresses: Vec<IpAddr>,
}

/// What an exporter has learned of `described`.
pub fn as_an_api_server_tells(described: &[DescribedEgress]) -> Result<Egresses> {
    let server = StandIn::start_tls();
    server.load(1, 0);
    for egress in described {
        server.put(json!({
            "apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress",
            "metadata": { "name": egress.name },
            "spec": {
                "appliedTo": { "podSelector": { "matchLabels": egress.pods } },
                "egressIP": egress.addresses[0],
            },
            "status": {
                "egressNode": egress.node,
                "egressIP": egress.addresses[0],
                "egressIPs": egress.addresses,
            },
        }));
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let source = Source::Kubeconfig(server.kubeconfig(folder.path(), None));
        let connection = Arc::new(Connection::open(source).await?);
        let (following, watching) = Following::begin(connection, Arc::new(|| BEGIN_MS));
        let watching = tokio::spawn(watching);
        let is_listed = exporter::names::listed(&following.progress, PATIENCE).await;
        ensure!(is_listed, "Egresses are not listed");
        watching.abort();
        Ok(following.egresses)
    })
}
