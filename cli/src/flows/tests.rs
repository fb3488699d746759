use clap::Parser;
use flow::{Counters, FlowEndReason, FlowRecord, FlowType};
use store::Writer;
use tempfile::{TempDir, tempdir};

use super::*;

/// 2026-11-21T08:59:59Z.
const NOW: u64 = 1_795_251_599_000;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    flows: FlowsArgs,
}

/// Two records of a TCP flow between Pods, then a ping to the outside an hour later.
fn store() -> TempDir {
    let mut tcp = FlowRecord { flow_id: 1, start_ms: NOW - 60_000, ..FlowRecord::default() };
    tcp.key.source = "10.10.0.7".parse().unwrap();
    tcp.key.destination = "10.10.1.9".parse().unwrap();
    (tcp.key.source_port, tcp.key.destination_port, tcp.key.protocol) = (40_000, 5432, 6);
    (tcp.source.namespace, tcp.source.pod) = ("shop".into(), "web-0".into());
    (tcp.destination.namespace, tcp.destination.pod) = ("db".into(), "postgres-0".into());
    (tcp.service.name, tcp.service.port) = ("db/postgres:sql".into(), 5432);
    tcp.flow_type = FlowType::InterNode;
    let mut first = tcp.clone();
    (first.end_ms, first.end_reason) = (NOW - 5000, FlowEndReason::ActiveTimeout);
    first.forward = counters(10, 1000, 10, 1000);
    let mut last = tcp;
    (last.end_ms, last.end_reason) = (NOW, FlowEndReason::EndOfFlow);
    last.forward = counters(15, 1700, 5, 700);
    last.reverse = counters(9, 123_456, 9, 123_456);
    last.tcp_state = "TIME_WAIT".into();

    let mut ping =
        FlowRecord { flow_id: 2, start_ms: NOW, end_ms: NOW + 1, ..FlowRecord::default() };
    ping.key.source = "fd00::7".parse().unwrap();
    ping.key.destination = "2001:db8::1".parse().unwrap();
    (ping.key.source_port, ping.key.protocol) = (77, flow::protocol::ICMPV6);
    (ping.source.namespace, ping.source.pod) = ("shop".into(), "\u{1b}[2Jweb".into());
    ping.flow_type = FlowType::ToExternal;

    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(&[first, last], NOW).unwrap();
    writer.append(&[ping], NOW + 3_600_000).unwrap();
    writer.flush().unwrap();
    dir
}

fn counters(packets: u64, octets: u64, packets_delta: u64, octets_delta: u64) -> Counters {
    Counters { packets_total: packets, octets_total: octets, packets_delta, octets_delta }
}

/// What the command line prints an hour and a minute after the first flow.
fn output(dir: &TempDir, args: &[&str]) -> String {
    let data = dir.path().to_str().unwrap();
    let command = Command::parse_from([&["flows", "--data", data], args].concat());
    let mut out = Vec::new();
    run(&command.flows, NOW + 3_660_000, &mut out, &mut Vec::new()).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_is_aligned() {
    let expected = "\
START (UTC)              SOURCE            DESTINATION         SERVICE          PROTOCOL  TYPE         OCTETS  PACKETS  REV OCTETS  REV PACKETS  STATE      END
2026-11-21 08:59:59.000  shop/\u{fffd}[2Jweb      2001:db8::1         -                ICMPv6    to-external       0        0           0            0  -          -
2026-11-21 08:58:59.000  shop/web-0:40000  db/postgres-0:5432  db/postgres:sql  TCP       inter-node     1700       15      123456            9  TIME_WAIT  ended
";
    assert_eq!(output(&store(), &[]), expected);
}

#[test]
fn json_holds_every_attribute_and_how_the_flow_was_put_together() {
    let text = output(&store(), &["-o", "json", "--pod", "shop/web-0"]);
    let [line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let expected = [
        ("flowStartMilliseconds", (NOW - 60_000).into()),
        ("octetTotalCount", 1700.into()),
        ("octetDeltaCount", 1700.into()),
        ("sourceIP", "10.10.0.7".into()),
        ("proxySnatIP", serde_json::Value::Null),
        ("records", 2.into()),
        ("firstInserted", NOW.into()),
    ];
    for (key, expected) in expected {
        assert_eq!(value[key], expected, "{key}");
    }
    assert_eq!(value.as_object().unwrap().len(), flow::Field::columns().count() + 3);
}

#[test]
fn csv_has_a_header_of_column_names() {
    let text = output(&store(), &["-o", "csv", "--type", "inter-node"]);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert!(header.iter().eq(flow::Field::columns().map(|field| field.name)));
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 1);
    let value = |name| &rows[0][header.iter().position(|column| column == name).unwrap()];
    assert_eq!([value("destinationPodName"), value("proxySnatIP")], ["postgres-0", ""]);
}

#[test]
fn every_option_restricts_what_is_shown() {
    let dir = store();
    for (args, expected) in [
        (&[][..], 2),
        (&["--since", "1h1m"], 2),
        (&["--since", "15m"], 1),
        (&["--since", "30s"], 0),
        (&["--pod", "web-0"], 1),
        (&["--namespace", "shop"], 2),
        (&["--service", "postgres"], 1),
        (&["--ip", "10.10.1.9"], 1),
        (&["--ip", "fd00::/8"], 1),
        (&["--port", "5432"], 1),
        (&["--type", "to-external"], 1),
        (&["--type", "intra-node"], 0),
        (&["--where", "destinationTransportPort=5432"], 1),
        (&["--limit", "1"], 1),
        (&["--limit", "0"], 2),
    ] {
        assert_eq!(output(&dir, args).lines().count() - 1, expected, "{args:?}");
    }
}

#[test]
fn wrong_values_are_refused() {
    for args in
        [["--ip", "10.10"], ["--type", "sideways"], ["--since", "yesterday"], ["--port", "70000"]]
    {
        Command::try_parse_from(["flows"].iter().chain(&args)).unwrap_err();
    }
}

#[test]
fn what_is_missing_is_remarked() {
    let dir = store();
    std::fs::write(dir.path().join("flows/2026-11-21/09/x.parquet"), "torn").unwrap();
    let data = dir.path().to_str().unwrap();
    let command = Command::parse_from(["flows", "--data", data, "--limit", "1"]);
    let mut remarks = Vec::new();
    run(&command.flows, NOW, &mut Vec::new(), &mut remarks).unwrap();
    let remarks = String::from_utf8(remarks).unwrap();
    let [cut, missing] = remarks.lines().collect::<Vec<_>>()[..] else { panic!("{remarks}") };
    assert_eq!(cut, "the newest 1 flows; --limit 0 shows all");
    assert!(missing.starts_with("files cannot be read and their flows are missing"), "{missing}");
    assert!(missing.contains("x.parquet: "), "{missing}");
}

/// A flow's records, one a second until `end_ms`, all stored then.
fn long_flow(flow_id: u64, start_ms: u64, end_ms: u64) -> Vec<FlowRecord> {
    let record = |end_ms| {
        let forward = counters(0, 0, 1, 10);
        FlowRecord { flow_id, start_ms, end_ms, forward, ..FlowRecord::default() }
    };
    (start_ms..=end_ms).step_by(1000).map(record).collect()
}

/// Id, records and octets of each flow that is shown.
fn sums(dir: &TempDir, args: &[&str]) -> Vec<[u64; 3]> {
    let text = output(dir, &[args, &["-o", "json"]].concat());
    let values = text.lines().map(|line| serde_json::from_str(line).unwrap());
    values
        .map(|flow: serde_json::Value| {
            ["flowId", "records", "octetDeltaCount"].map(|key| flow[key].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn the_newest_flows_have_all_of_their_records() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let hours = |count: u64| NOW - count * 3_600_000;
    // More records than a page shows, over hours; a flow within that time; and one of the past.
    let long = long_flow(1, hours(2), NOW);
    let (early, late) = long.split_at(long.len() / 2);
    let mut known_late = long_flow(2, hours(1), hours(1) + 9_000);
    known_late[9].source.pod = "web-0".into();
    for (records, at) in [
        (&long_flow(3, hours(40), hours(39))[..], hours(39)),
        (early, hours(1)),
        (&known_late, hours(1) + 9_000),
        (late, NOW),
    ] {
        writer.append(records, at).unwrap();
        writer.flush().unwrap();
    }
    let [first, second, third] = [[1, 7201, 72_010], [2, 10, 100], [3, 3601, 36_010]];
    for (args, expected) in [
        (&["--limit", "1"][..], &[first][..]),
        (&["--limit", "2"], &[first, second]),
        (&["--limit", "3"], &[first, second, third]),
        (&["--limit", "0"], &[first, second, third]),
        (&["--limit", "10001"], &[first, second, third]),
        (&["--pod", "web-0"], &[second]),
        (&["--pod", "web-0", "--limit", "0"], &[second]),
        (&["--since", "30h", "--limit", "0"], &[first, second]),
        (&["--since", "90m"], &[[1, 3601, 36_010]]),
    ] {
        assert_eq!(sums(&dir, args), expected, "{args:?}");
    }
}
