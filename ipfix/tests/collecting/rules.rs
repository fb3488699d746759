//! What exporters may do on each transport, and where what they did is counted.

use std::time::Duration;

use ipfix::{
    decode::{Rules, Waiting},
    transport::collect::Limits,
};
use tokio::{io::AsyncWriteExt as _, net::UdpSocket};

use super::{messages, send_tcp, send_udp, support::Collecting};

/// A message that says something else of the same Template.
fn redefinition() -> Vec<u8> {
    let mut message = messages(&[]).remove(0);
    // The length of the first field: eight octets become four.
    message[27] = 4;
    message
}

#[tokio::test]
async fn a_template_must_not_change_on_a_stream_and_may_over_udp() {
    let mut collecting = Collecting::new(Limits::default());
    let mut stream = send_tcp(collecting.tcp("127.0.0.1:0").await, &[1]).await;
    // To say the same again is no change.
    stream.write_all(&messages(&[])[0]).await.unwrap();
    stream.write_all(&redefinition()).await.unwrap();
    assert_eq!(collecting.ended().await, "message is malformed");
    let address = collecting.udp("127.0.0.1:0");
    let socket = send_udp(address, &[2]).await;
    socket.send_to(&redefinition(), address).await.unwrap();
    while collecting.process.counters().sessions.redefinitions == 0 {
        tokio::task::yield_now().await;
    }
    let counters = collecting.process.counters();
    assert_eq!((counters.ended_malformed, counters.sessions.malformed), (1, 1));
}

#[tokio::test]
async fn templates_expire_over_udp() {
    let datagrams = Rules {
        template_lifetime: Some(Duration::ZERO),
        waiting: Waiting::NOTHING,
        ..Rules::datagrams()
    };
    let collecting = Collecting::new(Limits { datagrams, ..Limits::default() });
    let address = collecting.udp("127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let session = messages(&[1, 2]);
    socket.send_to(&session[0], address).await.unwrap();
    while collecting.process.counters().sessions.templates == 0 {
        tokio::task::yield_now().await;
    }
    socket.send_to(&session[1], address).await.unwrap();
    while collecting.process.counters().sessions.sets_without_template == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(collecting.process.counters().sessions.templates_expired, 1);
}

#[tokio::test]
async fn datagrams_that_come_twice_or_before_their_template_count_once() {
    let mut collecting = Collecting::new(Limits::default());
    let address = collecting.udp("127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let session = messages(&[1, 2]);
    for index in [1, 0, 2, 2, 2] {
        socket.send_to(&session[index], address).await.unwrap();
    }
    assert_eq!(collecting.numbers(2).await, [1, 2]);
    while collecting.process.counters().sessions.duplicates < 2 {
        tokio::task::yield_now().await;
    }
    let told = collecting.process.counters().sessions;
    assert_eq!((told.messages, told.records, told.sets_waiting), (5, 1, 1));
    assert_eq!((told.sets_resumed, told.records_resumed, told.sets_given_up), (1, 1, 0));
}

#[tokio::test]
async fn what_a_peer_withdraws_and_what_is_reserved_is_counted() {
    let mut collecting = Collecting::new(Limits::default());
    let mut stream = send_tcp(collecting.tcp("127.0.0.1:0").await, &[1]).await;
    // Template 256 has no fields any more; Set 5 means nothing.
    let sets = [0, 2, 0, 8, 1, 0, 0, 0, 0, 5, 0, 4];
    let withdrawal = [&[0, 10, 0, 28][..], &[0; 11], &[7], &sets].concat();
    stream.write_all(&withdrawal).await.unwrap();
    stream.write_all(&messages(&[2])[1]).await.unwrap();
    drop(stream);
    collecting.ended().await;
    let told = collecting.process.counters().sessions;
    assert_eq!((told.templates, told.withdrawals, told.sets_reserved), (1, 1, 1));
    assert_eq!((told.records, told.sets_without_template), (1, 1));
}
