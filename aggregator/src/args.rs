//! The command line, the same for `flow-aggregator` and `fyke aggregator`.

use std::collections::HashMap;
use std::path::PathBuf;

use config::Raw;
use daemon::configuration::Asked;

use crate::settings::{File, OFF};

/// Collects IPFIX of every Node, joins what two Nodes tell of a flow, and stores it.
///
/// What is not given here comes from flow-aggregator.conf (--config), then from defaults.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    logging: AntreaLogging,
}

// What Antrea's manifests say of the log, which goes to standard error here.
#[derive(Debug, Clone, clap::Args)]
struct AntreaLogging {
    #[arg(long, hide = true)]
    v: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    logtostderr: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    alsologtostderr: Option<String>,
    #[arg(long = "log_dir", hide = true)]
    log_dir: Option<String>,
    #[arg(long = "log_file_max_size", hide = true)]
    log_file_max_size: Option<String>,
    #[arg(long = "log_file_max_num", hide = true)]
    log_file_max_num: Option<String>,
}

// What a command says of the configuration. No documentation: it would replace the command's.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Given {
    /// Where IPFIX is taken: over TCP, or as aggregatorTransportProtocol says [default: [::]:4739]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where flows over gRPC are taken, as Antrea's Agents send them to port 14739
    #[arg(long, value_name = "ADDRESS")]
    grpc_listen: Option<String>,
    /// PEM file with the certificate that this aggregator shows; without, and without a file
    /// of configuration, gRPC is not encrypted
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<String>,
    /// PEM file with its key
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// PEM file with the authority that exporters' certificates must be of
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<String>,
    /// Directory of the embedded store
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Directory for records that cannot be delivered now; without, `spool` below that of the store
    #[arg(long, value_name = "DIR", conflicts_with = "no_spool")]
    spool: Option<String>,
    /// Keep such records in memory alone
    #[arg(long)]
    no_spool: bool,
    /// Size of all such records on disk, beyond which the oldest are dropped [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    spool_limit: Option<String>,
    /// How soon they have survived a power failure [default: 1s]
    #[arg(long, value_name = "DURATION")]
    spool_durable_within: Option<String>,
    /// File that gets every record as a line of JSON
    #[arg(long, value_name = "FILE")]
    log: Option<String>,
    /// Tell a flow that goes on this often [default: 60s]
    #[arg(long, value_name = "DURATION")]
    active_timeout: Option<String>,
    /// Forget a flow that nobody reports any more after this long [default: 90s]
    #[arg(long, value_name = "DURATION")]
    inactive_timeout: Option<String>,
    /// How far apart the clocks of two Nodes may be [default: 5s]
    #[arg(long, value_name = "DURATION")]
    clock_skew: Option<String>,
    /// Flows followed at once [default: 5000000]
    #[arg(long, value_name = "N")]
    max_flows: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:8088]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration, flow-aggregator.conf
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub(crate) const fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(crate) const fn given(&self) -> &Given {
        &self.given
    }

    /// Whether something was said of the log that means nothing here.
    pub(crate) fn speaks_of_log_files(&self) -> bool {
        let it = &self.logging;
        let all = [
            &it.v,
            &it.logtostderr,
            &it.alsologtostderr,
            &it.log_dir,
            &it.log_file_max_size,
            &it.log_file_max_num,
        ];
        all.into_iter().any(Option::is_some)
    }
}

impl Given {
    pub(crate) fn file(&self) -> File {
        File(self.config.clone())
    }

    /// What is given, by the flags' names.
    pub(crate) fn flags(&self) -> HashMap<&'static str, Raw> {
        let off = self.no_spool.then(|| OFF.to_owned());
        let spool = off.or_else(|| self.spool.clone());
        let texts = [
            ("spool", &spool),
            ("spool-limit", &self.spool_limit),
            ("spool-durable-within", &self.spool_durable_within),
            ("listen", &self.listen),
            ("grpc-listen", &self.grpc_listen),
            ("tls-certificate", &self.tls_certificate),
            ("tls-key", &self.tls_key),
            ("tls-client-ca", &self.tls_client_ca),
            ("data", &self.data),
            ("log", &self.log),
            ("active-timeout", &self.active_timeout),
            ("inactive-timeout", &self.inactive_timeout),
            ("clock-skew", &self.clock_skew),
            ("max-flows", &self.max_flows),
            ("admin", &self.admin),
        ];
        let given =
            texts.into_iter().filter_map(|(flag, text)| Some((flag, Raw::Text(text.clone()?))));
        given.collect()
    }
}
