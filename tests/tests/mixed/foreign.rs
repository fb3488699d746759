//! Collectors that are not ours: pmacct's for IPFIX, and one of the gRPC project's libraries.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use cli::demo::Totals;
use cli::demo::judge::socket;
use cli::demo::lab::Host;
use serde::Deserialize;

use super::stand::{Destination, Stand};
use super::sums::{self, Sums};
use super::traffic::FORBIDDEN;

/// What its plugin's queue and its socket may hold, so that nothing is lost to a busy machine.
const ROOM: usize = 64 << 20;
/// How it begins to say that datagrams were lost before it, or records within it.
const LOSSES: [&str; 2] = ["expecting flow", "missing data"];

/// A flow as pmacct prints it.
#[derive(Debug, Deserialize)]
struct Row {
    ip_src: IpAddr,
    ip_dst: IpAddr,
    port_src: u16,
    port_dst: u16,
    ip_proto: String,
    packets: u64,
    bytes: u64,
}

/// Starts `nfacctd`, which takes datagrams.
pub(crate) fn nfacctd(stand: &mut Stand, destination: &Destination) {
    let (host, port) = (destination.host(), destination.port);
    // Records are handed to the plugin when so many fill a buffer, and by no clock: with a buffer for
    // more than one, the last ones would stay where they are. One is what it holds if nothing is said.
    let config = format!(
        "daemonize: false\nnfacctd_ip: {host}\nnfacctd_port: {port}\nplugins: print[x]\n\
         nfacctd_disable_checks: false\nplugin_pipe_size: {ROOM}\nprint_cache_entries: 65537\n\
         print_output[x]: json\nprint_refresh_time[x]: 1\n\
         aggregate[x]: src_host, dst_host, src_port, dst_port, proto\n"
    );
    let path = stand.path("nfacctd.conf");
    fs::write(&path, config).expect("a file");
    let mut command = stand.lab.command(FORBIDDEN, "nfacctd");
    // The socket is there before the plugin that prints, and what comes earlier is lost.
    let process =
        stand.spawn(destination.name, command.arg("-f").arg(path), "setting object handlers");
    let listening = || socket::datagram_socket(process, port);
    let found = tests::binary::eventually(super::stand::PATIENCE, || listening().is_some());
    assert!(found, "nfacctd does not listen");
    let descriptor = listening().expect("it listens");
    socket::resize(process, descriptor, ROOM).expect("room");
}

/// What it has missed, in its own words.
pub(crate) fn missed(log: &str) -> Vec<&str> {
    log.lines().filter(|line| LOSSES.iter().any(|words| line.contains(words))).collect()
}

/// The sums of what it has printed: it knows nothing of what comes back.
pub(crate) fn of_rows(text: &str) -> Sums {
    let mut all = Sums::new();
    for line in text.lines().filter(|line| line.starts_with('{') && line.ends_with('}')) {
        let row: Row = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let protocol = match &*row.ip_proto {
            "icmp" => 1,
            "tcp" => 6,
            "udp" => 17,
            "ipv6-icmp" => 58,
            other => panic!("{other} in {line}"),
        };
        let key = sums::key(protocol, (row.ip_src, row.port_src), (row.ip_dst, row.port_dst));
        *all.entry(key).or_default() +=
            Totals { packets: row.packets, octets: row.bytes, ..Totals::default() };
    }
    all
}

/// Starts a `FlowExportService` where the exporter runs, which takes whom the authority vouches
/// for.
pub(crate) fn grpcio(stand: &mut Stand, destination: &Destination) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut command = stand.lab.command(Host::NodeA, python);
    command.arg(root.join("tests/mixed/collect.py")).arg(destination.port.to_string());
    let paths = [root.join("../grpc/proto"), root.join("tests/grpc_interop")];
    let paths = std::env::join_paths(paths).expect("paths without colons");
    command.arg(stand.lab.directory()).env("PYTHONPATH", paths);
    stand.spawn(destination.name, &mut command, "listening");
}
