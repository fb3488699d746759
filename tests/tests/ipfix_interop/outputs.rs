//! The aggregator's IPFIX output, each profile as the collectors it is meant for read it.

use std::net::UdpSocket;

use flow::{Batch, Contents, Mode};
use sinks::ipfix::{Directions, IpfixSink, Options, Profile};
use sinks::{FarEnd, Sink, Transport};
use tests::records::aggregated;

use super::{
    Command, Duration, END, Running, Value, capture, each, free_port, fs, nfacctd, program, run,
    wait_for,
};

const PROFILES: [Profile; 4] = [
    Profile::Antrea,
    Profile::Standard(Directions::Biflow),
    Profile::Standard(Directions::Uniflow),
    Profile::Iana,
];

fn batch() -> Batch {
    [
        aggregated("10.10.0.2", "10.10.1.2", "10.96.0.10"),
        aggregated("fd00:10::2", "fd00:10:1::2", "fd00:96::a"),
    ]
    .into()
}

/// What both records tell in their second direction, if in a record of its own.
fn is_uniflow(profile: Profile) -> bool {
    matches!(profile, Profile::Standard(Directions::Uniflow) | Profile::Iana)
}

/// Has the output send to a port of 127.0.0.1 over UDP.
fn tell(profile: Profile, port: u16) {
    let options = Options {
        to: FarEnd { address: format!("127.0.0.1:{port}"), transport: Transport::Udp },
        domain: 7,
        max_message: Some(1420),
        template_refresh: Duration::from_mins(1),
        profile,
        contents: Contents { names: true, uids: true, mode: Mode::Aggregate },
        cluster_id: "cluster-1".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut sink = IpfixSink::new(options).expect("it may");
        sink.write(&batch(), u64::from(END) * 1000).await.expect("there is room");
        sink.flush().await.expect("it is sent");
    });
}

/// One direction of the records: source, its port, octets and packets since the last record.
type Direction<'a> = (&'a str, u64, u64, u64);

fn directions(profile: Profile) -> Vec<Direction<'static>> {
    let mut all = vec![("10.10.0.2", 40_000, 1003, 1002), ("fd00:10::2", 40_000, 1003, 1002)];
    if is_uniflow(profile) {
        let (octets, packets) = ((1 << 33) + 3, (1 << 33) + 2);
        all.push(("10.10.1.2", 8080, octets, packets));
        all.push(("fd00:10:1::2", 8080, octets, packets));
    }
    all
}

const PRIMITIVES: &str = "\
name=srcpod field_type=56506:101 len=vlen semantics=str
name=dstpod field_type=56506:103 len=vlen semantics=str
name=dstsvc field_type=56506:109 len=vlen semantics=str
name=ingress field_type=56506:110 len=vlen semantics=str
name=cluster field_type=56506:158 len=vlen semantics=str
name=labels field_type=56506:143 len=vlen semantics=str
name=rate field_type=56506:145 len=8 semantics=u_int
name=fromdst field_type=56506:131 len=8 semantics=u_int
name=rbytes field_type=29305:1 len=8 semantics=u_int
name=totals field_type=85 len=8 semantics=u_int
name=endms field_type=153 len=8 semantics=u_int
name=duration field_type=161 len=4 semantics=u_int
";

#[test]
fn nfacctd_reads_every_profile() {
    for profile in PROFILES {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let mut nfacctd = nfacctd(folder.path(), port, PRIMITIVES);
        tell(profile, port);
        let wanted = directions(profile);
        let output = wait_for("all records", folder.path(), || {
            let output = fs::read_to_string(folder.path().join("stdout")).expect("a file");
            let records = output.lines().filter(|line| line.starts_with('{')).count();
            (records >= wanted.len()).then_some(output)
        });
        nfacctd.end("INT");
        let lines = output.lines().filter(|line| line.starts_with('{'));
        let records: Vec<Value> =
            lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(records.len(), wanted.len(), "{profile:?}: {output}");
        for (source, source_port, octets, packets) in wanted {
            let record = records.iter().find(|record| record["ip_src"] == source);
            let record = record.unwrap_or_else(|| panic!("{source} in {output}"));
            check_nfacctd(profile, record, source_port, octets, packets);
        }
    }
}

fn check_nfacctd(profile: Profile, record: &Value, source_port: u64, octets: u64, packets: u64) {
    // pmacct prints primitives of its user as text.
    let text = |name: &str| match &record[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let first = source_port == 40_000;
    let one_of = |there: &'static str, back: &'static str| if first { there } else { back };
    let mut wanted = vec![
        ("port_src", source_port.to_string()),
        ("bytes", octets.to_string()),
        ("packets", packets.to_string()),
        ("ip_proto", "tcp".to_owned()),
        ("totals", (octets - 2).to_string()),
    ];
    let mut add = |name, value: &str| wanted.push((name, value.to_owned()));
    if profile != Profile::Antrea {
        add("endms", "1700000009456");
        add("duration", "9333");
    }
    if profile != Profile::Iana {
        add("srcpod", one_of("web-0", "db-0"));
        add("dstpod", one_of("db-0", "web-0"));
        add("dstsvc", one_of("data/db:sql", ""));
        add("ingress", "ingress-policy");
        add("cluster", "cluster-1");
        add("rate", one_of("4000", "4001"));
        // Of the other Node, the direction that is the first here.
        add("fromdst", one_of("3003", "2013"));
    }
    if !is_uniflow(profile) && profile != Profile::Iana {
        add("rbytes", "8589934595");
    }
    for (name, expected) in wanted {
        assert_eq!(text(name), expected, "{name} of {profile:?} in {record}");
    }
}

#[test]
fn nfdump_reads_every_profile() {
    for profile in PROFILES {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let (nfcapd, nfdump) = (program("nfcapd", "nfdump"), program("nfdump", "nfdump"));
        let mut command = Command::new(nfcapd);
        fs::create_dir(folder.path().join("flows")).expect("a folder");
        command.args(["-b", "127.0.0.1", "-w", "flows", "-p", &port.to_string()]);
        let mut nfcapd = Running::collector(&mut command, folder.path(), port);
        tell(profile, port);
        // It tells nobody that it has read what its socket holds.
        std::thread::sleep(Duration::from_millis(500));
        nfcapd.end("TERM");
        let output =
            run(Command::new(nfdump).args(["-o", "json", "-R", "flows"]).current_dir(&folder));
        let records: Vec<Value> = serde_json::from_str(&output).expect("JSON");
        let wanted = directions(profile);
        assert_eq!(records.len(), wanted.len(), "{profile:?}: {output}");
        for (source, source_port, octets, packets) in wanted {
            let name = if source.contains('.') { "src4_addr" } else { "src6_addr" };
            let record = records.iter().find(|record| record[name] == source);
            let record = record.unwrap_or_else(|| panic!("{source} in {output}"));
            assert_eq!(record["src_port"], source_port, "{record}");
            assert_eq!(record["proto"], 6, "{record}");
            assert_eq!(record["in_bytes"], octets, "{profile:?}: {record}");
            assert_eq!(record["in_packets"], packets, "{profile:?}: {record}");
            if !is_uniflow(profile) {
                assert_eq!(record["out_bytes"], (1_u64 << 33) + 3, "{record}");
            }
            // nfdump 1.7.1 knows no seconds (150, 151), which are all that Antrea's profile has.
            for (name, end) in [("first", "20.123"), ("last", "29.456")] {
                let known = record[name].as_str().expect("a time").ends_with(end);
                assert_eq!(known, profile != Profile::Antrea, "{profile:?}: {record}");
            }
        }
        let log = fs::read_to_string(folder.path().join("stderr")).expect("a file");
        let log = log + &fs::read_to_string(folder.path().join("stdout")).expect("a file");
        assert!(log.contains("Sequence Errors: 0"), "{log}");
    }
}

#[test]
fn tshark_dissects_every_profile() {
    for profile in PROFILES {
        let collector = UdpSocket::bind("127.0.0.1:0").expect("a port");
        collector.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        tell(profile, collector.local_addr().expect("it has one").port());
        let (mut messages, mut buffer) = (Vec::new(), [0; 2000]);
        while let Ok(length) = collector.recv(&mut buffer) {
            messages.extend_from_slice(&buffer[..length]);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ours.pcap");
        let packets: Vec<_> = each(&messages)
            .into_iter()
            .map(|message| capture::udp(40_001, 4739, message))
            .collect();
        capture::write(&file, &packets);
        let mut tshark = Command::new(program("tshark", "tshark"));
        tshark.arg("-r").arg(file).args(["-d", "udp.port==4739,cflow"]);
        // By itself it takes no template of more than 60 fields.
        tshark.args(["-o", "cflow.max_template_fields:0"]);
        let text = run(tshark.args(["-V", "-O", "cflow"]));
        let mut wanted = vec![
            "SrcAddr: 10.10.0.2",
            "DstAddr: fd00:10:1::2",
            "SrcPort: 40000",
            "Octets: 1003",
            "Protocol: TCP (6)",
            "Observation Domain Id: 7",
            "FlowSequence: 0",
        ];
        if profile != Profile::Antrea {
            wanted.push("Duration: 9.333000000 seconds");
        }
        if profile == Profile::Standard(Directions::Biflow) {
            wanted.push("Biflow Direction: Initiator (1)");
        }
        if profile != Profile::Iana {
            // Of another enterprise: a number and bytes, here those of `web-0`.
            wanted.push("(Project Antrea) Type 101: Value (hex bytes): 77 65 62 2d 30");
        }
        for expected in wanted {
            assert!(text.contains(expected), "{profile:?}: {expected} is not in:\n{text}");
        }
        let mut wrong = vec!["Malformed", "Expert Info", "no template found"];
        if profile == Profile::Iana {
            wrong.push("Project Antrea");
        }
        for wrong in wrong {
            assert!(!text.contains(wrong), "{profile:?}: {wrong} is in:\n{text}");
        }
    }
}
