//! The Collecting Process, and what peers may do to it.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

mod support;

#[path = "collecting/rules.rs"]
mod rules; // what each transport allows
#[path = "collecting/panics.rs"]
mod panics; // sessions whose beginning or end goes wrong
#[path = "collecting/flood.rs"]
mod flood; // datagrams that do not cease

use std::{net::SocketAddr, time::Duration};

use ipfix::{
    encode::{Encoder, Packing},
    template::TemplateId,
    transport::collect::{Limits, Protocol},
};
use support::{Collecting, ENOUGH, PANIC, WAIT, exporter, tcp, template, udp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

/// A template message, followed by one with each of `numbers`.
fn messages(numbers: &[u64]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(7, 1400, Packing::OneRecord);
    let mut messages = vec![Vec::new()];
    encoder.template(0, &template(), &mut messages[0]).unwrap();
    for number in numbers {
        let mut message = Vec::new();
        let write = |writer: &mut ipfix::encode::RecordWriter<'_>| {
            writer.u64(*number);
            writer.string("web-0");
        };
        encoder.record(0, TemplateId::MIN, &mut message, write).unwrap();
        messages.push(message);
    }
    messages
}

async fn send_tcp(address: SocketAddr, numbers: &[u64]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&messages(numbers).concat()).await.unwrap();
    stream
}

async fn send_udp(address: SocketAddr, numbers: &[u64]) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for message in messages(numbers) {
        socket.send_to(&message, address).await.unwrap();
    }
    socket
}

#[tokio::test]
async fn records_arrive_over_every_transport_and_family() {
    let mut collecting = Collecting::new(Limits::default());
    for family in ["127.0.0.1:0", "[::1]:0"] {
        let destinations = [tcp(collecting.tcp(family).await), udp(collecting.udp(family))];
        for destination in destinations {
            let mut process = exporter(destination);
            (0..50).for_each(|number| process.push(number));
            process.flush(1_700_000_000).await.unwrap();
            assert_eq!(collecting.numbers(50).await, (0..50).collect::<Vec<_>>());
            assert_eq!(process.counters().records, 50);
            process.close().await.unwrap();
            assert!(process.abandon().is_empty());
        }
    }
    let counters = collecting.process.counters();
    assert_eq!((counters.opened, counters.sessions.records), (4, 200));
    assert_eq!((counters.sessions.templates, counters.sessions.lost_records), (4, 0));
}

#[tokio::test]
async fn an_ipv4_peer_of_a_socket_for_both_families_has_an_ipv4_address() {
    let mut collecting = Collecting::new(Limits::default());
    let port = collecting.tcp("[::]:0").await.port();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let peer = collecting.opened().await;
    assert_eq!(peer.address, stream.local_addr().unwrap());
    assert_eq!(peer.protocol, Protocol::Tcp);
    let port = collecting.udp("[::]:0").port();
    let socket = send_udp(SocketAddr::from(([127, 0, 0, 1], port)), &[1]).await;
    let peer = collecting.opened().await;
    assert_eq!(peer.address, socket.local_addr().unwrap());
    assert_eq!(peer.protocol, Protocol::Udp);
}

#[tokio::test]
async fn a_malformed_message_ends_its_connection_alone() {
    let mut collecting = Collecting::new(Limits::default());
    let address = collecting.tcp("127.0.0.1:0").await;
    let mut honest = send_tcp(address, &[1]).await;
    assert_eq!(collecting.numbers(1).await, [1]);

    // A Set that is longer than its message.
    let mut liar = send_tcp(address, &[2]).await;
    assert_eq!(collecting.numbers(1).await, [2]);
    let mut message = messages(&[3]).remove(1);
    message[19] += 1;
    liar.write_all(&message).await.unwrap();
    assert_eq!(collecting.ended().await, "message is malformed");
    assert_eq!(liar.read(&mut [0; 16]).await.unwrap_or(0), 0, "the connection is closed");

    let mut browser = TcpStream::connect(address).await.unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(collecting.ended().await, "peer sent something that is not a message");

    honest.write_all(&messages(&[4])[1]).await.unwrap();
    assert_eq!(collecting.numbers(1).await, [4]);
    let counters = collecting.process.counters();
    assert_eq!((counters.ended_malformed, counters.sessions.malformed), (2, 2));
    let open = collecting.process.sessions();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].0.address, honest.local_addr().unwrap());
    assert_eq!(open[0].1.records, 2);
}

#[tokio::test]
async fn a_malformed_datagram_is_dropped_and_its_session_goes_on() {
    let mut collecting = Collecting::new(Limits::default());
    let address = collecting.udp("127.0.0.1:0");
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"hello?", address).await.unwrap();
    assert_eq!(collecting.refused().await, "datagram is not a message");

    let socket = send_udp(address, &[1]).await;
    assert_eq!(collecting.numbers(1).await, [1]);
    let mut message = messages(&[3]).remove(1);
    message[19] += 1;
    for bad in [&message[..], b"hello?", &[]] {
        socket.send_to(bad, address).await.unwrap();
    }
    socket.send_to(&messages(&[4])[1], address).await.unwrap();
    assert_eq!(collecting.numbers(1).await, [4]);
    let counters = collecting.process.counters();
    assert_eq!((counters.opened, counters.refused_datagrams), (1, 1));
    assert_eq!(counters.sessions.malformed, 3);
}

#[tokio::test]
async fn templates_of_one_udp_peer_do_not_decode_anothers_records() {
    let mut collecting = Collecting::new(Limits::default());
    let address = collecting.udp("127.0.0.1:0");
    let _first = send_udp(address, &[1]).await;
    assert_eq!(collecting.numbers(1).await, [1]);
    let second = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    second.send_to(&messages(&[2])[1], address).await.unwrap();
    for message in messages(&[3]) {
        second.send_to(&message, address).await.unwrap();
    }
    assert_ne!(collecting.numbers(1).await, [1]);
    assert_eq!(collecting.process.counters().opened, 2);
}

#[tokio::test]
async fn sessions_beyond_the_limit_are_refused_until_one_ends() {
    let mut collecting = Collecting::new(Limits { sessions: 2, ..Limits::default() });
    let tcp = collecting.tcp("127.0.0.1:0").await;
    let udp = collecting.udp("127.0.0.1:0");
    let first = send_tcp(tcp, &[1]).await;
    let _second = send_udp(udp, &[2]).await;
    collecting.numbers(2).await;
    let mut third = TcpStream::connect(tcp).await.unwrap();
    assert_eq!(collecting.refused().await, "2 sessions are open already");
    assert_eq!(third.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let fourth = send_udp(udp, &[]).await;
    assert_eq!(collecting.refused().await, "2 sessions are open already");

    drop(first);
    assert_eq!(collecting.ended().await, "closed by the exporter");
    for message in messages(&[4]) {
        fourth.send_to(&message, udp).await.unwrap();
    }
    assert_eq!(collecting.numbers(1).await, [4]);
    assert_eq!(collecting.process.counters().refused_too_many, 2);
}

#[tokio::test]
async fn made_up_addresses_do_not_keep_peers_with_records_out() {
    let mut collecting = Collecting::new(Limits { sessions: 3, ..Limits::default() });
    let udp = collecting.udp("127.0.0.1:0");
    let peer = send_udp(udp, &[1]).await;
    assert_eq!(collecting.numbers(1).await, [1]);
    // Templates, and nothing of them.
    for _ in 0..5 {
        send_udp(udp, &[]).await;
    }
    for _ in 0..3 {
        let end = collecting.ended().await;
        assert_eq!(end, "no record of it came, and there was no room for others");
    }
    let _second = send_udp(udp, &[2]).await;
    assert_eq!(collecting.numbers(1).await, [2]);
    // The first is still known: what follows needs its template.
    peer.send_to(&messages(&[3])[1], udp).await.unwrap();
    assert_eq!(collecting.numbers(1).await, [3]);
    let counters = collecting.process.counters();
    assert_eq!((counters.ended_crowded, counters.refused_too_many), (4, 0));
}

#[tokio::test]
async fn silent_sessions_are_ended() {
    let idle = Duration::from_millis(50);
    let mut collecting = Collecting::new(Limits { idle, idle_udp: idle, ..Limits::default() });
    let mut stream = TcpStream::connect(collecting.tcp("127.0.0.1:0").await).await.unwrap();
    // Part of a message is no sign of life.
    stream.write_all(&messages(&[])[0][..7]).await.unwrap();
    assert_eq!(collecting.ended().await, "nothing came for too long");
    let _socket = send_udp(collecting.udp("127.0.0.1:0"), &[1]).await;
    assert_eq!(collecting.ended().await, "nothing came for too long");
    assert_eq!(collecting.process.counters().ended_idle, 2);
    assert!(collecting.process.sessions().is_empty());
}

#[tokio::test]
async fn messages_longer_than_allowed_are_not_taken() {
    let long = messages(&[])[0].len();
    let limits = Limits { message: u16::try_from(long - 1).unwrap(), ..Limits::default() };
    let mut collecting = Collecting::new(limits);
    let _stream = send_tcp(collecting.tcp("127.0.0.1:0").await, &[1]).await;
    let too_long = format!("message of {long} bytes is longer than allowed");
    assert_eq!(collecting.ended().await, too_long);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = collecting.udp("127.0.0.1:0");
    socket.send_to(&messages(&[])[0], address).await.unwrap();
    let too_long = format!("datagram of {long} bytes is longer than allowed");
    assert_eq!(collecting.refused().await, too_long);
}

#[tokio::test]
async fn code_that_panics_ends_one_session() {
    let mut collecting = Collecting::new(Limits::default());
    let (tcp, udp) = (collecting.tcp("127.0.0.1:0").await, collecting.udp("127.0.0.1:0"));
    let mut stream = send_tcp(tcp, &[PANIC]).await;
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let socket = send_udp(udp, &[PANIC]).await;
    for message in messages(&[5]) {
        socket.send_to(&message, udp).await.unwrap();
    }
    assert_eq!(collecting.numbers(1).await, [5], "in a session of its own");
    let _stream = send_tcp(tcp, &[6]).await;
    assert_eq!(collecting.numbers(1).await, [6]);
    assert_eq!(collecting.process.counters().ended_panicked, 2);
}

#[tokio::test]
async fn a_caller_that_waits_does_not_keep_the_process_from_ending() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let mut collecting = Collecting::new(limits);
    let _stream = send_tcp(collecting.tcp("127.0.0.1:0").await, &[WAIT]).await;
    let _socket = send_udp(collecting.udp("127.0.0.1:0"), &[WAIT]).await;
    assert_eq!(collecting.numbers(2).await, [WAIT, WAIT]);
    collecting.shutdown.send_replace(true);
    for _ in 0..2 {
        assert!(collecting.ended().await.ends_with("no time left to read it to its end"));
    }
    assert_eq!(collecting.process.counters().ended_cut_off, 2);
}

#[tokio::test]
async fn a_session_nobody_wants_ends() {
    let mut collecting = Collecting::new(Limits::default());
    let _stream = send_tcp(collecting.tcp("127.0.0.1:0").await, &[ENOUGH]).await;
    assert_eq!(collecting.ended().await, "session is not wanted any more");
    let _socket = send_udp(collecting.udp("127.0.0.1:0"), &[ENOUGH]).await;
    assert_eq!(collecting.ended().await, "session is not wanted any more");
    assert_eq!(collecting.process.counters().ended_unwanted, 2);
}

#[tokio::test]
async fn what_was_sent_before_shutdown_is_read() {
    let numbers: Vec<u64> = (0..500).collect();
    let collecting = Collecting::new(Limits::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = ipfix::transport::bind_udp("127.0.0.1:0".parse().unwrap(), 4 << 20).unwrap();
    let _sockets = (
        send_tcp(listener.local_addr().unwrap(), &numbers).await,
        send_udp(socket.local_addr().unwrap(), &numbers).await,
    );
    let shutdown = collecting.shutdown.subscribe();
    let (process, stop) = (collecting.process.clone(), shutdown.clone());
    let streams = tokio::spawn(async move { process.tcp(listener, stop).await });
    while collecting.process.sessions().is_empty() {
        tokio::task::yield_now().await;
    }
    collecting.shutdown.send_replace(true);
    streams.await.unwrap();
    collecting.process.udp(socket, shutdown).await;
    let counters = collecting.process.counters();
    assert_eq!(counters.sessions.records, 1000);
    assert_eq!(counters.ended_shutdown, 2);
}

#[tokio::test]
async fn hundreds_of_sessions_are_served_at_once() {
    const SESSIONS: u64 = 400;
    let mut collecting = Collecting::new(Limits::default());
    let (tcp, udp) = (collecting.tcp("127.0.0.1:0").await, collecting.udp("127.0.0.1:0"));
    let mut open = Vec::new();
    for number in 0..SESSIONS / 2 {
        open.push((send_tcp(tcp, &[2 * number]).await, send_udp(udp, &[2 * number + 1]).await));
    }
    let count = usize::try_from(SESSIONS).unwrap();
    let mut numbers = collecting.numbers(count).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..SESSIONS).collect::<Vec<_>>());
    assert_eq!(collecting.process.sessions().len(), count);
}
