//! `fyke ipfix`: what an engineer needs in front of an exporter or collector that misbehaves.
//!
//! Nothing in here knows Flow Records: whatever is IPFIX is shown, ours or not.
mod collect; // messages from the network
mod send; // messages to the network
mod show; // messages for people and programs
mod tls; // certificates from files

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::ipfix::file::Messages;
use anyhow::Context;

use show::{Format, Shown};

/// Look at IPFIX messages, send them, or receive them
#[derive(Debug, Clone, clap::Subcommand)]
pub enum IpfixCommand {
    /// Show the messages of an IPFIX File (RFC 5655)
    Dump(DumpArgs),
    /// Send the messages of an IPFIX File as they are, in one session
    Send(send::SendArgs),
    /// Receive messages from any number of exporters, until interrupted
    Collect(collect::CollectArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub struct DumpArgs {
    /// The file; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object per record instead
    #[arg(long)]
    json: bool,
}

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transport {
    Tcp,
    Tls,
    Udp,
}

/// Does what was asked, and writes what is to be seen to `out`.
pub fn run(command: &IpfixCommand, out: impl Write + Send + 'static) -> anyhow::Result<()> {
    match command {
        IpfixCommand::Dump(args) => dump(args, out),
        IpfixCommand::Send(args) => send::run(args),
        IpfixCommand::Collect(args) => collect::run(args, out),
    }
}

fn dump(args: &DumpArgs, mut out: impl Write) -> anyhow::Result<()> {
    let mut messages = Messages::new(open(&args.file)?);
    let mut shown = Shown::new(Format::of(args.json));
    let mut text = String::new();
    let mut number = 0_u64;
    loop {
        let next = messages.next_message();
        let Some(message) = next.with_context(|| format!("after {number} messages"))? else {
            return Ok(out.flush()?);
        };
        number += 1;
        text.clear();
        let decoded = shown.message(message, Instant::now(), &mut text);
        // What was sound of a message is shown, whatever follows.
        out.write_all(text.as_bytes())?;
        decoded.with_context(|| format!("message {number} is malformed"))?;
    }
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    Ok(Box::new(file))
}
