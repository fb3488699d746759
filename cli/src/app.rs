//! Which command was typed, and what its end means to the shell.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clickhouse::{self, ClickHouseCommand};
use crate::demo::{
    self,
    peer::Role,
    requirements::Missing,
    run::{Options, Over},
};
use crate::doctor::{self, DoctorCommand};
use crate::flows::{self, FlowsArgs};
use crate::ipfix::{self, IpfixCommand};
use crate::output::{is_reader_gone, output};
use crate::seen::seen;
use crate::store::{self, StoreCommand};

/// Every connection of the cluster, exactly counted.
#[derive(Debug, Parser)]
#[command(name = "fyke", version)]
struct Fyke {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record real connections between two Nodes made on this machine, and check every counter
    Demo(DemoArgs),
    /// Record the connections of one Node and export them as IPFIX
    Exporter(exporter::Args),
    /// Collect IPFIX of every Node, join what two Nodes tell of a flow, and store it
    Aggregator(aggregator::Args),
    /// Show what is stored
    Flows(FlowsArgs),
    /// Look at stores and look after them, and copy rows from one to another
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Make, upgrade and look at the tables of a ClickHouse database
    Clickhouse {
        #[command(subcommand)]
        command: ClickHouseCommand,
    },
    /// Look at IPFIX messages, send them, or receive them
    Ipfix {
        #[command(subcommand)]
        command: IpfixCommand,
    },
    /// Find out why flows do not arrive, and what to do about it
    Doctor {
        #[command(subcommand)]
        command: DoctorCommand,
    },
    /// One end of the demo's traffic
    #[command(hide = true)]
    DemoTraffic {
        #[command(subcommand)]
        role: Role,
    },
}

#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// Short connections to make
    #[arg(long, value_name = "N", default_value = "200")]
    connections: usize,
    /// What carries records from the exporters to the aggregator
    #[arg(long, value_enum, value_name = "WAY", default_value = "tcp")]
    over: Over,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Leave everything running
    #[arg(long, conflicts_with = "down")]
    keep: bool,
    /// Remove what an earlier demo left
    #[arg(long)]
    down: bool,
    /// Names of what the demo makes begin with this
    #[arg(long, value_name = "TEXT", default_value = "fyke")]
    prefix: String,
    /// Keep what the exporters sent and what the kernel said in this directory
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

impl From<DemoArgs> for Options {
    fn from(args: DemoArgs) -> Self {
        Self {
            connections: args.connections,
            over: args.over,
            json: args.json,
            keep: args.keep,
            down: args.down,
            prefix: args.prefix,
            record: args.record,
        }
    }
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    match Fyke::parse().command {
        Command::Demo(args) => ended(demo(&args.into())),
        Command::Exporter(args) => {
            let (mut out, mut errors) = (output(), io::stderr());
            let launched = exporter::launch(&args, &mut out, &mut errors, say_ready);
            ended(launched.map_err(Into::into))
        }
        Command::Aggregator(args) => {
            let (mut out, mut errors) = (output(), io::stderr());
            let launched = aggregator::launch(&args, &mut out, &mut errors, say_ready);
            ended(launched.map_err(Into::into))
        }
        Command::Flows(args) => {
            let now_ms = daemon::now_ns() / 1_000_000;
            let (mut out, mut errors) = (output(), io::stderr());
            let shown = flows::run(&args, now_ms, &mut out, &mut errors);
            ended(shown.map(|()| ExitCode::SUCCESS))
        }
        Command::Store { command } => {
            let now_ms = daemon::now_ns() / 1_000_000;
            ended(store::run(&command, now_ms, &mut output(), &mut io::stderr()))
        }
        Command::Clickhouse { command } => {
            ended(clickhouse::run(&command, &mut output(), &mut io::stderr()))
        }
        Command::Ipfix { command } => {
            ended(ipfix::run(&command, output()).map(|()| ExitCode::SUCCESS))
        }
        Command::Doctor { command } => ended(doctor::run(&command, daemon::now_ns, &mut output())),
        Command::DemoTraffic { role } => ended(demo::peer::run(&role).map(|()| ExitCode::SUCCESS)),
    }
}

fn demo(options: &Options) -> anyhow::Result<ExitCode> {
    let missing = demo::requirements::missing();
    let mut out = output();
    let fyke = std::env::current_exe()?;
    let outcome = if missing.is_empty() || !options.can_be_replayed() {
        // It fails with all that is missing.
        demo::run::run(options, &fyke, &mut out, &seen)?
    } else {
        announce_recording(options, &missing);
        demo::replay::run(options.json, &fyke, &mut out, &seen)?
    };
    Ok(match outcome {
        demo::run::Outcome::Equal | demo::run::Outcome::Removed => ExitCode::SUCCESS,
        demo::run::Outcome::Different => ExitCode::FAILURE,
    })
}

fn announce_recording(options: &Options, missing: &[Missing]) {
    for what in missing {
        eprintln!("fyke demo: missing {what}");
    }
    eprintln!("fyke demo: showing a recording instead");
    if options.connections != Options::default().connections {
        let recorded = demo::replay::CONNECTIONS;
        eprintln!(
            "fyke demo: the recording has {recorded} short connections, whatever --connections says"
        );
    }
}

/// Tells whoever started this process that it does its work now.
#[expect(clippy::print_stdout, reason = "the line is the interface")]
fn say_ready() {
    println!("ready");
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("fyke: {error:#}");
        ExitCode::FAILURE
    })
}
