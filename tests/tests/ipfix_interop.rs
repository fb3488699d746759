//! Programs we did not write read our messages, and we read theirs.

#[path = "ipfix_interop/capture.rs"]
mod capture;
#[path = "ipfix_interop/outputs.rs"]
mod outputs;
#[path = "ipfix_interop/tools.rs"]
mod tools;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use flow::{Family, Profile, encode, template};
use ipfix::decode::{Limits, Session};
use ipfix::encode::{Encoder, Packing};
use ipfix::template::{FieldSpecifier, TemplateId};
use ipfix::value;
use serde_json::Value;
use tests::ports::free_port;
use tests::records::record;
use tools::{Running, each, program, python, run, send, wait_for};

const END: u32 = 1_700_000_010;

/// What a session of ours says: both templates, and a record of each.
fn ours(profile: Profile, packing: Packing) -> Vec<u8> {
    let mut encoder = Encoder::new(7, u16::MAX, packing);
    let ids = [256, 257].map(|id| TemplateId::new(id).expect("above 255"));
    let mut bytes = Vec::new();
    for (id, family) in ids.into_iter().zip([Family::V4, Family::V6]) {
        encoder.template(END, &template(id, profile, family), &mut bytes).expect("it fits");
    }
    let records = [record("10.10.0.2", "10.10.1.2"), record("fd00:10::2", "fd00:10:1::2")];
    for (id, record) in ids.into_iter().zip(&records) {
        let write = |writer: &mut ipfix::encode::RecordWriter<'_>| {
            encode(record, profile, Family::of(record), writer);
        };
        encoder.record(END, id, &mut bytes, write).expect("it fits");
    }
    encoder.finish(&mut bytes);
    bytes
}

/// Both profiles, each as its exporter packs it.
fn sessions() -> [Vec<u8>; 2] {
    [ours(Profile::Antrea, Packing::OneRecord), ours(Profile::Fyke, Packing::Full)]
}

const ENDS: [[&str; 2]; 2] = [["10.10.0.2", "10.10.1.2"], ["fd00:10::2", "fd00:10:1::2"]];

/// What nfacctd is told of elements it does not know by itself.
const PRIMITIVES: &str = "\
name=srcpod field_type=56506:101 len=vlen semantics=str
name=srcns field_type=56506:100 len=vlen semantics=str
name=srcnode field_type=56506:104 len=vlen semantics=str
name=dstpod field_type=56506:103 len=vlen semantics=str
name=tcpstate field_type=56506:136 len=vlen semantics=str
name=rbytes field_type=29305:1 len=8 semantics=u_int
name=rpackets field_type=29305:2 len=8 semantics=u_int
name=totals field_type=85 len=8 semantics=u_int
name=startsec field_type=150 len=4 semantics=u_int
name=endsec field_type=151 len=4 semantics=u_int
name=reason field_type=136 len=1 semantics=u_int
";

/// nfacctd that prints what it receives, with elements that it does not know by itself.
fn nfacctd(folder: &Path, port: u16, primitives: &str) -> Running {
    let custom = primitives.lines().filter_map(|line| line.split(['=', ' ']).nth(1));
    let custom = custom.collect::<Vec<_>>().join(", ");
    let mut config = format!("daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\n");
    write!(
        config,
        "plugins: print[x]\nprint_output[x]: json\nprint_refresh_time[x]: 1\n\
         aggregate_primitives: primitives\n\
         aggregate[x]: src_host, dst_host, src_port, dst_port, proto, {custom}\n"
    )
    .expect("a string");
    fs::write(folder.join("config"), config).expect("it is written");
    fs::write(folder.join("primitives"), primitives).expect("it is written");
    let mut command = Command::new(program("nfacctd", "pmacct"));
    let nfacctd = Running::collector(command.args(["-f", "config"]), folder, port);
    // The socket is there before the plugin that prints, and what comes earlier is lost.
    wait_for("the plugin", folder, || {
        let log = fs::read_to_string(folder.join("stderr")).expect("a file");
        log.contains("setting object handlers").then_some(())
    });
    nfacctd
}

#[test]
fn nfacctd_reads_every_value() {
    for messages in sessions() {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut nfacctd = nfacctd(folder.path(), port, PRIMITIVES);
        send(&messages, port);
        let output = wait_for("two records", folder.path(), || {
            let output = fs::read_to_string(folder.path().join("stdout")).expect("a file");
            (output.lines().filter(|line| line.starts_with('{')).count() >= 2).then_some(output)
        });
        nfacctd.end("INT");
        check_nfacctd(&output);
    }
}

fn check_nfacctd(output: &str) {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    let records: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 2, "{output}");
    for [source, destination] in ENDS {
        let record = records.iter().find(|record| record["ip_src"] == source);
        let record = record.unwrap_or_else(|| panic!("{source} in {output}"));
        // pmacct prints primitives of its user as text.
        let text = |name: &str| match &record[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (name, expected) in [
            ("ip_dst", destination),
            ("port_src", "40000"),
            ("port_dst", "8080"),
            ("ip_proto", "tcp"),
            ("packets", "1002"),
            ("bytes", "1003"),
            ("totals", "1001"),
            ("rpackets", "8589934594"),
            ("rbytes", "8589934595"),
            ("startsec", "1700000000"),
            ("endsec", "1700000009"),
            ("reason", "3"),
            ("srcpod", "web-0"),
            ("srcns", "shop"),
            ("srcnode", "node-a"),
            ("dstpod", ""),
            ("tcpstate", "TIME_WAIT"),
        ] {
            assert_eq!(text(name), expected, "{name} in {record}");
        }
    }
}

#[test]
fn nfdump_reads_what_nfcapd_received() {
    for (messages, milliseconds) in sessions().into_iter().zip([false, true]) {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let (nfcapd, nfdump) = (program("nfcapd", "nfdump"), program("nfdump", "nfdump"));
        let mut command = Command::new(nfcapd);
        fs::create_dir(folder.path().join("flows")).expect("a folder");
        command.args(["-b", "127.0.0.1", "-w", "flows", "-p", &port.to_string()]);
        let mut nfcapd = Running::collector(&mut command, folder.path(), port);
        send(&messages, port);
        // It tells nobody that it has read what its socket holds.
        std::thread::sleep(Duration::from_millis(500));
        nfcapd.end("TERM");
        let output =
            run(Command::new(nfdump).args(["-o", "json", "-R", "flows"]).current_dir(&folder));
        let records: Vec<Value> = serde_json::from_str(&output).expect("JSON");
        assert_eq!(records.len(), 2, "{output}");
        for (record, ip) in records.iter().zip(["4", "6"]) {
            let ends = ENDS[usize::from(ip == "6")];
            assert_eq!(record[format!("src{ip}_addr")], ends[0], "{record}");
            assert_eq!(record[format!("dst{ip}_addr")], ends[1], "{record}");
            for (name, expected) in [
                ("src_port", 40_000_u64),
                ("dst_port", 8080),
                ("proto", 6),
                ("in_packets", 1002),
                ("in_bytes", 1003),
                ("out_packets", (1 << 33) + 2),
                ("out_bytes", (1 << 33) + 3),
            ] {
                assert_eq!(record[name], expected, "{name} in {record}");
            }
            // nfdump 1.7.1 knows no seconds (150, 151), which are all that Antrea sends.
            let known = record["first"].as_str().expect("a time").ends_with("20.123");
            assert_eq!(known, milliseconds, "{record}");
        }
        let log = fs::read_to_string(folder.path().join("stderr")).expect("a file");
        let log = log + &fs::read_to_string(folder.path().join("stdout")).expect("a file");
        assert!(log.contains("Sequence Errors: 0"), "{log}");
    }
}

#[test]
fn tshark_dissects_our_messages() {
    for messages in sessions() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ours.pcap");
        let packets: Vec<_> = each(&messages)
            .into_iter()
            .map(|message| capture::udp(40_001, 4739, message))
            .collect();
        capture::write(&file, &packets);
        let mut tshark = Command::new(program("tshark", "tshark"));
        tshark.arg("-r").arg(file).args(["-d", "udp.port==4739,cflow"]);
        let text = run(tshark.args(["-V", "-O", "cflow"]));
        for expected in [
            "SrcAddr: 10.10.0.2",
            "DstAddr: fd00:10:1::2",
            "SrcPort: 40000",
            "Octets: 1003",
            "Packets: 1002",
            "Protocol: TCP (6)",
            "StartTime: Nov 14, 2023 22:13:20",
            // Of another enterprise: a number and bytes, here those of `web-0`.
            "(Project Antrea) Type 101: Value (hex bytes): 77 65 62 2d 30",
        ] {
            assert!(text.contains(expected), "{expected} is not in:\n{text}");
        }
        for wrong in ["Malformed", "Expert Info", "no template found"] {
            assert!(!text.contains(wrong), "{wrong} is in:\n{text}");
        }
    }
}

type Record = HashMap<FieldSpecifier, Vec<u8>>;

/// The records of some messages, by field.
fn decode<'a>(
    session: &mut Session<()>,
    messages: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for message in messages {
        let visit = |(): &(), _: &_, record: ipfix::decode::DataRecord<'_>| {
            records
                .push(record.fields().map(|(_, field, bytes)| (*field, bytes.to_vec())).collect());
        };
        session.decode(message, |_| (), visit).expect("a message");
    }
    records
}

fn field(record: &Record, pen: u32, id: u16) -> &[u8] {
    let found = record.iter().find(|(field, _)| (field.pen, field.id) == (pen, id));
    found.unwrap_or_else(|| panic!("{pen}/{id} in {record:?}")).1
}

#[test]
fn we_read_what_pypi_ipfix_sends_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ipfix_interop/foreign_exporter.py");
    let python = python();
    let sender =
        std::thread::spawn(move || run(Command::new(python).args([script, &port.to_string()])));
    listener.set_nonblocking(true).expect("it may be asked");
    let folder = tempfile::tempdir().expect("a folder");
    let (stream, _) = wait_for("a connection", folder.path(), || listener.accept().ok());
    stream.set_nonblocking(false).expect("it may be waited for");
    let mut messages = ipfix::file::Messages::new(stream);
    let mut session = Session::new(Limits::default());
    let mut records = Vec::new();
    while let Some(message) = messages.next_message().expect("a message") {
        records.extend(decode(&mut session, [message]));
    }
    sender.join().expect("it sends");
    assert_eq!(records.len(), 2);
    let long = "ä".repeat(150);
    for (record, (number, name)) in records.iter().zip([(1_u8, "web-0"), (2, long.as_str())]) {
        assert_eq!(value::unsigned(field(record, 0, 152)), Some(1_700_000_000_123));
        assert_eq!(field(record, 0, 8), [10, 10, 0, number]);
        assert_eq!(field(record, 0, 12), [10, 10, 1, 2]);
        let number = u64::from(number);
        assert_eq!(value::unsigned(field(record, 0, 7)), Some(40_000 + number));
        assert_eq!(field(record, 0, 1).len(), 4, "a reduced length");
        assert_eq!(value::unsigned(field(record, 0, 1)), Some(1000 * number));
        assert_eq!(value::unsigned(field(record, 29305, 1)), Some((1 << 40) + number));
        assert_eq!(value::string(field(record, 56506, 101)), Some(name));
    }
}

#[test]
fn we_read_what_softflowd_exports_of_a_capture() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("traffic.pcap");
    let (client, server) = (([10, 10, 0, 2], 40_000), ([10, 10, 1, 2], 80));
    let (syn, ack, fin) = (0x02, 0x10, 0x11);
    capture::write(
        &file,
        &[
            capture::tcp(client, server, syn, 0),
            capture::tcp(server, client, syn | ack, 0),
            capture::tcp(client, server, ack, 100),
            capture::tcp(server, client, ack, 1000),
            capture::tcp(client, server, fin, 0),
            capture::tcp(server, client, fin, 0),
        ],
    );
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("it has one").to_string();
    let mut softflowd = Command::new(program("softflowd", "softflowd"));
    softflowd.arg("-r").arg(file).args(["-n", &address, "-v", "10", "-A", "milli", "-d"]);
    run(softflowd.current_dir(folder.path()));
    collector.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut session = Session::new(Limits::default());
    let mut flows = Vec::new();
    let mut buffer = vec![0; 65_535];
    while let Ok(length) = collector.recv(&mut buffer) {
        let records = decode(&mut session, [&buffer[..length]]);
        // The others are about the exporter itself.
        flows.extend(records.into_iter().filter(|record| record.keys().any(|field| field.id == 8)));
    }
    assert_eq!(flows.len(), 2, "{flows:?}");
    let of = |port: u64| flows.iter().find(|flow| value::unsigned(field(flow, 0, 7)) == Some(port));
    for (port, source, packets, octets) in
        [(40_000, client.0, 3, 3 * 40 + 100), (80, server.0, 3, 3 * 40 + 1000)]
    {
        let flow = of(port).unwrap_or_else(|| panic!("{port} in {flows:?}"));
        assert_eq!(field(flow, 0, 8), source);
        assert_eq!(value::unsigned(field(flow, 0, 4)), Some(6));
        assert_eq!(value::unsigned(field(flow, 0, 2)), Some(packets));
        assert_eq!(value::unsigned(field(flow, 0, 1)), Some(octets));
    }
}
