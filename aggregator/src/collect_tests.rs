use flow::{Family, FlowKey, Profile, encode, template};
use ipfix::encode::{Encoder, Packing};
use ipfix::template::{FieldSpecifier, Template, TemplateId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;

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
    let mut decoder = Decoder::new();
    let [first, second] = tiny();
    decoder.decode(&first).unwrap();
    let (summary, records) = decoder.decode(&second).unwrap();
    assert_eq!((summary.records, records.capacity()), (65_000, 0));
    assert_eq!((decoder.take_unusable(), decoder.take_unusable()), (65_000, 0));
}

#[test]
fn what_came_before_a_malformed_set_is_passed_on() {
    let mut decoder = Decoder::new();
    let [first, second] = messages(3);
    decoder.decode(&first).unwrap();
    let Malformed { domain, records, .. } = decoder.decode(&spoiled(second)).unwrap_err();
    assert_eq!(domain, 7);
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
        let task = tokio::spawn(collect(listener, limits, sender, Arc::clone(&metrics), stopped));
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
    assert_eq!(running.reported.recv().await.unwrap().records.len(), 50);
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
