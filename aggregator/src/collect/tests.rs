use std::time::Instant;

use flow::{Family, FlowKey, Plan, Profile, encode, template};
use ipfix::decode::{self, Session};
use ipfix::encode::{Encoder, Packing};
use ipfix::template::{FieldSpecifier, Template, TemplateId};
use ipfix::transport::collect::{Collector, CollectorSession, Peer, Protocol, SessionEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;

mod world; // every listener at once, on loopback
mod hostile; // what ends the original's process
mod versions; // templates of all Agents there were
mod spoken_for; // whom a session may speak for, and who is heard
mod routers; // NetFlow
mod many; // thousands of sessions

/// A message with a template and a message with `count` records of it.
fn messages(count: u16) -> [Vec<u8>; 2] {
    let id = TemplateId::MIN;
    let mut encoder = Encoder::new(7, u16::MAX, Packing::Full);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    encoder.template(0, &template(id, Profile::Fyke, Family::V4), &mut first).unwrap();
    for source_port in 0..count {
        let key = FlowKey { source_port, ..FlowKey::default() };
        let record = FlowRecord { key, ..FlowRecord::default() };
        encoder
            .record(0, id, &mut second, |writer| {
                encode(&record, Profile::Fyke, Family::V4, writer);
            })
            .unwrap();
    }
    encoder.finish(&mut second);
    [first, second]
}

/// A message with a template of one byte per record, and one with as many records as fit.
fn tiny() -> [Vec<u8>; 2] {
    let id = TemplateId::MIN;
    let field = FieldSpecifier { pen: 0, id: 4, length: 1 };
    let of_one_byte = Template { id, fields: vec![field], scope_count: 0 };
    let mut encoder = Encoder::new(7, u16::MAX, Packing::Full);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    encoder.template(0, &of_one_byte, &mut first).unwrap();
    for _ in 0..65_000 {
        encoder.record(0, id, &mut second, |writer| writer.u8(6)).unwrap();
    }
    encoder.finish(&mut second);
    [first, second]
}

/// Appends a set that claims to be longer than its message.
fn spoiled(mut message: Vec<u8>) -> Vec<u8> {
    message.extend([1, 0, 0xff, 0xff]);
    let [high, low] = u16::try_from(message.len()).unwrap().to_be_bytes();
    message[2] = high;
    message[3] = low;
    message
}

#[test]
fn records_that_are_not_of_flows_are_counted_and_never_made() {
    let mut decoder = Decoder::default();
    let [first, second] = tiny();
    let mut records = Vec::new();
    decoder.decode(&first, Instant::now(), &mut records).unwrap();
    let summary = decoder.decode(&second, Instant::now(), &mut records).unwrap();
    assert_eq!((summary.records, records.capacity()), (65_000, 0));
    assert_eq!((decoder.take_unusable(), decoder.take_unusable()), (65_000, 0));
}

#[test]
fn what_came_before_a_malformed_set_is_passed_on() {
    let mut decoder = Decoder::default();
    let [first, second] = messages(3);
    let mut records = Vec::new();
    decoder.decode(&first, Instant::now(), &mut records).unwrap();
    decoder.decode(&spoiled(second), Instant::now(), &mut records).unwrap_err();
    assert_eq!(records.iter().map(|r| r.key.source_port).collect::<Vec<_>>(), [0, 1, 2]);
}

/// A collector on loopback, and what goes in and out of it.
struct Running {
    peer: TcpStream,
    reported: mpsc::Receiver<Reported>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(limits: CollectorLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reported) = mpsc::channel(1024);
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(Metrics::default());
        let room = Room::new(limits.records, sender);
        let options = CollectOptions { limits, ..CollectOptions::default() };
        let epoch = Epoch::new(Instant::now(), 0);
        let collecting = Collecting::new(options, room, Arc::clone(&metrics), None, epoch);
        let task = tokio::spawn(async move { collecting.tcp(listener, stopped).await });
        let peer = TcpStream::connect(address).await.unwrap();
        Self { peer, reported, metrics, stop, task }
    }
}

#[tokio::test]
async fn what_waits_for_correlation_is_bounded_by_records() {
    // Room for what two messages may tell, and not for what a third may.
    let [first, second] = messages(50);
    let most = second.len() / Plan::SHORTEST_FLOW;
    let limits = CollectorLimits { records: most + 60, ..CollectorLimits::default() };
    let mut running = Running::start(limits).await;
    running.peer.write_all(&first).await.unwrap();
    for _ in 0..4 {
        running.peer.write_all(&second).await.unwrap();
    }
    let metrics = Arc::clone(&running.metrics);
    let received = async |records| {
        while metrics.records_received.get() < records {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    received(100).await;
    // There is nothing to wait for when nothing may happen.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(running.metrics.records_received.get(), 100, "the third waits for room");
    // As one or as two, as they came.
    let mut taken = 0;
    while taken < 100 {
        taken += running.reported.recv().await.unwrap().records.len();
    }
    assert_eq!(taken, 100);
    received(150).await;
    while running.metrics.records_received.get() < 200 {
        drop(running.reported.recv().await);
    }
}

#[tokio::test]
async fn a_malformed_message_ends_its_session_behind_its_sound_records() {
    let mut running = Running::start(CollectorLimits::default()).await;
    let [first, second] = messages(3);
    running.peer.write_all(&[first, spoiled(second)].concat()).await.unwrap();
    let Reported { domain, records, .. } = running.reported.recv().await.unwrap();
    assert_eq!((domain, records.len()), (7, 3));
    assert_eq!(running.peer.read(&mut [0; 1]).await.unwrap(), 0, "it hangs up");
    assert_eq!(running.metrics.records_received.get(), 3);
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_is_cut_off() {
    let running = Running::start(CollectorLimits::default()).await;
    let Running { mut peer, mut reported, stop, task, .. } = running;
    let [first, second] = messages(3);
    peer.write_all(&first).await.unwrap();
    let address = peer.peer_addr().unwrap();
    let sending = tokio::spawn(async move { while peer.write_all(&second).await.is_ok() {} });
    let taking = tokio::spawn(async move { while reported.recv().await.is_some() {} });
    let asked = Instant::now();
    stop.send_replace(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed first");
    task.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    sending.await.unwrap();
    taking.await.unwrap();
}

#[tokio::test]
async fn a_session_that_waits_for_room_does_not_keep_the_process_from_ending() {
    let [first, second] = messages(50);
    let limits = CollectorLimits { records: 400, ..CollectorLimits::default() };
    let running = Running::start(limits).await;
    let Running { mut peer, reported, metrics, stop, task } = running;
    peer.write_all(&first).await.unwrap();
    for _ in 0..3 {
        peer.write_all(&second).await.unwrap();
    }
    while metrics.records_received.get() < 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = Instant::now();
    stop.send_replace(true);
    task.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    drop(reported);
}

/// Waits until sessions have ended for this reason, and no other than were expected.
async fn ended(metrics: &Metrics, reason: &str, sessions: u64) {
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let line = format!("fyke_aggregator_sessions_ended_total{{reason=\"{reason}\"}} {sessions}\n");
    let told = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    let seen = async {
        while !told().contains(&line) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(5), seen).await;
    assert!(in_time.is_ok(), "{line} is not among {}", told());
}

#[tokio::test]
async fn sessions_that_end_are_counted_by_reason() {
    let limits = CollectorLimits { sessions: 1, ..CollectorLimits::default() };
    let running = Running::start(limits).await;
    let Running { mut peer, metrics, stop, task, mut reported } = running;
    let address = peer.peer_addr().unwrap();
    // The one session there may be is open once it has told something.
    let [first, second] = messages(3);
    peer.write_all(&[first.as_slice(), &second].concat()).await.unwrap();
    assert_eq!(reported.recv().await.unwrap().records.len(), 3);
    assert_eq!(metrics.sessions.get(), 1);
    drop(TcpStream::connect(address).await.unwrap());
    ended(&metrics, "too_many", 1).await;
    drop(peer);
    ended(&metrics, "closed", 1).await;

    // The same template with a longer field, which was not withdrawn.
    let mut another = first.clone();
    another[27] += 1;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[first.as_slice(), &another].concat()).await.unwrap();
    ended(&metrics, "malformed", 1).await;

    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&first[..9]).await.unwrap();
    peer.shutdown().await.unwrap();
    ended(&metrics, "truncated", 1).await;

    let _peer = TcpStream::connect(address).await.unwrap();
    while metrics.sessions.get() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send_replace(true);
    task.await.unwrap();
    ended(&metrics, "shutdown", 1).await;
    assert_eq!(metrics.sessions.get(), 0);
}

#[tokio::test]
async fn a_silent_session_is_closed() {
    let limits = CollectorLimits { idle: Duration::from_millis(20), ..CollectorLimits::default() };
    let running = Running::start(limits).await;
    ended(&running.metrics, "idle", 1).await;
}

#[tokio::test]
async fn what_was_gathered_when_a_session_is_cut_off_is_counted_as_lost() {
    let world = world::World::plain().await;
    let sessions = session::Sessions::new(Arc::clone(&world.collecting.shared));
    let address = ([127, 0, 0, 1], 4739).into();
    let peer = Peer { address, protocol: Protocol::Tcp, certificate: None };
    for (is_told, lost) in [(true, 0), (false, 5)] {
        let mut session = sessions.open(&peer, Session::new(decode::Limits::default()));
        for message in messages(5) {
            session.message(&message, Instant::now()).await.unwrap();
        }
        if is_told {
            session.caught_up().await;
        }
        session.ended(&SessionEnd::CutOff);
        assert_eq!(world.metrics.records_lost.get(), lost);
    }
    assert_eq!(world.metrics.records_received.get(), 10);
}
