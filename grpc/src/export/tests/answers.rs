//! What a server may say.

use http::{HeaderMap, HeaderValue, Response};
use ipfix::transport::{Destination, Transport};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::super::*;

/// Records of nothing, and what is told of them.
#[derive(Default)]
struct Nothing(Vec<(Refusal, u64)>);

impl Export for Nothing {
    type Record = ();

    fn encode(&self, (): &(), _: u64, _: u32, _: &mut Vec<u8>) {}

    fn refused_late(&mut self, why: Refusal, records: u64) {
        self.0.push((why, records));
    }
}

/// What becomes of a stream whose server ends it with a status of `length` bytes, in the headers
/// of its answer or behind it.
async fn ended_with(length: usize, at_once: bool) -> ExportError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut said = HeaderMap::new();
        said.insert("grpc-status", HeaderValue::from_static("7"));
        said.insert("grpc-message", HeaderValue::try_from("x".repeat(length)).unwrap());
        let mut response = Response::new(());
        if at_once {
            *response.headers_mut() = said;
            respond.send_response(response, true).unwrap();
        } else {
            let mut stream = respond.send_response(response, false).unwrap();
            stream.send_trailers(said).unwrap();
        }
        // Nobody asks for more; this moves what was said.
        while connection.accept().await.is_some() {}
    });
    let mut exporting =
        ExportingProcess::new(Destination::new(address, Transport::Tcp), 7, Nothing::default());
    exporting.open().await.unwrap();
    let ended = exporting.closed().await;
    drop(exporting);
    server.await.unwrap();
    ended
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    for at_once in [true, false] {
        let ended = ended_with(8_000, at_once).await;
        assert!(matches!(&ended, ExportError::Status(status) if status.code == 7), "{ended}");
        let ended = ended_with(100_000, at_once).await;
        assert!(matches!(ended, ExportError::Http2(_)), "{ended}");
    }
}

#[tokio::test]
async fn what_is_refused_after_the_trial_is_told_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (refuse, asked) = oneshot::channel();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        tokio::spawn(async move {
            asked.await.unwrap();
            let response = Response::builder().header("grpc-status", 16).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        });
        while connection.accept().await.is_some() {}
    });
    let mut exporting =
        ExportingProcess::new(Destination::new(address, Transport::Tcp), 7, Nothing::default());
    for records in [2, 1] {
        (0..records).for_each(|_| exporting.push(()));
        exporting.flush(0).await.unwrap();
    }
    assert_eq!((exporting.counters().records, exporting.pending()), (3, 0));
    refuse.send(()).unwrap();
    let ended = exporting.closed().await;
    assert_eq!(ended.refusal(), Some(Refusal::Unauthenticated), "{ended}");
    assert_eq!(exporting.export().0, [(Refusal::Unauthenticated, 3)]);
    drop(exporting);
    server.await.unwrap();
}
