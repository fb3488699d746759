//! The command line, the same for `flow-exporter` and `fyke exporter`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::duration::parse_timeout;
use flow::Profile;

use crate::Options;

/// Which elements are sent.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ProfileName {
    /// Antrea's 43, one record per message: for any Antrea Flow Aggregator.
    Antrea,
    /// Antrea's 43 and what keeps two connections apart.
    Fyke,
}

/// Records the connections of one Node and exports them as IPFIX.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Name of this Node
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node: String,
    /// Cluster file: Nodes, Pods and Services in YAML
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// IPFIX collector
    #[arg(long, value_name = "HOST:PORT")]
    collector: String,
    /// Elements to send
    #[arg(long, value_enum, default_value = "antrea")]
    profile: ProfileName,
    /// Conntrack zone to record; may be given several times
    #[arg(long = "zone", value_name = "ZONE", default_value = "0")]
    zones: Vec<u16>,
    /// Report a connection that goes on this often
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_timeout)]
    active_timeout: Duration,
    /// Report what a connection last did once it is quiet for this long
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_timeout)]
    idle_timeout: Duration,
    /// Read the counters of living connections this often
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_timeout)]
    poll_interval: Duration,
    /// Connections kept in memory at most (about 300 bytes each)
    #[arg(long, value_name = "N", default_value = "1000000")]
    max_connections: usize,
    /// Where metrics and health are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8087")]
    admin: SocketAddr,
    /// Also write every message into this IPFIX File (RFC 5655), which replaces an old one and
    /// is created for its owner's eyes only
    #[arg(long, value_name = "FILE")]
    copy: Option<PathBuf>,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        let profile = match args.profile {
            ProfileName::Antrea => Profile::Antrea,
            ProfileName::Fyke => Profile::Fyke,
        };
        Self {
            node: args.node,
            cluster: args.cluster,
            collector: args.collector,
            profile,
            zones: args.zones,
            active_timeout: args.active_timeout,
            idle_timeout: args.idle_timeout,
            poll_interval: args.poll_interval,
            max_connections: args.max_connections,
            admin: args.admin,
            copy: args.copy,
        }
    }
}
