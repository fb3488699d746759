//! The two ends of the demo's connections: `fyke demo-traffic`, run inside namespaces.
//!
//! The same binary plays both ends, so the demo needs no server or client from elsewhere,
//! and each client knows how many bytes must come back. A client ends with an error
//! unless every byte arrived; the demo never blames the exporter for traffic that failed.

mod tcp;
mod udp;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

/// No byte takes longer than this inside one machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end of the demo's connections.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Role {
    /// Answers TCP connections, each request with as many bytes as it asks for.
    TcpServer { listen: SocketAddr },
    /// Opens TCP connections, one after the other on each thread.
    TcpClient(tcp::Client),
    /// Sends every datagram back.
    UdpEcho { listen: SocketAddr },
    /// Sends datagrams, and waits for each to come back.
    UdpClient(udp::Client),
}

/// Plays `role`: a client until it is done, a server until it is killed.
pub fn run(role: &Role) -> Result<()> {
    match role {
        Role::TcpServer { listen } => tcp::serve(*listen),
        Role::TcpClient(client) => client.run(),
        Role::UdpEcho { listen } => udp::echo(*listen),
        Role::UdpClient(client) => client.run(),
    }
}

/// Tells the demo that this end listens.
fn say_ready() -> Result<()> {
    writeln!(io::stdout(), "ready").context("cannot write to standard output")
}
