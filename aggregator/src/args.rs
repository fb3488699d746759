//! The command line, the same for `flow-aggregator` and `fyke aggregator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::duration::parse_timeout;
use k8s::certificates::{PairFiles, ServerFiles};
use sinks::SpoolOptions;

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
    /// Directory for records that cannot be delivered now; without, `spool` below that of the store
    #[arg(long, value_name = "DIR", conflicts_with = "no_spool")]
    spool: Option<PathBuf>,
    /// Keep such records in memory alone
    #[arg(long)]
    no_spool: bool,
    /// Size of all such records on disk, in bytes, beyond which the oldest are dropped
    #[arg(long, value_name = "BYTES", default_value = "1073741824", value_parser = at_least_a_mebibyte)]
    spool_limit: u64,
    /// How soon they have survived a power failure
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_timeout)]
    spool_durable_within: Duration,
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

fn at_least_a_mebibyte(text: &str) -> Result<u64, String> {
    let bytes: u64 = text.parse().map_err(|error| format!("{error}"))?;
    if bytes < 1 << 20 { Err("must be at least 1048576".to_owned()) } else { Ok(bytes) }
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        let below_data = || args.data.as_ref().map(|data| data.join("spool"));
        let spool = if args.no_spool { None } else { args.spool.or_else(below_data) };
        Self {
            listen: args.listen,
            grpc: args.grpc_listen,
            tls: args.tls_certificate.zip(args.tls_key).map(|(certificates, key)| ServerFiles {
                pair: PairFiles { certificates, key },
                clients: args.tls_client_ca,
            }),
            spool: spool.map(|directory| SpoolOptions {
                directory,
                limit: args.spool_limit,
                durable_within: Some(args.spool_durable_within),
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
