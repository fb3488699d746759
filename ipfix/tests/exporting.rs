//! The Exporting Process, and what becomes of records when collectors come and go.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

mod support;

use std::{future::poll_fn, net::SocketAddr, pin::pin, task::Poll, time::Duration};

use ipfix::{
    decode::{Limits, Session},
    message::MessageError,
    transport::{
        Deadlines, Destination, MessageStream, SessionError,
        export::{ExportSession, ExportingProcess, Messages, Refresh},
    },
    value,
};
use support::{Numbers, PATIENCE, exporter, tcp, udp};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn decode(session: &mut Session<()>, message: &[u8]) -> Result<Vec<u64>, MessageError> {
    let mut numbers = Vec::new();
    let number = |(): &(), _: &_, record: ipfix::decode::DataRecord<'_>| {
        numbers.extend(record.value(0).and_then(value::unsigned));
    };
    let summary = session.decode(message, |_| (), number)?;
    assert_eq!((summary.lost_records, summary.sets_without_template), (0, 0));
    Ok(numbers)
}

/// Reads what a session has told before it ended, cut off or not.
async fn read(stream: TcpStream) -> Vec<u64> {
    let mut messages = MessageStream::new(stream);
    let mut session = Session::new(Limits::default());
    let mut numbers = Vec::new();
    while let Ok(Some(message)) = timeout(PATIENCE, messages.next()).await.unwrap() {
        numbers.extend(decode(&mut session, message).unwrap());
    }
    numbers
}

#[tokio::test]
async fn a_collector_that_was_away_gets_everything() {
    let (listener, address) = listener().await;
    drop(listener);
    let mut process = exporter(tcp(address));
    process.push(1);
    let error = process.flush(0).await.unwrap_err();
    assert!(matches!(error, SessionError::Connect { .. }), "{error}");
    assert_eq!((process.counters().connect_failures, process.pending()), (1, 1));

    process.push(2);
    let mut failures = 0;
    let delivering = process.deliver(|| 0, || 0.5, |_, _| failures += 1);
    let collecting = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        listener.accept().await.unwrap().0
    };
    let ((), stream) =
        timeout(PATIENCE, async { tokio::join!(delivering, collecting) }).await.unwrap();
    assert!(failures > 0);
    process.close().await.unwrap();
    assert_eq!(read(stream).await, [1, 2]);
}

#[tokio::test]
async fn a_session_that_ended_while_nothing_was_sent_loses_nothing() {
    let (listener, address) = listener().await;
    let mut process = exporter(tcp(address));
    process.push(1);
    process.flush(0).await.unwrap();
    let mut first = MessageStream::new(listener.accept().await.unwrap().0);
    for _ in 0..2 {
        assert!(first.next().await.unwrap().is_some());
    }
    drop(first);
    // Over loopback the end of the connection is there before anybody can look for it.
    process.push(2);
    process.flush(0).await.unwrap();
    assert_eq!(process.counters().sessions_lost, 1);
    assert_eq!(process.counters().records_in_doubt, 1, "nobody can know that it was read");
    let second = listener.accept().await.unwrap().0;
    process.close().await.unwrap();
    assert_eq!(read(second).await, [2]);
}

#[tokio::test]
async fn an_exporter_with_nothing_to_send_learns_that_the_collector_left() {
    let (listener, address) = listener().await;
    let mut process = exporter(tcp(address));
    process.flush(0).await.unwrap();
    drop(listener.accept().await.unwrap());
    let ended = timeout(PATIENCE, process.closed()).await.unwrap();
    assert!(matches!(ended, SessionError::Closed | SessionError::Io(_)), "{ended}");
}

/// More than the buffers of a connection hold.
const RECORDS: u64 = 10_000;

fn long_records(destination: Destination) -> ExportingProcess<Numbers> {
    let messages = Messages::conservative(7, &destination);
    let export = Numbers { name: "x".repeat(1900), ..Numbers::default() };
    let mut process = ExportingProcess::new(destination, messages, export).unwrap();
    (0..RECORDS).for_each(|number| process.push(number));
    process
}

/// Reads the next session there is, in a task of its own.
fn read_next(listener: TcpListener) -> JoinHandle<Vec<u64>> {
    tokio::spawn(async move { read(listener.accept().await.unwrap().0).await })
}

fn impatient(address: SocketAddr) -> Destination {
    let deadlines = Deadlines { write: Duration::from_millis(200), ..Deadlines::default() };
    Destination { deadlines, ..tcp(address) }
}

#[tokio::test]
async fn a_message_written_whole_is_never_sent_again_and_one_cut_off_is() {
    let (listener, address) = listener().await;
    let mut process = long_records(impatient(address));
    let error = process.flush(0).await.unwrap_err();
    assert!(matches!(error, SessionError::WriteDeadline(_)), "{error}");
    let written = process.counters().records;
    assert!((1..RECORDS).contains(&written), "{written} records were taken");
    assert_eq!(u64::try_from(process.pending()).unwrap(), RECORDS - written);
    let first = listener.accept().await.unwrap().0;
    // What is in the socket buffers arrives: whole messages, and the beginning of one.
    assert_eq!(read(first).await, (0..written).collect::<Vec<_>>());

    let second = read_next(listener);
    process.flush(0).await.unwrap();
    process.close().await.unwrap();
    assert_eq!(second.await.unwrap(), (written..RECORDS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_collector_that_closes_is_noticed_while_it_takes_nothing() {
    let (listener, address) = listener().await;
    let mut process = long_records(tcp(address));
    let closing = async {
        let mut stream = listener.accept().await.unwrap().0;
        // It goes on reading nothing, so that the exporter stays stuck in its write.
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        stream
    };
    let (flushed, stream) =
        timeout(PATIENCE, async { tokio::join!(process.flush(0), closing) }).await.unwrap();
    let error = flushed.unwrap_err();
    assert!(matches!(error, SessionError::Closed), "{error}");
    assert_eq!((process.counters().sessions_lost, process.is_open()), (1, false));
    // Whatever was written whole is not sent again, and all else waits.
    let written = process.counters().records;
    assert_eq!(read(stream).await, (0..written).collect::<Vec<_>>());
    let unsent = process.abandon();
    assert_eq!(unsent, (written..RECORDS).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_abandoned_in_a_write_has_not_been_told() {
    let (listener, address) = listener().await;
    let mut process = long_records(tcp(address));
    timeout(Duration::from_millis(100), process.flush(0)).await.unwrap_err();
    let unsent = process.abandon();
    let written = process.counters().records;
    assert!((1..RECORDS).contains(&written), "{written} records were taken");
    assert_eq!(unsent, (written..RECORDS).collect::<Vec<_>>());
    assert_eq!((process.pending(), process.counters().sessions_lost), (0, 0));
    assert_eq!(read(listener.accept().await.unwrap().0).await, (0..written).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flush_that_is_given_up_goes_on_where_it_was() {
    let (listener, address) = listener().await;
    let mut process = long_records(tcp(address));
    timeout(Duration::from_millis(100), process.flush(0)).await.unwrap_err();
    process.push(RECORDS);
    let numbers = read_next(listener);
    process.flush(0).await.unwrap();
    assert_eq!((process.counters().sessions, process.pending()), (1, 0));
    process.close().await.unwrap();
    assert_eq!(numbers.await.unwrap(), (0..=RECORDS).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_collector_gets_what_has_not_left_and_nothing_else() {
    let ((old, address), (new, other)) = (listener().await, listener().await);
    let mut process = long_records(tcp(address));
    timeout(Duration::from_millis(100), process.flush(0)).await.unwrap_err();
    let destination = tcp(other);
    let messages = Messages::conservative(8, &destination);
    process.redirect(destination, messages).await.unwrap();
    let written = process.counters().records;
    assert!((1..RECORDS).contains(&written), "{written} records were taken");
    assert!(!process.is_open());
    process.push(RECORDS);
    let numbers = read_next(new);
    process.flush(0).await.unwrap();
    process.close().await.unwrap();
    assert_eq!(numbers.await.unwrap(), (written..=RECORDS).collect::<Vec<_>>());
    assert_eq!(read(old.accept().await.unwrap().0).await, (0..written).collect::<Vec<_>>());
    let counters = process.counters();
    assert_eq!((counters.sessions, counters.sessions_lost), (2, 0), "it left by itself");
    assert_eq!((counters.records, process.pending()), (RECORDS + 1, 0));
}

#[tokio::test]
async fn another_collector_is_sent_to_as_its_transport_has_it() {
    let (_listener, address) = listener().await;
    let mut process = exporter(tcp(address));
    process.push(1);
    process.flush(0).await.unwrap();
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let destination = udp(collector.local_addr().unwrap());
    let messages = Messages::conservative(8, &destination);
    process.redirect(destination, messages).await.unwrap();
    process.push(2);
    process.flush(0).await.unwrap();
    let mut session = Session::new(Limits::default());
    for numbers in [vec![], vec![2]] {
        let message = datagram(&collector).await;
        // The Observation Domain (RFC 7011, section 3.1).
        assert_eq!(message[12..16], [0, 0, 0, 8]);
        assert_eq!(decode(&mut session, &message).unwrap(), numbers);
    }
}

async fn datagram(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    buffer.truncate(length);
    buffer
}

/// The Set ID of the first Set.
fn set_id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[16], message[17]])
}

#[tokio::test]
async fn templates_are_sent_again_over_udp() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let destination = udp(collector.local_addr().unwrap());
    let refresh = Refresh { after: Duration::from_hours(1), after_messages: 3 };
    let messages = Messages { refresh: Some(refresh), ..Messages::conservative(7, &destination) };
    let mut process = ExportingProcess::new(destination, messages, Numbers::default()).unwrap();
    // The Sets that arrive when one record is sent each time.
    let sent: [&[u16]; 6] = [&[2, 256], &[256], &[2, 256], &[256], &[2, 256], &[256]];
    for (number, expected) in (0..).zip(sent) {
        process.push(number);
        process.flush(0).await.unwrap();
        for set in expected {
            assert_eq!(set_id(&datagram(&collector).await), *set, "with number {number}");
        }
    }
    assert_eq!(process.counters().refreshes, 2);
}

#[tokio::test]
async fn a_udp_collector_that_comes_back_gets_templates_first() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = collector.local_addr().unwrap();
    let mut process = exporter(udp(address));
    process.push(1);
    process.flush(0).await.unwrap();
    drop(collector);
    // Nobody listens, which the kernel tells whoever sends next.
    for number in 2..5 {
        process.push(number);
        process.flush(0).await.unwrap();
    }
    let collector = UdpSocket::bind(address).await.unwrap();
    process.push(5);
    process.flush(0).await.unwrap();
    process.push(6);
    process.flush(0).await.unwrap();
    let mut sets = Vec::new();
    while let Ok(Ok(message)) =
        timeout(Duration::from_millis(100), async { Ok::<_, ()>(datagram(&collector).await) }).await
    {
        sets.push(set_id(&message));
    }
    assert!(sets.contains(&2), "templates are among {sets:?}");
}

#[tokio::test]
async fn no_datagram_is_longer_than_antreas_collector_reads() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let destination = udp(collector.local_addr().unwrap());
    let messages = Messages::conservative(7, &destination);
    // Header, Set header, number and length prefix take 31 bytes.
    for (length, fits) in [(993, true), (994, false)] {
        let export = Numbers { name: "x".repeat(length), ..Numbers::default() };
        let mut process = ExportingProcess::new(destination.clone(), messages, export).unwrap();
        process.push(1);
        process.flush(0).await.unwrap();
        assert_eq!(process.export().refused.is_empty(), fits);
        assert_eq!(process.counters().records_refused, u64::from(!fits));
        assert_eq!(set_id(&datagram(&collector).await), 2);
        if fits {
            assert_eq!(datagram(&collector).await.len(), 1024);
        }
    }
}

#[tokio::test]
async fn a_message_no_datagram_can_hold_is_counted_while_the_session_goes_on() {
    let collector = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let destination = udp(collector.local_addr().unwrap());
    let conservative = Messages::conservative(7, &destination);
    let messages = Messages { max_length: u16::MAX, ..conservative };
    // UDP over IPv4 carries 65,507 bytes.
    let export = Numbers { name: "x".repeat(65_500), ..Numbers::default() };
    let mut process = ExportingProcess::new(destination, messages, export).unwrap();
    process.push(1);
    process.flush(0).await.unwrap();
    assert_eq!((process.is_open(), process.counters().messages_unsendable), (true, 1));
    process.close().await.unwrap();
    assert_eq!(process.counters().messages_unsendable, 1, "once");
}

#[tokio::test]
async fn a_template_that_fits_no_message_is_found_at_once() {
    let destination = udp("127.0.0.1:1".parse().unwrap());
    let messages = Messages { max_length: 31, ..Messages::conservative(7, &destination) };
    ExportingProcess::new(destination, messages, Numbers::default()).unwrap_err();
}

#[tokio::test]
async fn encoded_messages_are_sent_as_they_are() {
    let message = [&[0, 10, 0, 20][..], &[0; 12], &[0, 2, 0, 4]].concat();
    let both = message.repeat(2);
    let collector = UdpSocket::bind("[::1]:0").await.unwrap();
    let destination = udp(collector.local_addr().unwrap());
    let mut session = ExportSession::open(&destination).await.unwrap();
    let mut written = 0;
    session.write(&both, &mut written).await.unwrap();
    assert_eq!(written, both.len());
    for _ in 0..2 {
        assert_eq!(datagram(&collector).await, message);
    }
    let error = session.write(&both[..30], &mut 0).await.unwrap_err();
    assert!(matches!(error, SessionError::Truncated(10)), "{error}");
}

#[tokio::test]
async fn names_are_resolved_and_unknown_ones_reported() {
    let (listener, address) = listener().await;
    let destination =
        Destination { address: format!("localhost:{}", address.port()), ..tcp(address) };
    let _session = ExportSession::open(&destination).await.unwrap();
    listener.accept().await.unwrap();
    let destination = Destination { address: "nowhere.invalid:4739".into(), ..destination };
    let error = ExportSession::open(&destination).await.unwrap_err();
    assert!(matches!(error, SessionError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn waiting_for_the_end_of_a_udp_session_is_waiting_forever() {
    let mut process = exporter(udp("127.0.0.1:9".parse().unwrap()));
    process.flush(0).await.unwrap();
    let mut closed = pin!(process.closed());
    poll_fn(|context| {
        assert!(closed.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}
