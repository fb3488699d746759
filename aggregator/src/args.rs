//! The command line, the same for `flow-aggregator` and `fyke aggregator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::duration::parse_timeout;
use k8s::certificates::{PairFiles, ServerFiles};

use crate::Options;
use crate::correlate::Timeouts;

/// Collects IPFIX of every Node, joins what two Nodes tell of a flow, and stores it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where IPFIX over TCP is taken
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:4739")]
    listen: SocketAddr,
    /// Where flows over gRPC are taken, as Antrea's Agents send them to port 14739
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<SocketAddr>,
    /// PEM file with the certificate that gRPC is served with; without, it is not encrypted
    #[arg(long, value_name = "FILE", requires = "grpc_listen", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// PEM file with the authority that exporters' certificates must be of
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_client_ca: Option<PathBuf>,
    /// Directory of the embedded store
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File that gets every record as a line of JSON
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Tell a flow that goes on this often
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_timeout)]
    active_timeout: Duration,
    /// Forget a flow that nobody reports any more after this long
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = parse_timeout)]
    inactive_timeout: Duration,
    /// How far apart the clocks of two Nodes may be
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_timeout)]
    clock_skew: Duration,
    /// Flows followed at once
    #[arg(long, value_name = "N", default_value = "5000000")]
    max_flows: usize,
    /// Where metrics and health are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    admin: SocketAddr,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        Self {
            listen: args.listen,
            grpc: args.grpc_listen,
            tls: args.tls_certificate.zip(args.tls_key).map(|(certificates, key)| ServerFiles {
                pair: PairFiles { certificates, key },
                clients: args.tls_client_ca,
            }),
            data: args.data,
            log: args.log,
            timeouts: Timeouts {
                active: args.active_timeout,
                inactive: args.inactive_timeout,
                clock_skew: args.clock_skew,
            },
            max_flows: args.max_flows,
            admin: args.admin,
        }
    }
}
