//! The demo over everything that carries records, with `tcpdump` in front of the aggregator.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tests::binary::{built, eventually, signal};

/// A Pod of the lab, which is in every second record.
const POD: &[u8] = b"orders-0";

const PATIENCE: Duration = Duration::from_secs(20);

/// What arrives at the aggregator of the lab `prefix` on `port`, from when the lab is built.
struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    fn start(prefix: &str, port: u16, folder: &Path) -> Self {
        let namespace = format!("{prefix}-agg");
        let is_there = || {
            Command::new("ip")
                .args(["-n", &namespace, "link", "show", "up0"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("ip runs")
                .success()
        };
        assert!(eventually(PATIENCE, is_there), "{namespace} is not built");
        let file = folder.join("wire.pcap");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace, "tcpdump", "-i", "any", "-s", "0", "-U", "-w"]);
        command.arg(&file).args(["-Z", "root", "tcp", "port", &port.to_string()]);
        command.stderr(File::create(folder.join("tcpdump.log")).expect("a file"));
        Self { tcpdump: command.spawn().expect("tcpdump runs"), file }
    }

    fn finish(mut self) -> Vec<u8> {
        signal(self.tcpdump.id(), "TERM");
        self.tcpdump.wait().expect("it ends");
        fs::read(self.file).expect("a capture")
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Runs a demo of few connections. Returns what was seen on the wire.
fn demo_over(way: &str, prefix: &str, port: u16) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Command::new(built("fyke"))
        .args(["demo", "--over", way, "--prefix", prefix, "--connections", "20"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let capture = Capture::start(prefix, port, folder.path());
    let output = demo.wait_with_output().expect("it ends");
    let wire = capture.finish();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{way}: {printed}\n{errors}");
    let check = printed.lines().find(|line| line.starts_with("check: ")).expect("a check");
    assert_eq!(check, "check: 68 flows expected, 68 found, 0 mismatched: OK", "{way}");
    assert!(contains(&output.stdout, POD), "the aggregator could read it: {printed}");
    let left = Path::new("/run/fyke-demo").join(prefix);
    assert!(!left.exists(), "keys go with the lab");
    wire
}

#[test]
fn the_check_holds_over_tls_and_grpc_and_nobody_reads_along() {
    // In clear, to see that the capture would show it.
    let clear = demo_over("tcp", "tovtcp", 4739);
    assert!(contains(&clear, POD), "{} bytes", clear.len());
    for (way, prefix, port) in [("tls", "tovtls", 4739), ("grpc", "tovgrpc", 14739)] {
        let wire = demo_over(way, prefix, port);
        assert!(wire.len() > 20_000, "{way}: {} bytes are no records", wire.len());
        assert!(!contains(&wire, POD), "{way} is read");
    }
}

#[test]
fn what_goes_over_grpc_is_not_recorded_and_that_is_said_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record");
    let mut command = Command::new(built("fyke"));
    command.args(["demo", "--over", "grpc", "--prefix", "tovrec", "--record"]).arg(&record);
    let output = command.output().expect("the demo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("what is sent over gRPC cannot be recorded"), "{errors}");
    assert!(output.stdout.is_empty() && !record.exists(), "no lab was built");
}
