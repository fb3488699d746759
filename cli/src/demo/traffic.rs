//! Real connections, made by real programs inside the lab's namespaces.
//!
//! All scenarios run at once, as the traffic of a cluster does. Each client is a process
//! that fails unless every byte arrived, so a difference found later is never due to
//! traffic that did not happen.

mod plan; // from scenarios to clients and expected flows
mod scenario; // which connections are made

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

pub use self::plan::{Plan, Planned};
pub use self::scenario::{Load, SCENARIOS, Scenario, Target};
use super::lab::cluster::{PODS, SERVED_PORT};
use super::lab::{Host, Lab, Process};

const START_WITHIN: Duration = Duration::from_secs(5);

/// Short connections open at the same time, per scenario and family.
const THREADS: usize = 2;

/// Starts a TCP and a UDP server in every Pod and on the outside host. They live as
/// long as the lab.
pub fn start_servers(lab: &Lab, fyke: &Path) -> Result<Vec<Process>> {
    let hosts = PODS.iter().map(|pod| pod.host).chain([Host::External]);
    let listen = format!("[::]:{SERVED_PORT}");
    let mut servers = Vec::new();
    for host in hosts {
        for role in ["tcp-server", "udp-echo"] {
            let mut command = lab.command(host, fyke);
            command.args(["demo-traffic", role, &listen]);
            servers.push(lab.spawn(&format!("{role}-{}", host.name()), &mut command)?);
        }
    }
    for server in &mut servers {
        server.wait_until_ready(START_WITHIN)?;
    }
    Ok(servers)
}

/// The clients of all scenarios.
#[derive(Debug)]
pub struct Traffic {
    running: Vec<Process>,
}

impl Traffic {
    /// Starts every client of `plan`.
    pub fn start(lab: &Lab, fyke: &Path, plan: &Plan) -> Result<Self> {
        let mut running = Vec::new();
        for (number, planned) in plan.0.iter().enumerate() {
            for (client, mut command) in commands(lab, fyke, planned).into_iter().enumerate() {
                running.push(lab.spawn(&format!("client-{number}-{client}"), &mut command)?);
            }
        }
        Ok(Self { running })
    }

    /// Returns whether all clients are done. A client that failed is an error.
    pub fn is_done(&mut self) -> Result<bool> {
        let mut running = Vec::with_capacity(self.running.len());
        for mut client in self.running.drain(..) {
            match client.try_wait()? {
                None => running.push(client),
                Some(status) if status.success() => {}
                Some(status) => {
                    bail!(
                        "traffic failed: {} ended ({status}): {}",
                        client.name(),
                        client.last_words()
                    )
                }
            }
        }
        self.running = running;
        Ok(self.running.is_empty())
    }
}

/// The clients that make the connections of one plan row.
fn commands(lab: &Lab, fyke: &Path, planned: &Planned) -> Vec<Command> {
    let to = planned.dialled.to_string();
    let client = |role: &str, options: &[(&str, String)]| {
        let mut command = lab.command(planned.scenario.from, fyke);
        command.args(["demo-traffic", role, &to]);
        for (name, value) in options {
            command.args([*name, value]);
        }
        vec![command]
    };
    match planned.scenario.load {
        Load::Tcp { up, down, rounds, pause } => client(
            "tcp-client",
            &[
                ("--up", up.to_string()),
                ("--down", down.to_string()),
                ("--rounds", rounds.to_string()),
                ("--pause", pause.as_millis().to_string()),
            ],
        ),
        Load::ShortTcp => client(
            "tcp-client",
            &[
                ("--connections", planned.flows.to_string()),
                ("--threads", THREADS.to_string()),
                ("--down", "1024".to_owned()),
            ],
        ),
        Load::Udp { datagrams, size, pause } => client(
            "udp-client",
            &[
                ("--datagrams", datagrams.to_string()),
                ("--size", size.to_string()),
                ("--pause", pause.as_millis().to_string()),
            ],
        ),
        Load::Ping { count, .. } => {
            planned.echo_ids().map(|id| ping(lab, planned, id, count)).collect()
        }
    }
}

/// A ping whose Echo identifier is ours to choose: two that share one are one connection.
fn ping(lab: &Lab, planned: &Planned, id: u16, count: u16) -> Command {
    let mut command = lab.command(planned.scenario.from, "ping");
    command.args(["-n", "-q", "-i", "0.2", "-W", "5"]);
    command.args(["-e", &id.to_string(), "-c", &count.to_string()]);
    command.arg(planned.dialled.ip().to_string());
    command
}
