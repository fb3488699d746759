//! `fyke ipfix collect`: messages of any exporter are shown, and kept if asked for.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ::ipfix::decode::{Session, Summary};
use ::ipfix::transport::collect::{
    CollectingProcess, Collector, CollectorSession, Limits, Peer, Refused, Rejected, SessionEnd,
};
use ::ipfix::transport::{RECEIVE_BUFFER, bind_udp};
use anyhow::Context;
use daemon::Chain;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::show::{Format, Shown};
use super::{Transport, tls};

#[derive(Debug, Clone, clap::Args)]
pub struct CollectArgs {
    /// Where to listen, such as 0.0.0.0:4739
    #[arg(value_name = "ADDR")]
    listen: SocketAddr,
    /// What carries the messages
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Keep the messages in this IPFIX File. Templates belong to a session, so it can be read
    /// again if no two exporters share an Observation Domain
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print one JSON object per record instead
    #[arg(long)]
    json: bool,
    /// Our certificate
    #[arg(long, value_name = "PEM", requires = "key", required_if_eq("transport", "tls"))]
    cert: Option<PathBuf>,
    /// The key of our certificate
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
    /// Certificates of the authorities that may vouch for exporters; all are let in without
    #[arg(long, value_name = "PEM")]
    client_ca: Option<PathBuf>,
}

pub(super) fn run(args: &CollectArgs, out: impl Write + Send + 'static) -> anyhow::Result<()> {
    let file = match &args.write {
        Some(path) => {
            let created = File::create(path);
            Some(created.with_context(|| format!("{} cannot be written", path.display()))?)
        }
        None => None,
    };
    let output = Arc::new(Mutex::new(Output { out: Box::new(out), file }));
    let collector = Console { format: Format::of(args.json), output };
    tokio::runtime::Runtime::new()?.block_on(collect(args, collector))
}

async fn collect(args: &CollectArgs, collector: Console) -> anyhow::Result<()> {
    let shutdown = watch::Sender::new(false);
    let stop = shutdown.subscribe();
    let process = CollectingProcess::new(collector, Limits::default());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let interrupted = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.send_replace(true);
        std::future::pending::<()>().await;
    };
    let listening = listen(args, &process, stop);
    tokio::select! {
        listened = listening => listened?,
        () = interrupted => {}
    }
    let counters = process.counters();
    eprintln!(
        "{} sessions, {} messages, {} records, {} lost",
        counters.opened,
        counters.sessions.messages,
        counters.sessions.records,
        counters.sessions.lost_records,
    );
    Ok(())
}

async fn listen(
    args: &CollectArgs,
    process: &CollectingProcess<Console>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let busy = || format!("{} cannot be listened to", args.listen);
    if args.transport == Transport::Udp {
        let socket = bind_udp(args.listen, RECEIVE_BUFFER).with_context(busy)?;
        eprintln!("listening on {}", socket.local_addr()?);
        process.udp(socket, stop).await;
        return Ok(());
    }
    let listener = TcpListener::bind(args.listen).await.with_context(busy)?;
    let address = listener.local_addr()?;
    if args.transport == Transport::Tcp {
        eprintln!("listening on {address}");
        process.tcp(listener, stop).await;
        return Ok(());
    }
    let (cert, key) = args.cert.as_ref().zip(args.key.as_ref()).context("--cert is missing")?;
    let tls = tls::server(tls::identity(cert, key)?, args.client_ca.as_deref())?;
    eprintln!("listening on {address}");
    process.tls(listener, tls, stop).await;
    Ok(())
}

/// Where messages go, whole and one at a time.
struct Output {
    out: Box<dyn Write + Send>,
    file: Option<File>,
}

impl Output {
    fn write(&mut self, text: &str, message: &[u8]) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(message))
    }
}

struct Console {
    format: Format,
    output: Arc<Mutex<Output>>,
}

struct ConsoleSession {
    peer: SocketAddr,
    shown: Shown,
    output: Arc<Mutex<Output>>,
    text: String,
}

impl Collector for Console {
    type Plan = ();
    type Session = ConsoleSession;

    fn open(&self, peer: &Peer, decoder: Session<()>) -> ConsoleSession {
        eprintln!("{}: session opened", peer.address);
        ConsoleSession {
            peer: peer.address,
            shown: Shown::within(self.format, decoder),
            output: Arc::clone(&self.output),
            text: String::new(),
        }
    }

    fn refused(&self, peer: SocketAddr, why: &Refused) {
        eprintln!("{peer}: {}", Chain(why));
    }

    fn listener_failed(&self, error: &io::Error) {
        eprintln!("nothing can be received: {error}");
    }
}

impl CollectorSession for ConsoleSession {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        self.text.clear();
        let decoded = self.shown.message(message, now, &mut self.text);
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = output.write(&self.text, message) {
            eprintln!("{}: output cannot be written: {error}", self.peer);
            return Err(Rejected::Unwanted);
        }
        Ok(decoded?)
    }

    fn ended(self, end: &SessionEnd) {
        eprintln!("{}: {}", self.peer, Chain(end));
    }
}
