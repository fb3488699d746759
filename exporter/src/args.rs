//! The command line, the same for `flow-exporter` and `fyke exporter`.

use std::collections::HashMap;
use std::path::PathBuf;

use config::Raw;
use daemon::configuration::Asked;

use crate::settings::Files;

/// Records the connections of one Node and exports them as IPFIX.
///
/// What is not given here comes from flow-exporter.conf (--config), then from the Antrea Agent's
/// configuration (--agent-config), then from defaults.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    asked: Asked,
}

// What a command says of the configuration. No documentation: it would replace the command's.
#[derive(Debug, Clone, clap::Args)]
pub struct Given {
    /// Name of this Node [env: `NODE_NAME`]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Cluster file: Nodes, Pods and Services in YAML
    #[arg(long, value_name = "FILE")]
    cluster: Option<String>,
    /// How to reach the API server; a Pod needs none
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// IPFIX collector; over tcp, or over what PROTOCOL says: tcp, udp, tls
    #[arg(long, value_name = "HOST[:PORT[:PROTOCOL]]")]
    collector: Option<String>,
    /// Elements to send: antrea (Antrea's 43, for any Antrea Flow Aggregator), or fyke (those and
    /// what keeps two connections apart) [default: antrea]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Conntrack zone to record: a number, antrea, or vlan:VLAN; may be given several times
    /// [default: antrea with --agent-config, else 0]
    #[arg(long = "zone", value_name = "ZONE")]
    zones: Vec<String>,
    /// Report a connection that goes on this often [default: 5s]
    #[arg(long, value_name = "DURATION")]
    active_timeout: Option<String>,
    /// Report what a connection last did once it is quiet for this long [default: 15s]
    #[arg(long, value_name = "DURATION")]
    idle_timeout: Option<String>,
    /// Read the counters of living connections this often [default: 5s]
    #[arg(long, value_name = "DURATION")]
    poll_interval: Option<String>,
    /// Connections kept in memory at most, 240 to 380 bytes each [default: 1000000]
    #[arg(long, value_name = "N")]
    max_connections: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:8087]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Also write every message into this IPFIX File (RFC 5655), which replaces an old one and
    /// is created for its owner's eyes only
    #[arg(long, value_name = "FILE")]
    copy: Option<String>,
    /// This exporter's configuration, flow-exporter.conf
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Antrea Agent's configuration, antrea-agent.conf, for its section flowExporter
    #[arg(long, value_name = "FILE")]
    agent_config: Option<PathBuf>,
}

impl Args {
    pub(crate) const fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(crate) const fn given(&self) -> &Given {
        &self.given
    }
}

impl Given {
    pub(crate) fn files(&self) -> Files {
        Files { agent: self.agent_config.clone(), own: self.config.clone() }
    }

    /// What is given, by the flags' names.
    pub(crate) fn flags(&self) -> HashMap<&'static str, Raw> {
        let texts = [
            ("node", &self.node),
            ("cluster", &self.cluster),
            ("kubeconfig", &self.kubeconfig),
            ("collector", &self.collector),
            ("profile", &self.profile),
            ("active-timeout", &self.active_timeout),
            ("idle-timeout", &self.idle_timeout),
            ("poll-interval", &self.poll_interval),
            ("max-connections", &self.max_connections),
            ("admin", &self.admin),
            ("copy", &self.copy),
        ];
        let texts =
            texts.into_iter().filter_map(|(flag, text)| Some((flag, Raw::Text(text.clone()?))));
        let zones = Some(&self.zones).filter(|zones| !zones.is_empty());
        texts.chain(zones.map(|zones| ("zone", Raw::List(zones.clone())))).collect()
    }
}
