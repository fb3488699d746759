//! The JSON output, line by line.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::net::SocketAddr;

use flow::{Batch, Contents, FlowRecord, Mode};
use serde_json::Value;
use sinks::json::{JsonSink, Options};
use sinks::{FarEnd, Sink, Transport};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket};

fn options(address: SocketAddr, transport: Transport) -> Options {
    Options {
        to: FarEnd { address: address.to_string(), transport },
        contents: Contents { names: true, uids: true, mode: Mode::Aggregate },
        cluster_id: "cluster".to_owned(),
    }
}

fn batch(ids: std::ops::Range<u16>) -> Batch {
    let record = |port| {
        let mut record = FlowRecord::default();
        record.key.source_port = port;
        record.source.pod = "a<b>&\u{2028}\"ü".into();
        record
    };
    ids.map(record).collect()
}

fn ports(text: &str) -> Vec<u64> {
    let port = |line| {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["ipfix"].as_object().unwrap().len(), 79);
        record["ipfix"]["sourceTransportPort"].as_u64().unwrap()
    };
    text.lines().map(port).collect()
}

#[tokio::test]
async fn lines_are_those_of_antrea() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = collector.local_addr().unwrap();
    let mut sink = JsonSink::new(options(to, Transport::Udp)).unwrap();
    sink.write(&batch(7..9), 1_700_000_000_999).await.unwrap();
    sink.flush().await.unwrap();
    for port in 7..9 {
        let mut buffer = [0; 8192];
        let length = collector.recv(&mut buffer).await.unwrap();
        let line = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(
            line.starts_with(r#"{"@timestamp":"2023-11-14T22:13:20Z","ipfix":{"clusterId":"#),
            "{line}"
        );
        assert!(line.contains(r#""sourcePodName":"a\u003cb\u003e\u0026\u2028\"ü","#), "{line}");
        assert!(
            line.contains(r#""sourcePodUUID":"00000000-0000-0000-0000-000000000000","#),
            "{line}"
        );
        assert!(line.contains(r#""proxySnatIPv4":"0.0.0.0","#), "{line}");
        assert!(line.ends_with("}}\n"), "{line}");
        assert_eq!(ports(line), [port]);
    }
    assert_eq!(sink.counters().borrow().records, 2);
}

#[tokio::test]
async fn a_line_that_no_datagram_holds_is_let_go_alone() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = collector.local_addr().unwrap();
    let mut sink = JsonSink::new(options(to, Transport::Udp)).unwrap();
    let mut records = batch(1..4).to_vec();
    records[1].destination.pod = "x".repeat(70_000).as_str().into();
    sink.write(&records.into(), 0).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!((sink.let_go(), sink.let_go()), (1, 0));
    for port in [1, 3] {
        let mut buffer = [0; 8192];
        let length = collector.recv(&mut buffer).await.unwrap();
        assert_eq!(ports(std::str::from_utf8(&buffer[..length]).unwrap()), [port]);
    }
}

/// A collector that goes away, with more under way than a connection's buffers hold, and the one
/// that comes after it.
#[tokio::test]
async fn no_line_is_cut_or_told_twice_over_a_lost_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut sink = JsonSink::new(options(address, Transport::Tcp)).unwrap();
    let all = 0..6_000;
    sink.write(&batch(all.clone()), 0).await.unwrap();
    let leaving = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 1_000_001];
        first.read_exact(&mut read).await.unwrap();
        read
    };
    let (sent, read) = tokio::join!(sink.flush(), leaving);
    sent.unwrap_err();
    let text = String::from_utf8(read).unwrap();
    let told = ports(text.rsplit_once('\n').unwrap().0);
    let counters = *sink.counters().borrow();
    assert_eq!((counters.sessions_lost, counters.records), (1, counters.records_in_doubt));

    let rest = async {
        let (mut second, _) = listener.accept().await.unwrap();
        let mut read = String::new();
        second.read_to_string(&mut read).await.unwrap();
        read
    };
    let sending = async {
        sink.flush().await.unwrap();
        drop(sink);
    };
    let ((), rest) = tokio::join!(sending, rest);
    let again = ports(&rest);
    assert!(told.iter().copied().eq(0..told.len() as u64), "in order");
    let first = again[0];
    assert_eq!(first, counters.records, "what was written whole is not written again");
    assert!(first >= told.len() as u64);
    assert!(again.iter().copied().eq(first..all.end.into()), "all others are");
}
