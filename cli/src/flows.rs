//! `fyke flows`: what has been recorded.
//!
//! Reads the embedded store, beside the aggregator that writes it. Only flows go to the output,
//! so that it can be piped; what the reader should know besides goes to the standard error.
mod csv; // columns for spreadsheets
mod json; // one object per line
mod table; // one line per flow, for people

#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use flow::FlowType;
use ipnet::IpNet;
use store::{Flow, Flows, PodName, Query, Reader, ServiceName};

pub use table::table;

/// Show recorded flows, newest first
#[derive(Debug, Clone, clap::Args)]
pub struct FlowsArgs {
    /// The directory of the embedded store
    #[arg(long, value_name = "DIR", env = "FYKE_DATA", default_value = "./fyke-data")]
    pub data: PathBuf,
    /// Only what was recorded in the time before now, such as 15m, 1h or 24h
    #[arg(long, value_name = "DURATION", value_parser = config::duration::parse)]
    pub since: Option<Duration>,
    /// Only flows from or to this Pod: NAME or NAMESPACE/NAME
    #[arg(long, value_name = "POD")]
    pub pod: Option<PodName>,
    /// Only flows from or to Pods of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Only flows through this Service, such as db, shop/db or shop/db:http
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<ServiceName>,
    /// Only flows from or to this address or network, such as 10.10.0.7 or 10.10.0.0/16
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub ip: Option<IpNet>,
    /// Only flows with this port at either end or of the Service
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Only flows of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = flow_type_parser())]
    pub flow_type: Option<FlowType>,
    /// At most so many flows; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: usize,
    /// How to show them
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// How flows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// One line per flow, for people
    #[default]
    Table,
    /// One JSON object per line, with every attribute
    Json,
    /// Every attribute, with a header
    Csv,
}

impl FlowsArgs {
    fn query(&self, now_ms: u64) -> Query {
        let ago = |since: Duration| u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Query {
            since_ms: self.since.map(|since| now_ms.saturating_sub(ago(since))),
            until_ms: None,
            pod: self.pod.clone(),
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            ip: self.ip,
            port: self.port,
            flow_type: self.flow_type,
            limit: (self.limit > 0).then_some(self.limit),
        }
    }
}

/// Shows the flows that match, as of `now_ms` (milliseconds since 1970).
///
/// A reader of the output that goes away, such as `head`, is no error.
pub fn run(args: &FlowsArgs, now_ms: u64, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer = Reader::open(&args.data)?.flows(&args.query(now_ms))?;
    let mut out = BufWriter::new(out);
    match show(&answer.flows, args.output, &mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        shown => shown?,
    }
    for remark in remarks(&answer) {
        eprintln!("{remark}");
    }
    Ok(())
}

fn show(flows: &[Flow], output: Output, out: &mut dyn Write) -> io::Result<()> {
    match output {
        Output::Table => table(flows, out),
        Output::Json => json::lines(flows, out),
        Output::Csv => csv::rows(flows, out),
    }
}

/// What the flows that are shown do not tell.
fn remarks(answer: &Flows) -> Vec<String> {
    let mut remarks = Vec::new();
    let (shown, matched) = (answer.flows.len(), answer.matched);
    if shown < matched {
        remarks.push(format!("the newest {shown} of {matched} flows; --limit 0 shows all"));
    }
    if let Some(first) = &answer.scan.first_skipped {
        remarks.push(format!(
            "{} files could not be read and their flows are missing, the first is {}: {}",
            answer.scan.skipped,
            first.path.display(),
            first.reason,
        ));
    }
    remarks
}

/// Reads an address or a network.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpAddr>()
        .map(IpNet::from)
        .or_else(|_| text.parse::<IpNet>())
        .map_err(|_| "expected an address or a network, such as 10.10.0.7 or fd00::/8".to_owned())
}

fn flow_type_parser() -> impl clap::builder::TypedValueParser<Value = FlowType> {
    use clap::builder::TypedValueParser;

    const TYPES: [FlowType; 4] =
        [FlowType::IntraNode, FlowType::InterNode, FlowType::ToExternal, FlowType::FromExternal];
    clap::builder::PossibleValuesParser::new(TYPES.map(FlowType::name))
        .map(|name| TYPES.into_iter().find(|known| known.name() == name).unwrap_or_default())
}
