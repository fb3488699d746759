//! `fyke ipfix send`: messages of a file go to a collector as they are.

use std::path::PathBuf;

use ::ipfix::file::Messages;
use ::ipfix::transport::export::ExportSession;
use ::ipfix::transport::{self, Destination};
use anyhow::Context;

use super::{Transport, open, tls};

#[derive(Debug, Clone, clap::Args)]
pub struct SendArgs {
    /// The IPFIX File; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The collector
    #[arg(value_name = "HOST:PORT")]
    collector: String,
    /// What carries the messages
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Certificates of the authorities that may vouch for the collector
    #[arg(long, value_name = "PEM", required_if_eq("transport", "tls"))]
    ca: Option<PathBuf>,
    /// The name in the collector's certificate, if it is not HOST
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Our certificate, for collectors that ask for one
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of our certificate
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
}

impl SendArgs {
    fn destination(&self) -> anyhow::Result<Destination> {
        let transport = match self.transport {
            Transport::Tcp => transport::Transport::Tcp,
            Transport::Udp => transport::Transport::Udp,
            Transport::Tls => {
                let host = self.collector.rsplit_once(':').map_or("", |(host, _)| host);
                let host = host.trim_matches(['[', ']']);
                let name = self.server_name.as_deref().unwrap_or(host);
                let identity = match self.cert.as_ref().zip(self.key.as_ref()) {
                    Some((cert, key)) => Some(tls::identity(cert, key)?),
                    None => None,
                };
                let ca = self.ca.as_ref().context("--ca is missing")?;
                transport::Transport::Tls(tls::client(name, ca, identity)?)
            }
        };
        Ok(Destination::new(&self.collector, transport))
    }
}

pub(super) fn run(args: &SendArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(send(args))
}

async fn send(args: &SendArgs) -> anyhow::Result<()> {
    let mut messages = Messages::new(open(&args.file)?);
    let mut session = ExportSession::open(&args.destination()?).await?;
    let mut sent = 0_u64;
    while let Some(message) = messages.next_message()? {
        if let Some(ended) = session.ended().await {
            return Err(ended).with_context(|| format!("session ended after {sent} messages"));
        }
        let written = session.write(message, &mut 0).await;
        written.with_context(|| format!("session broke after {sent} messages"))?;
        sent += 1;
    }
    let unsendable = session.unsendable();
    session.close().await?;
    anyhow::ensure!(unsendable == 0, "{unsendable} of {sent} messages are too long for a datagram");
    eprintln!("{sent} messages sent");
    Ok(())
}
