//! Scenarios as text: a cluster, its connections, and what must be stored of them.
mod text; // the language
mod families; // the same over IPv6, and over both at once
mod told; // what is stored, in the words of scenarios

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use exporter::deny::{Action, Denied, Direction, RuleRef, Source};
use exporter::names::Policies;
use flow::protocol;
use k8s::Cluster;

use crate::connections::Connection;
use crate::pipeline::{Pipeline, Script, Setting};
use crate::{egresses, policies};
pub use families::Families;
use text::{Described, Refused, Text};

/// The moment scenarios begin: 2023-11-14T22:13:20Z, in milliseconds.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Runs a scenario and says how what is stored differs from what it expects.
pub fn check(text: &str, families: Families) -> Result<()> {
    let mut value = serde_yaml::from_str(text)?;
    families::turn(&mut value, families)?;
    let text: Text = serde_yaml::from_value(value)?;
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
    let mut denied = Vec::new();
    for refused in &text.denied {
        let node = refused.node(&cluster)?;
        denied.extend(refused.packets()?.into_iter().map(|packet| (node.clone(), packet)));
    }
    let begin = UNIX_EPOCH + Duration::from_millis(BEGIN_MS);
    let policies = match text.policies.as_slice() {
        [] => Policies::default(),
        rules => policies::as_an_agent_tells(rules, begin)?,
    };
    let egresses = match text.egresses.as_slice() {
        [] => None,
        described => Some(egresses::as_an_api_server_tells(described)?),
    };
    let data = tempfile::tempdir()?;
    let setting = Setting {
        cluster: cluster.into(),
        nodes: &names,
        profile: text.profile.profile(),
        antrea: text.antrea,
        timers: text.timers.timers(),
        policies,
        egresses,
    };
    let script = Script { connections: &connections, denied: &denied };
    Pipeline::new(&setting).run(&script, data.path(), BEGIN_MS)?;
    let (flows, _) = store::Reader::open(data.path())?.flows()?;
    let mut stored: Vec<_> = flows.iter().map(told::flow).collect();
    for expected in &text.expect {
        let Some(at) = stored.iter().position(|told| expected.is_met_by(told)) else {
            bail!("not stored: {expected:#?}\nstored: {stored:#?}");
        };
        stored.swap_remove(at);
    }
    ensure!(stored.is_empty(), "stored but not expected: {stored:#?}");
    Ok(())
}

fn connection((index, described): (usize, &Described)) -> Result<Connection> {
    let [start_ms, end_ms] = described.seconds.map(moment_ms);
    let version = described.from.ip();
    Ok(Connection {
        protocol: protocol_number(&described.protocol, version)?,
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
        rules: [described.ingress, described.egress],
        only_at: described.only_at.clone(),
        leaves_by: described.leaves_by.clone(),
    })
}

impl Refused {
    /// The Node whose rule it was.
    fn node(&self, cluster: &Cluster) -> Result<String> {
        let pod = match self.direction()? {
            Direction::Ingress => self.to.ip(),
            Direction::Egress => self.from.ip(),
        };
        let owner = cluster.pod(pod, BEGIN_MS).owner().context("the Pod that denies")?;
        Ok(owner.node.to_string())
    }

    fn packets(&self) -> Result<Vec<Denied>> {
        let tuple = |end: SocketAddr| (end.ip(), end.port());
        let protocol = protocol_number(&self.protocol, self.from.ip())?;
        let denied = Denied {
            time_ns: 0,
            original: exporter::conntrack::Tuple::new(tuple(self.from), tuple(self.to), protocol),
            service: self.service.map(tuple),
            octets: self.octets,
            packets: 1,
            direction: Some(self.direction()?),
            action: match self.action.as_str() {
                "drop" => Action::Drop,
                "reject" => Action::Reject,
                other => bail!("action {other}"),
            },
            rule: self.rule.map_or(RuleRef::IsolationDrop, RuleRef::Id),
            other_rule: self.allowed_by,
            mark: None,
            source: Source::Ovs,
        };
        let times = self.seconds.iter().map(|&second| moment_ms(second) * 1_000_000);
        Ok(times.map(|time_ns| Denied { time_ns, ..denied.clone() }).collect())
    }

    fn direction(&self) -> Result<Direction> {
        policies::direction(&self.direction)
    }
}

/// ICMP is that of the addresses' family.
fn protocol_number(name: &str, address: IpAddr) -> Result<u8> {
    Ok(match name {
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "sctp" => protocol::SCTP,
        "icmp" if address.is_ipv6() => protocol::ICMPV6,
        "icmp" => protocol::ICMP,
        other => bail!("protocol {other}"),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few minutes")]
fn moment_ms(seconds: f64) -> u64 {
    BEGIN_MS + (seconds * 1000.0).round() as u64
}
