//! Whose certificate is believed, as the aggregator and the command line are told, and where a
//! server is that speaks its own protocol.

use std::net::Ipv4Addr;
use std::process::Command;

use store::clickhouse::Reason;
use tempfile::TempDir;
use tests::authority;
use tests::binary::built;
use tests::clickhouse::{Engine, OldServer, PASSWORD, USER, antrea_table};

use crate::daemon::{Aggregator, DELIVERED, failed, totals};
use crate::delivery::{SUMS, sums};
use crate::old::Gate;

const REFUSED: &str = "invalid peer certificate";

/// What is told of an address that is the server's own protocol's.
fn note(scheme: &str, host: Ipv4Addr) -> String {
    let (words, url) = match scheme {
        "tls" => ("HTTPS", format!("https://{host}:8443")),
        _ => ("HTTP", format!("http://{host}:8123")),
    };
    format!("{words} is spoken in the place of {scheme}: {url} is used")
}

/// Addresses are of each process its own, since ports are the usual ones.
fn host(of: u8) -> Ipv4Addr {
    let [.., a, b] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, of, a, b)
}

/// Whether it found the server, and what it said.
fn fyke(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(built("fyke"));
    command.args(["clickhouse", "status", "--diskInfo"]).args(arguments);
    command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
    let output = command.output().expect("it runs");
    let told = String::from_utf8([output.stdout, output.stderr].concat());
    (output.status.success(), told.expect("UTF-8"))
}

#[test]
fn the_command_line_says_whose_certificate_will_do() {
    let certificates = authority::certificates_for(&["localhost"]);
    let path = |folder: &TempDir, name: &str| folder.path().join(name);
    let pair = ["localhost.pem", "localhost.key"].map(|name| path(&certificates, name));
    let engine = Engine::start_with(Some(pair.into()));
    let others = authority::certificates();
    let shown = |folder| path(folder, "ca.pem").display().to_string();
    let (ours, theirs) = (shown(&certificates), shown(&others));
    let (url, host) = (engine.url(), host(101));
    let _usual = Gate::at((host, 8443), engine.port());
    let tls = format!("tls://{host}:9440");
    for (arguments, is_good) in [
        (vec!["--url", &url], false),
        (vec!["--url", &url, "--ca", &theirs], false),
        (vec!["--url", &url, "--ca", &ours], true),
        (vec!["--url", &url, "--insecure-skip-verify"], true),
        (vec!["--url", &tls, "--ca", &ours], false),
        (vec!["--url", &tls, "--insecure-skip-verify"], true),
    ] {
        let (found, told) = fyke(&arguments);
        assert_eq!((found, told.contains(REFUSED)), (is_good, !is_good), "{arguments:?}: {told}");
        assert_eq!(told.contains(&note("tls", host)), arguments.contains(&&*tls), "{told}");
    }
    let (_, told) = fyke(&["--url", &format!("tcp://{host}:9000")]);
    assert!(told.contains(&note("tcp", host)), "{told}");
}

#[test]
fn the_configuration_says_whose_certificate_will_do() {
    let server = OldServer::start();
    let table = antrea_table("flows");
    server.ask(table.split(" SETTINGS").next().expect("a statement"));
    let host = host(102);
    let _tls = Gate::at((host, 8443), server.https_port());
    let _tcp = Gate::at((host, 8123), server.http_port());
    let url = format!("tls://{host}:9440");
    let mut aggregator = Aggregator::new(&url);
    aggregator.start();
    aggregator.wait_for(&failed(Reason::Unreachable), |it| it == 1);
    let log = aggregator.log();
    assert!(log.contains(REFUSED) && log.contains(&note("tls", host)), "{log}");
    aggregator.kill();
    aggregator.configure(&url, ", tls: {insecureSkipVerify: true}");
    aggregator.start();
    aggregator.send(1..1000);
    aggregator.wait_for(DELIVERED, |it| it == 999);
    aggregator.kill();
    aggregator.configure(&format!("tcp://{host}:9000"), "");
    aggregator.start();
    aggregator.send(1000..2000);
    aggregator.wait_for(DELIVERED, |it| it == 1000);
    let log = aggregator.log();
    assert!(log.contains(&note("tcp", host)), "{log}");
    assert_eq!(totals(&server.ask(SUMS)), totals(&sums(1..2000)));
}
