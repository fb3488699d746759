//! The IPFIX output when collectors come and go, and when messages are too short.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::net::SocketAddr;
use std::time::Duration;

use flow::{Batch, Contents, FlowRecord, Interner, Mode, Plan};
use ipfix::decode::{Limits, Session};
use sinks::ipfix::{Directions, IpfixSink, Options, Profile};
use sinks::{FarEnd, OptionsError, Sink, SinkError, Transport};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

fn options(address: SocketAddr, transport: Transport) -> Options {
    Options {
        to: FarEnd { address: address.to_string(), transport },
        domain: 7,
        max_message: None,
        template_refresh: Duration::from_mins(10),
        profile: Profile::Antrea,
        contents: Contents { names: true, uids: false, mode: Mode::Aggregate },
        cluster_id: "cluster".to_owned(),
    }
}

fn batch(ports: std::ops::Range<u16>) -> Batch {
    let record = |port| {
        let mut record = FlowRecord::default();
        record.key.source_port = port;
        record.source.pod = "a-pod-with-a-name-of-the-usual-length-5d4f8c7b9-x2x7q".into();
        record
    };
    ports.map(record).collect()
}

/// Reads messages of one session; no record of it may be missing.
struct Reading {
    session: Session<Plan>,
    names: Interner,
}

impl Reading {
    fn new() -> Self {
        Self { session: Session::new(Limits::default()), names: Interner::new(100) }
    }

    /// The source ports in a message.
    fn message(&mut self, message: &[u8]) -> Vec<u16> {
        let Self { session, names } = self;
        let mut ports = Vec::new();
        let read = |plan: &Plan, _: &_, record: ipfix::decode::DataRecord<'_>| {
            ports.push(plan.decode(&record, names).key.source_port);
        };
        let summary = session.decode(message, Plan::compile, read).unwrap();
        assert_eq!((summary.lost_records, summary.sets_without_template), (0, 0));
        ports
    }

    fn all(bytes: &[u8]) -> Vec<u16> {
        let mut reading = Self::new();
        let mut messages = ipfix::file::Messages::new(bytes);
        let mut ports = Vec::new();
        while let Some(message) = messages.next_message().unwrap() {
            ports.extend(reading.message(message));
        }
        ports
    }
}

async fn told(mut stream: TcpStream) -> Vec<u16> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Reading::all(&bytes)
}

#[tokio::test]
async fn a_collector_that_comes_back_is_told_each_record_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut sink = IpfixSink::new(options(address, Transport::Tcp)).unwrap();
    sink.write(&batch(0..100), 0).await.unwrap();
    sink.flush().await.unwrap();
    let (mut first, _) = listener.accept().await.unwrap();
    drop(listener);
    // It reads all there is, and goes away.
    let mut read = Vec::new();
    let mut seen = 0;
    while seen < 100 {
        first.read_buf(&mut read).await.unwrap();
        let whole = ipfix::transport::export::whole_messages(&read, read.len()).0;
        seen = Reading::all(&read[..whole]).len();
    }
    drop(first);

    sink.write(&batch(100..200), 0).await.unwrap();
    assert!(matches!(sink.flush().await, Err(SinkError::Unavailable(_))), "nobody listens");
    // What it holds is one batch; for a second one there is no room meanwhile.
    assert!(matches!(sink.write(&batch(0..1), 0).await, Err(SinkError::Unavailable(_))));
    let counters = *sink.counters().borrow();
    assert_eq!((counters.sessions_lost, counters.records), (1, 100));
    assert_eq!(counters.records_in_doubt, 100, "nobody has said that they were read");

    let listener = TcpListener::bind(address).await.unwrap();
    sink.flush().await.unwrap();
    let (second, _) = listener.accept().await.unwrap();
    drop(sink);
    assert!(told(second).await.into_iter().eq(100..200));
}

/// A collector that goes away in the middle of a message gets that message again, whole.
#[tokio::test]
async fn no_record_is_cut_or_told_twice_over_a_lost_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut sink = IpfixSink::new(options(address, Transport::Tcp)).unwrap();
    sink.write(&batch(0..50_000), 0).await.unwrap();
    let leaving = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 2_000_001];
        first.read_exact(&mut read).await.unwrap();
    };
    let (sent, ()) = tokio::join!(sink.flush(), leaving);
    sent.unwrap_err();
    let written = sink.counters().borrow().records;
    assert_eq!(sink.counters().borrow().records_in_doubt, written);
    let sending = async {
        sink.flush().await.unwrap();
        drop(sink);
    };
    let ((), rest) =
        tokio::join!(sending, async { told(listener.accept().await.unwrap().0).await });
    assert_eq!(u64::from(rest[0]), written, "what was written whole is not written again");
    assert!(rest.iter().copied().eq(rest[0]..50_000), "all others are");
}

#[track_caller]
fn refused(names: bool, uids: bool, max_message: u16) -> Option<String> {
    let contents = Contents { names, uids, mode: Mode::Aggregate };
    let max_message = Some(max_message);
    let options =
        Options { contents, max_message, ..options(([127, 0, 0, 1], 1).into(), Transport::Udp) };
    IpfixSink::new(options).err().map(|error| config::Chain(&error).to_string())
}

/// The lengths of Antrea's own messages: where it would try for ever, a reason is given at once.
#[test]
fn a_limit_that_is_too_short_is_refused_with_the_reason() {
    assert_eq!(refused(true, false, 536), None);
    let reason = refused(true, false, 535).unwrap();
    assert!(
        reason.contains("535 bytes are too short") && reason.contains("template 256"),
        "{reason}"
    );
    assert!(refused(true, true, 607).is_some() && refused(true, true, 608).is_none());
    assert_eq!(refused(false, false, 512), None);
    // The template fits, and no record of IPv6 does.
    let reason = refused(false, true, 512).unwrap();
    assert!(reason.contains("522 bytes at least"), "{reason}");
    let too_long = IpfixSink::new(Options {
        max_message: Some(65_508),
        ..options(([127, 0, 0, 1], 1).into(), Transport::Udp)
    });
    assert!(matches!(too_long, Err(OptionsError::Datagram { .. })));
}

#[tokio::test]
async fn a_record_that_fits_no_message_is_dropped_alone() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = collector.local_addr().unwrap();
    for profile in [Profile::Antrea, Profile::Standard(Directions::Uniflow)] {
        let options = Options { max_message: Some(1024), profile, ..options(to, Transport::Udp) };
        let mut sink = IpfixSink::new(options).unwrap();
        let mut records = batch(1..4).to_vec();
        records[1].source.labels = "x".repeat(4000).as_str().into();
        records[1].reverse.packets_total = 1;
        sink.write(&records.into(), 0).await.unwrap();
        sink.flush().await.unwrap();
        assert_eq!((sink.let_go(), sink.let_go()), (1, 0), "{profile:?}");
        let mut reading = Reading::new();
        let mut ports = Vec::new();
        while ports.len() < 2 {
            let mut buffer = [0; 2000];
            let length = collector.recv(&mut buffer).await.unwrap();
            ports.extend(reading.message(&buffer[..length]));
        }
        assert_eq!(ports, [1, 3], "{profile:?}");
    }
}

async fn datagrams(collector: &UdpSocket, records: usize) -> Vec<Vec<u8>> {
    let (mut all, mut reading, mut seen) = (Vec::new(), Reading::new(), 0);
    while seen < records {
        let mut buffer = vec![0; 65_536];
        let length = collector.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        seen += reading.message(&buffer).len();
        all.push(buffer);
    }
    all
}

#[tokio::test]
async fn datagrams_are_as_long_as_they_may_be() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = collector.local_addr().unwrap();
    // The loopback device carries more than any collector reads.
    for (max_message, most) in [(None, 9_000), (Some(1_420), 1_420)] {
        let mut sink =
            IpfixSink::new(Options { max_message, ..options(to, Transport::Udp) }).unwrap();
        sink.write(&batch(0..100), 0).await.unwrap();
        sink.flush().await.unwrap();
        let lengths = datagrams(&collector, 100).await.iter().map(Vec::len).max().unwrap();
        // The shortest record has 400 bytes.
        assert!((most - 400..=most).contains(&lengths), "{lengths} of {most}");
    }
}

#[tokio::test]
async fn templates_are_sent_again_over_udp_and_not_over_tcp() {
    let is_template = |message: &[u8]| message[16..18] == [0, 2];
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = collector.local_addr().unwrap();
    let template_refresh = Duration::ZERO;
    let mut sink =
        IpfixSink::new(Options { template_refresh, ..options(to, Transport::Udp) }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut over_tcp =
        IpfixSink::new(Options { template_refresh, ..options(to, Transport::Tcp) }).unwrap();
    let mut got = Vec::new();
    for _ in 0..2 {
        for sink in [&mut sink, &mut over_tcp] {
            sink.write(&batch(0..1), 0).await.unwrap();
            sink.flush().await.unwrap();
        }
    }
    for _ in 0..5 {
        let mut buffer = [0; 2000];
        collector.recv(&mut buffer).await.unwrap();
        got.push(is_template(&buffer));
    }
    assert_eq!(got[..2], [true, true]);
    assert_eq!(got.iter().filter(|is| **is).count(), 4, "{got:?}");
    drop(over_tcp);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let mut messages = ipfix::file::Messages::new(bytes.as_slice());
    let mut templates = 0;
    while let Some(message) = messages.next_message().unwrap() {
        templates += u32::from(is_template(message));
    }
    assert_eq!(templates, 2);
}
