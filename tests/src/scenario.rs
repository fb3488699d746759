//! Scenarios as text: a cluster, its connections, and what must be stored of them.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use flow::{Endpoint, Profile, Side, protocol};
use k8s::Cluster;
use serde::Deserialize;

use crate::connections::Connection;
use crate::pipeline::Pipeline;

/// The moment scenarios begin: 2023-11-14T22:13:20Z, in milliseconds.
const BEGIN_MS: u64 = 1_700_000_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// As in a cluster file.
    cluster: serde_yaml::Value,
    #[serde(default)]
    profile: ProfileName,
    /// Pods' connections are tracked in Antrea's zones, and those from outside in zone 0 before.
    #[serde(default)]
    antrea: bool,
    connections: Vec<Described>,
    expect: Vec<Expected>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    Antrea,
    #[default]
    Fyke,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    protocol: String,
    from: SocketAddr,
    to: SocketAddr,
    backend: Option<SocketAddr>,
    /// What the host makes of `to` where Antrea itself chooses the backend.
    r#virtual: Option<SocketAddr>,
    snat: Option<SocketAddr>,
    /// From and to, since the scenario began.
    seconds: [f64; 2],
    /// From the client, to the client.
    octets: [u64; 2],
    #[serde(default)]
    end_unheard: bool,
}

/// One flow of the store. Counters are packets, octets, reverse packets, reverse octets.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    r#type: String,
    /// `namespace/pod@node`, or an address.
    source: String,
    destination: String,
    #[serde(default)]
    service: String,
    records: u64,
    from_source: [u64; 4],
    from_destination: [u64; 4],
}

/// Runs a scenario and says how what is stored differs from what it expects.
pub fn check(text: &str) -> Result<()> {
    let text: Text = serde_yaml::from_str(text)?;
    let cluster = serde_yaml::to_string(&text.cluster)?;
    let cluster = Cluster::from_yaml(&cluster)?;
    let names = text.cluster["nodes"].as_sequence().context("nodes")?;
    let names: Vec<String> =
        names.iter().filter_map(|node| Some(node["name"].as_str()?.to_owned())).collect();
    let connections = text.connections.iter().enumerate().map(connection);
    let mut connections = connections.collect::<Result<Vec<_>>>()?;
    for connection in &mut connections {
        connection.is_from_outside = !cluster.is_pod_address(connection.client.ip());
    }
    let profile = match text.profile {
        ProfileName::Antrea => Profile::Antrea,
        ProfileName::Fyke => Profile::Fyke,
    };
    let data = tempfile::tempdir()?;
    Pipeline::new(cluster, &names, profile, text.antrea)?.run(
        &connections,
        data.path(),
        BEGIN_MS,
    )?;
    let flows = store::Reader::open(data.path())?.flows(&store::Query::default())?.flows;
    let mut stored: Vec<Expected> = flows.iter().map(told).collect();
    for expected in &text.expect {
        let Some(at) = stored.iter().position(|told| told == expected) else {
            bail!("not stored: {expected:#?}\nstored: {stored:#?}");
        };
        stored.swap_remove(at);
    }
    ensure!(stored.is_empty(), "stored but not expected: {stored:#?}");
    Ok(())
}

fn connection((index, described): (usize, &Described)) -> Result<Connection> {
    let [start_ms, end_ms] = described.seconds.map(|s| BEGIN_MS + milliseconds(s));
    Ok(Connection {
        protocol: match described.protocol.as_str() {
            "tcp" => protocol::TCP,
            "udp" => protocol::UDP,
            "icmp" => protocol::ICMP,
            "icmpv6" => protocol::ICMPV6,
            other => bail!("protocol {other}"),
        },
        client: described.from,
        server: described.to,
        backend: described.backend,
        virtual_address: described.r#virtual,
        is_from_outside: false,
        translated: described.snat,
        start_ms,
        end_ms,
        octets: described.octets,
        id: 1000 + 2 * u32::try_from(index)?,
        end_unheard: described.end_unheard,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few minutes")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn told(flow: &store::Flow) -> Expected {
    let record = &flow.record;
    let side = |side: &Side| {
        let (forward, reverse) = (&side.forward, &side.reverse);
        let reversed = [reverse.packets_delta, reverse.octets_delta];
        [forward.packets_delta, forward.octets_delta, reversed[0], reversed[1]]
    };
    let end = |end: &Endpoint, address: std::net::IpAddr| {
        if end.pod.is_empty() {
            return address.to_string();
        }
        format!("{}/{}@{}", end.namespace, end.pod, end.node)
    };
    Expected {
        r#type: record.flow_type.name().to_owned(),
        source: end(&record.source, record.key.source),
        destination: end(&record.destination, record.key.destination),
        service: record.service.name.to_string(),
        records: flow.records,
        from_source: side(&record.from_source),
        from_destination: side(&record.from_destination),
    }
}
