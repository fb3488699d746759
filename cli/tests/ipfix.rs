//! `fyke ipfix` as a field engineer types it: messages of a file are shown, and travel from one
//! process to another over every transport without changing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ::ipfix::encode::{Encoder, Packing};
use ::ipfix::registry::{antrea, iana};
use ::ipfix::template::{Template, TemplateId};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

const FYKE: &str = env!("CARGO_BIN_EXE_fyke");
const PATIENCE: Duration = Duration::from_secs(10);

/// A template message and two records, as an IPFIX File.
fn file(folder: &Path) {
    let elements = [
        iana::FLOW_START_MILLISECONDS,
        iana::SOURCE_IPV4_ADDRESS,
        iana::OCTET_DELTA_COUNT,
        iana::OCTET_DELTA_COUNT.reverse(),
        antrea::SOURCE_POD_NAME,
    ];
    let mut encoder = Encoder::new(7, 1400, Packing::OneRecord);
    let mut bytes = Vec::new();
    let template = Template::new(TemplateId::MIN, elements);
    encoder.template(1_700_000_000, &template, &mut bytes).unwrap();
    for number in [1, 2] {
        let record = encoder.record(1_700_000_000, TemplateId::MIN, &mut bytes, |writer| {
            writer.u64(1_700_000_000_123);
            writer.ipv4([10, 10, 0, number].into());
            writer.u64(1000);
            writer.u64(1 << 40);
            writer.string("web-0");
        });
        record.unwrap();
    }
    fs::write(folder.join("sent.ipfix"), bytes).unwrap();
}

fn fyke(folder: &Path, args: &[&str]) -> Output {
    Command::new(FYKE).arg("ipfix").args(args).current_dir(folder).output().unwrap()
}

#[track_caller]
fn shown(folder: &Path, args: &[&str]) -> String {
    let output = fyke(folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn check_objects(text: &str) {
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2, "{text}");
    assert_eq!(objects[1]["observationDomain"], 7);
    assert_eq!(objects[1]["exportTime"], "2023-11-14T22:13:20Z");
    let fields = &objects[1]["fields"];
    assert_eq!(fields["flowStartMilliseconds"], "2023-11-14T22:13:20.123Z");
    assert_eq!(fields["sourceIPv4Address"], "10.10.0.2");
    assert_eq!(fields["octetDeltaCount"], 1000);
    assert_eq!(fields["reverseOctetDeltaCount"], 1_u64 << 40);
    assert_eq!(fields["sourcePodName"], "web-0");
}

#[test]
fn dump_shows_templates_and_records() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path());
    let text = shown(folder.path(), &["dump", "sent.ipfix"]);
    for line in [
        "domain 7, sequence number 1",
        "  template 256: 5 fields",
        "    sourcePodName (56506/101), variable",
        "    flowStartMilliseconds = 2023-11-14T22:13:20.123Z",
        "    sourceIPv4Address = 10.10.0.2",
        "    sourcePodName = \"web-0\"",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    check_objects(&shown(folder.path(), &["dump", "--json", "sent.ipfix"]));
}

#[test]
fn dump_reads_the_standard_input_and_says_where_it_is_malformed() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path());
    let bytes = fs::read(folder.path().join("sent.ipfix")).unwrap();
    let mut dump = Command::new(FYKE)
        .args(["ipfix", "dump", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    dump.stdin.take().unwrap().write_all(&bytes[..bytes.len() - 1]).unwrap();
    let output = dump.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("after 2 messages"), "{error}");
}

/// A collector of its own, and what it says on the way.
struct Collecting {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Collecting {
    fn start(folder: &Path, args: &[&str]) -> (Self, String) {
        let mut process = Command::new(FYKE)
            .args(["ipfix", "collect", "--json", "--write", "kept.ipfix"])
            .args(args)
            .current_dir(folder)
            .stdout(File::create(folder.join("shown")).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut collecting = Self { process, log };
        let line = collecting.line();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        (collecting, address)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        line
    }

    /// Ends it as a terminal does.
    fn interrupt(mut self) -> String {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        std::io::read_to_string(&mut self.log).unwrap()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }
    }
}

fn check_travel(listen: &str, collect: &[&str], send: &[&str], folder: &Path) {
    file(folder);
    let (collecting, address) = Collecting::start(folder, &[&[listen], collect].concat());
    shown(folder, &[&["send", "sent.ipfix", &address], send].concat());
    let deadline = Instant::now() + PATIENCE;
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    while read("kept.ipfix").len() < read("sent.ipfix").len() && Instant::now() < deadline {
        // Between two looks at another process's file, which tells nobody that it has grown.
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = collecting.interrupt();
    assert!(log.contains("1 sessions, 3 messages, 2 records, 0 lost"), "{log}");
    assert_eq!(read("kept.ipfix"), read("sent.ipfix"));
    check_objects(&fs::read_to_string(folder.join("shown")).unwrap());
}

#[test]
fn messages_travel_over_tcp_and_udp_unchanged() {
    for transport in ["tcp", "udp"] {
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let folder = tempfile::tempdir().unwrap();
            let transport = ["--transport", transport];
            check_travel(listen, &transport, &transport, folder.path());
        }
    }
}

#[test]
fn messages_travel_over_tls_between_ends_that_know_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let own = ["--transport", "tls", "--cert", "cert.pem", "--key", "key.pem"];
    let collect = [&own[..], &["--client-ca", "ca.pem"]].concat();
    let send = [&own[..], &["--ca", "ca.pem"]].concat();
    check_travel("127.0.0.1:0", &collect, &send, folder.path());
}

#[test]
fn send_says_that_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path());
    let output = fyke(folder.path(), &["send", "sent.ipfix", "127.0.0.1:1"]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("fyke: no connection to 127.0.0.1:1"), "{error}");
}
