//! The demo where namespaces cannot be made: a recording instead of the kernel.
//!
//! The recording is what a demo with `--record` kept: the messages both exporters sent, and what
//! `conntrack -E` said meanwhile. It goes to a real aggregator over real sockets, and the same
//! check lays what was stored beside what the kernel said then.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::check;
use super::judge::{self, KernelConnection};
use super::lab::cluster::NODES;
use super::run::{Outcome, ReadStore};
use super::traffic::Plan;

/// One Node's part of the recording.
struct Recording {
    node: &'static str,
    messages: &'static [u8],
    kernel: &'static str,
}

const RECORDINGS: [Recording; 2] = [
    Recording {
        node: "node-a",
        messages: include_bytes!("../../recorded/node-a.ipfix"),
        kernel: include_str!("../../recorded/node-a.conntrack"),
    },
    Recording {
        node: "node-b",
        messages: include_bytes!("../../recorded/node-b.ipfix"),
        kernel: include_str!("../../recorded/node-b.conntrack"),
    },
];

/// With how many short connections it was recorded.
pub const CONNECTIONS: usize = 20;

const WITHIN: Duration = Duration::from_secs(10);

/// Replays the recording, and writes what is stored of it to `out`.
pub fn run(
    json: bool,
    fyke: &Path,
    out: &mut dyn Write,
    read_store: ReadStore<'_>,
) -> Result<Outcome> {
    let directory = std::env::temp_dir().join(format!("fyke-replay-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let verdict = replay(fyke, &directory).and_then(|()| {
        let seen = read_store(&directory.join("data"))?;
        Ok(check::compare(Plan::new(CONNECTIONS)?.expect(kernel()?)?, &seen))
    });
    fs::remove_dir_all(&directory)?;
    let verdict = verdict?;
    if json {
        writeln!(out, "{}", verdict.to_json()?)?;
    } else {
        writeln!(out, "replayed what was recorded of two Nodes and their kernels\n")?;
        verdict.write_table(out)?;
    }
    Ok(if verdict.is_equal() { Outcome::Equal } else { Outcome::Different })
}

fn kernel() -> Result<Vec<judge::KernelFlow>> {
    let mut connections = Vec::new();
    for recording in &RECORDINGS {
        let node = NODES.iter().find(|node| node.name == recording.node).context("its Node")?;
        connections.extend(judge::parse_all(node.name, recording.kernel)?);
    }
    connections.retain(KernelConnection::concerns_pods);
    judge::flows(&connections)
}

/// Sends the recording to an aggregator that keeps its store in `directory`.
fn replay(fyke: &Path, directory: &Path) -> Result<()> {
    let address = free_address()?;
    let mut aggregator = Command::new(fyke)
        .args(["aggregator", "--listen", &address.to_string(), "--admin", "127.0.0.1:0"])
        .args(["--active-timeout", "2s", "--inactive-timeout", "6s"])
        .arg("--data")
        .arg(directory.join("data"))
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.join("aggregator.log"))?)
        .spawn()
        .context("the aggregator does not start")?;
    let sent = send(address);
    let ended = terminate(&mut aggregator);
    sent.and(ended)
}

/// Where nobody listens. It is a loopback address of our own: a port of 127.0.0.1 could be given
/// to somebody's outgoing connection before the aggregator has bound it.
fn free_address() -> Result<SocketAddr> {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ok(TcpListener::bind((Ipv4Addr::new(127, 70, high, low), 0))?.local_addr()?)
}

fn send(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + WITHIN;
    for recording in &RECORDINGS {
        let mut session = loop {
            match TcpStream::connect(address) {
                Ok(session) => break session,
                Err(error) if Instant::now() > deadline => bail!("no aggregator: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        session.write_all(recording.messages)?;
        session.shutdown(Shutdown::Write)?;
        // It closes its end once it has read ours. Who ends it before may be ahead of what it has
        // not even accepted.
        session.set_read_timeout(Some(WITHIN))?;
        let answered = session.read(&mut [0]).context("the aggregator does not read to the end")?;
        ensure!(answered == 0, "IPFIX has no answers");
    }
    Ok(())
}

/// Asks it to end, upon which it stores what it has received.
fn terminate(aggregator: &mut Child) -> Result<()> {
    let id = aggregator.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status().context("kill does not run")?;
    ensure!(asked.success(), "the aggregator cannot be asked to end");
    let status = aggregator.wait()?;
    ensure!(status.success(), "the aggregator ended with {status}");
    Ok(())
}
