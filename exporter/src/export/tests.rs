use std::io::{Read, Seek};

use flow::{FlowRecord, Profile};
use ipfix::transport;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, timeout};

use super::*;

const SOON: Duration = Duration::from_millis(300);
/// Sooner than any deadline of a session.
const LATE: Duration = Duration::from_secs(3);

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn exporting(collector: &TcpListener) -> Exporting {
    exporting_as(collector, Profile::Fyke, None)
}

fn exporting_as(collector: &TcpListener, profile: Profile, copy: Option<File>) -> Exporting {
    to(watch::channel(route(collector, profile)).1, copy)
}

fn route(collector: &TcpListener, profile: Profile) -> Route {
    at(&collector.local_addr().unwrap().to_string(), profile)
}

fn at(address: &str, profile: Profile) -> Route {
    let to = transport::Destination::new(address, transport::Transport::Tcp);
    Route { to, protocol: Protocol::Ipfix, form: Form::plain(profile) }
}

fn to(route: watch::Receiver<Route>, copy: Option<File>) -> Exporting {
    Exporting::new("static".into(), route, 1, copy.map(Arc::new), Arc::default()).unwrap()
}

fn batch(records: usize) -> Batch {
    std::iter::repeat_n(Arc::new(FlowRecord::default()), records).collect()
}

/// More than the buffers of any connection hold.
async fn fill(queue: &Sender<Batch>) -> u64 {
    for _ in 0..16 {
        queue.send(batch(8192)).await.unwrap();
    }
    16 * 8192
}

async fn run(exporting: Exporting, queue: Receiver<Batch>, stop: Stop) {
    let run = exporting.run(queue, stop, || 1_000_000_000);
    timeout(LATE, run).await.expect("it ends by itself");
}

#[tokio::test]
async fn what_waits_for_a_collector_that_is_away_is_counted_at_the_deadline() {
    let exporting = exporting(&listener().await);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    sender.send(batch(3)).await.unwrap();
    sender.send(batch(4)).await.unwrap();
    let (switch, stop) = Stop::new();
    switch.stop_by(Instant::now() + SOON);
    // The sender is not dropped: the deadline holds whatever the observer does.
    run(exporting, queue, stop).await;
    assert_eq!(metrics.records_abandoned.get(), 7);
    assert!(sender.try_send(batch(1)).is_err(), "nobody takes, let alone counts, any more");
}

#[tokio::test]
async fn with_nothing_to_send_no_collector_is_waited_for() {
    let exporting = exporting(&listener().await);
    let (_, queue) = channel(16);
    let (switch, stop) = Stop::new();
    switch.stop_by(Instant::now() + 2 * LATE);
    run(exporting, queue, stop).await;
}

#[tokio::test]
async fn a_stop_cuts_pauses_short() {
    let (switch, stop) = Stop::new();
    let pausing = tokio::spawn(async move {
        pause(2 * LATE, &stop).await;
        pause(2 * LATE, &stop).await;
    });
    sleep(SOON).await;
    assert!(!pausing.is_finished());
    switch.stop_by(Instant::now() + 2 * LATE);
    timeout(LATE, pausing).await.expect("it has not waited").unwrap();
}

#[tokio::test]
async fn a_collector_that_comes_back_at_the_end_gets_what_waited() {
    let listener = listener().await;
    let exporting = exporting(&listener);
    let collector = listener.local_addr().unwrap();
    drop(listener);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    let (switch, stop) = Stop::new();
    let running = tokio::spawn(run(exporting, queue, stop));
    while metrics.connect_failures.get() < 4 {
        sleep(Duration::from_millis(1)).await;
    }
    // The collector comes back, and the exporter has something to say to it.
    let listener = TcpListener::bind(collector).await.unwrap();
    sender.send(batch(5)).await.unwrap();
    drop(sender);
    switch.stop_by(Instant::now() + LATE);
    let reading = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    timeout(LATE, reading).await.unwrap();
    running.await.unwrap();
    assert_eq!((metrics.records_sent.get(), metrics.records_abandoned.get()), (5, 0));
}

#[tokio::test]
async fn at_the_deadline_each_record_is_either_sent_or_abandoned() {
    let listener = listener().await;
    let exporting = exporting(&listener);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    let records = fill(&sender).await;
    let (switch, stop) = Stop::new();
    switch.stop_by(Instant::now() + SOON);
    // The system accepts the connection; nobody ever reads from it.
    run(exporting, queue, stop).await;
    let (sent, abandoned) = (metrics.records_sent.get(), metrics.records_abandoned.get());
    assert!(sent > 0 && abandoned > 0, "{sent} sent, {abandoned} abandoned");
    assert_eq!(sent + abandoned, records);
}

/// The Set ID of each message's first Set: 2 is a Template Set, and 256 the Template of IPv4.
fn sets(messages: &[u8]) -> Vec<u16> {
    let mut messages = ipfix::file::Messages::new(messages);
    let mut sets = Vec::new();
    while let Some(message) = messages.next_message().unwrap() {
        sets.push(u16::from_be_bytes([message[16], message[17]]));
    }
    sets
}

async fn read_whole(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(LATE, stream.read_to_end(&mut bytes)).await.expect("it ends").unwrap();
    bytes
}

#[tokio::test]
async fn nothing_is_written_into_a_session_known_to_be_over() {
    let listener = listener().await;
    let exporting = exporting(&listener);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    let (_switch, stop) = Stop::new();
    let running = tokio::spawn(run(exporting, queue, stop));
    let (mut stream, _) = listener.accept().await.unwrap();
    for round in 1..=5 {
        // All that a session is to be told before its end arrives.
        while metrics.sessions.get() < round || metrics.records_sent.get() < 3 * (round - 1) {
            tokio::task::yield_now().await;
        }
        // Now the end of the session is known as well as the batch.
        stream.shutdown().await.unwrap();
        sender.send(batch(3)).await.unwrap();
        let before = sets(&read_whole(stream).await);
        assert_eq!(before, if round == 1 { &[2, 2][..] } else { &[2, 2, 256] }, "{round}");
        (stream, _) = timeout(LATE, listener.accept()).await.unwrap().unwrap();
    }
    drop(sender);
    let last = sets(&read_whole(stream).await);
    assert_eq!(last, [2, 2, 256]);
    running.await.unwrap();
    assert_eq!((metrics.sessions_lost.get(), metrics.records_sent.get()), (5, 15));
}

#[tokio::test]
async fn the_copy_is_what_was_sent() {
    for (profile, expected) in [
        (Profile::Fyke, &[2, 2, 256][..]),
        // One record per message.
        (Profile::Antrea, &[2, 2, 256, 256, 256]),
    ] {
        let listener = listener().await;
        let mut copy = tempfile::tempfile().unwrap();
        let exporting = exporting_as(&listener, profile, Some(copy.try_clone().unwrap()));
        let (sender, queue) = channel(16);
        sender.send(batch(3)).await.unwrap();
        drop(sender);
        let (_switch, stop) = Stop::new();
        let running = tokio::spawn(run(exporting, queue, stop));
        let received = read_whole(listener.accept().await.unwrap().0).await;
        running.await.unwrap();
        let mut copied = Vec::new();
        copy.rewind().unwrap();
        copy.read_to_end(&mut copied).unwrap();
        assert_eq!(copied, received);
        assert_eq!(sets(&received), expected);
    }
}

#[tokio::test]
async fn a_collector_that_closes_is_noticed_while_it_reads_nothing() {
    let listener = listener().await;
    let exporting = exporting(&listener);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    fill(&sender).await;
    let (_switch, stop) = Stop::new();
    let running = tokio::spawn(exporting.run(queue, stop, || 1_000_000_000));
    let (mut stream, _) = listener.accept().await.unwrap();
    sleep(SOON).await;
    assert_eq!(metrics.sessions_lost.get(), 0, "it is stuck in a write");
    stream.shutdown().await.unwrap();
    sleep(SOON).await;
    assert_eq!(metrics.sessions_lost.get(), 1);
    running.abort();
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LATE, so).await.expect("it comes to be so");
}

/// How many data records there are in the messages of `stream` until it ends.
async fn records(mut stream: TcpStream) -> u64 {
    let mut bytes = Vec::new();
    timeout(LATE, stream.read_to_end(&mut bytes)).await.expect("it ends").unwrap();
    let mut messages = ipfix::file::Messages::new(bytes.as_slice());
    let mut session = ipfix::decode::Session::<()>::new(ipfix::decode::Limits::default());
    let mut records = 0;
    while let Some(message) = messages.next_message().unwrap() {
        session.decode(message, |_| {}, |(), _, _| records += 1).unwrap();
    }
    records
}

#[tokio::test]
async fn another_collector_gets_what_comes_after_and_the_one_before_all_of_what_came_before() {
    let (first, second) = (listener().await, listener().await);
    let (collector, receiver) = watch::channel(route(&first, Profile::Fyke));
    let exporting = to(receiver, None);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    sender.send(batch(3)).await.unwrap();
    let (_switch, stop) = Stop::new();
    let running = tokio::spawn(run(exporting, queue, stop));
    let (stream, _) = first.accept().await.unwrap();
    until(|| metrics.records_sent.get() == 3).await;
    collector.send_replace(route(&second, Profile::Antrea));
    assert_eq!(records(stream).await, 3, "and the session has an end");
    let accepted = timeout(LATE, second.accept()).await.expect("it goes there");
    let (stream, _) = accepted.unwrap();
    sender.send(batch(4)).await.unwrap();
    drop(sender);
    assert_eq!(records(stream).await, 4);
    running.await.unwrap();
    assert_eq!((metrics.records_sent.get(), metrics.records_abandoned.get()), (7, 0));
    assert_eq!((metrics.sessions.get(), metrics.sessions_lost.get()), (2, 0));
}

#[tokio::test]
async fn another_collector_is_not_kept_waiting_for_one_that_is_away() {
    let (gone, there) = (listener().await, listener().await);
    let (collector, receiver) = watch::channel(route(&gone, Profile::Fyke));
    drop(gone);
    let exporting = to(receiver, None);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    sender.send(batch(5)).await.unwrap();
    drop(sender);
    let (_switch, stop) = Stop::new();
    let running = tokio::spawn(run(exporting, queue, stop));
    until(|| metrics.connect_failures.get() > 0).await;
    collector.send_replace(route(&there, Profile::Fyke));
    let accepted = timeout(LATE, there.accept()).await.expect("it goes there");
    let (stream, _) = accepted.unwrap();
    assert_eq!(records(stream).await, 5);
    running.await.unwrap();
}

#[tokio::test]
async fn the_collector_in_use_is_named_until_it_is_left() {
    let away = |port: u16| at(&format!("127.0.0.1:{port}"), Profile::Fyke);
    let (sender, collector) = watch::channel(away(1));
    let mut exporting = to(collector, None);
    sender.send_replace(away(2));
    assert_eq!(exporting.address, "127.0.0.1:1");
    exporting.redirect().await;
    assert_eq!(exporting.address, "127.0.0.1:2");
}

#[tokio::test]
async fn what_a_server_of_grpc_refuses_late_is_counted_by_its_reason() {
    let listener = listener().await;
    let address = listener.local_addr().unwrap().to_string();
    let route = Route { protocol: Protocol::Grpc, ..at(&address, Profile::Fyke) };
    let exporting = to(watch::channel(route).1, None);
    let metrics = Arc::clone(&exporting.metrics);
    let (sender, queue) = channel(16);
    sender.send(batch(3)).await.unwrap();
    let (_switch, stop) = Stop::new();
    let running = tokio::spawn(exporting.run(queue, stop, || 1_000_000_000));
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = grpc::collect::Connection::handshake(stream).await.unwrap();
    let stream = connection.accept().await.unwrap().unwrap();
    let serving = tokio::spawn(async move { while connection.accept().await.is_some() {} });
    until(|| metrics.records_sent.get() == 3).await;
    stream.fail(&grpc::Status::new(grpc::Status::PERMISSION_DENIED, "not you"));
    let late = || metrics.records_refused_late.each_ref().map(Counter::get);
    until(|| late() == [0, 3, 0, 0]).await;
    assert_eq!((metrics.records_sent.get(), metrics.sessions_lost.get()), (3, 1));
    serving.await.unwrap();
    running.abort();
}
