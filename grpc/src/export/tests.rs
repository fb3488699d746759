//! Servers that do not want what they are sent, each played by HTTP/2's own library.
mod answers; // what they may say

use flow::{FlowKey, FlowRecord};
use http::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::{Batch, Head, Requests, Status, encode};

struct Flows;

impl Export for Flows {
    type Record = FlowRecord;

    fn encode(&self, record: &FlowRecord, export_time_ns: u64, domain: u32, out: &mut Vec<u8>) {
        encode(record, &Head { export_time_ns, domain, with_ids: false }, out);
    }
}

/// What a server does with one stream.
#[derive(Debug, Clone, Copy)]
enum Play {
    /// Answers at once, with an HTTP status and one of gRPC.
    Refuse(u16, u8),
    /// Reads something, and then says that it cannot go on.
    Fail(u8),
    /// Reads everything.
    Take,
}

/// Plays one stream per connection. Returns the source ports of what it has read of each.
async fn serve(listener: TcpListener, plays: &'static [Play]) -> Vec<Vec<u16>> {
    let mut read = Vec::new();
    for &play in plays {
        let (stream, _) = listener.accept().await.unwrap();
        read.push(serve_one(stream, play).await);
    }
    read
}

async fn serve_one(stream: TcpStream, play: Play) -> Vec<u16> {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let answer = |http: u16, code: u8| {
        let mut response = Response::new(());
        *response.status_mut() = http.try_into().unwrap();
        if http == 200 {
            Status::new(code, "not here").write(response.headers_mut());
        }
        response
    };
    let reading = tokio::spawn(async move {
        let mut body = request.into_body();
        let (mut requests, mut ports) = (Requests::default(), Vec::new());
        if let Play::Refuse(http, code) = play {
            respond.send_response(answer(http, code), true).unwrap();
            return ports;
        }
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
            requests.push(&data);
            let mut batch = Batch::default();
            requests.take(&mut batch).unwrap();
            ports.extend(batch.records.iter().map(|record| record.key.source_port));
            if let Play::Fail(code) = play {
                respond.send_response(answer(200, code), true).unwrap();
                return ports;
            }
        }
        respond.send_response(answer(200, Status::OK), true).unwrap();
        ports
    });
    // Until the exporter hangs up.
    while let Some(Ok(_)) = connection.accept().await {}
    reading.await.unwrap()
}

async fn exporting(plays: &'static [Play]) -> (ExportingProcess<Flows>, JoinHandle<Vec<Vec<u16>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(serve(listener, plays));
    let mut exporting = ExportingProcess::new(Destination::new(address, Transport::Tcp), 7, Flows);
    for source_port in 0..RECORDS {
        let key = FlowKey { source_port, ..FlowKey::default() };
        exporting.push(FlowRecord { key, ..FlowRecord::default() });
    }
    (exporting, serving)
}

/// Several messages of them.
const RECORDS: u16 = 5000;

#[tokio::test]
async fn what_a_server_refuses_as_such_is_neither_lost_nor_taken_for_sent() {
    const PLAYS: &[Play] = &[
        Play::Refuse(200, Status::UNIMPLEMENTED),
        Play::Refuse(200, Status::UNAUTHENTICATED),
        Play::Refuse(200, Status::PERMISSION_DENIED),
        Play::Refuse(404, 0),
        Play::Take,
    ];
    let (mut exporting, serving) = exporting(PLAYS).await;
    let mut told = Vec::new();
    for attempt in 1..PLAYS.len() as u64 {
        told.push(exporting.flush(0).await.unwrap_err().to_string());
        assert_eq!(exporting.pending(), usize::from(RECORDS));
        let expected =
            ExportCounters { sessions: attempt, sessions_lost: attempt, ..Default::default() };
        assert_eq!((exporting.counters(), exporting.is_open()), (expected, false));
        // Later and later, since none of them has taken anything.
        assert_eq!(exporting.next_delay(1.0), FIRST_DELAY * (1 << (attempt - 1)));
    }
    assert!(told[0].contains("UNIMPLEMENTED: not here"), "{told:?}");
    assert!(told[3].contains("404"), "{told:?}");

    exporting.flush(0).await.unwrap();
    assert_eq!(exporting.next_delay(1.0), FIRST_DELAY, "that one takes them");
    exporting.close().await.unwrap();
    let counters = exporting.counters();
    assert_eq!((counters.records, exporting.pending()), (RECORDS.into(), 0));
    let read = serving.await.unwrap();
    assert!(read[..4].iter().all(Vec::is_empty));
    assert_eq!(read[4], (0..RECORDS).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_server_may_have_read_is_never_sent_again() {
    const PLAYS: &[Play] = &[Play::Fail(Status::UNAVAILABLE), Play::Take];
    let (mut exporting, serving) = exporting(PLAYS).await;
    let error = exporting.flush(0).await.unwrap_err().to_string();
    assert!(error.contains("UNAVAILABLE"), "{error}");
    let counters = exporting.counters();
    assert_eq!((counters.messages, counters.sessions_lost), (1, 1));
    assert_eq!(counters.records, u64::from(RECORDS) - exporting.pending() as u64);
    exporting.flush(0).await.unwrap();
    exporting.close().await.unwrap();
    assert_eq!(exporting.counters().records, u64::from(RECORDS));
    let read = serving.await.unwrap();
    // Of the first message it may have read a part; of all others everything, once.
    let first = u16::try_from(counters.records).unwrap();
    assert!(read[0].iter().all(|port| *port < first));
    assert_eq!(read[1], (first..RECORDS).collect::<Vec<_>>());
}
