//! Both ends of gRPC on threads of their own, over loopback.

use std::{net::SocketAddr, sync::Arc, thread, time::Duration};

use benches::cpu_time;
use flow::FlowRecord;
use grpc::{
    Batch, Requests,
    collect::Connection,
    export::{Export, ExportingProcess},
};
use ipfix::transport::{Destination, Transport};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use crate::{HEAD, TOGETHER};

/// Time on the CPU of either end.
pub(crate) struct Round {
    pub(crate) client: Duration,
    pub(crate) server: Duration,
}

/// What the exporter sends.
struct Flows;

impl Export for Flows {
    type Record = Arc<FlowRecord>;

    fn encode(&self, record: &Arc<FlowRecord>, now_ns: u64, domain: u32, out: &mut Vec<u8>) {
        grpc::encode(record, &grpc::Head { export_time_ns: now_ns, domain, ..HEAD }, out);
    }
}

/// Sends all records once, so many at a time.
pub(crate) fn round(records: &[FlowRecord]) -> Round {
    let records: Vec<_> = records.iter().cloned().map(Arc::new).collect();
    let expected = records.len();
    let (tell, address) = oneshot::channel();
    let server = thread::spawn(move || {
        let begun = cpu_time();
        let read = runtime().block_on(serve(tell));
        assert_eq!(read, expected);
        cpu_time().saturating_sub(begun)
    });
    let address = address.blocking_recv().expect("it listens");
    let client = thread::spawn(move || {
        let begun = cpu_time();
        runtime().block_on(send(&records, address));
        cpu_time().saturating_sub(begun)
    });
    Round { client: client.join().expect("no panic"), server: server.join().expect("no panic") }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn send(records: &[Arc<FlowRecord>], to: SocketAddr) {
    let destination = Destination::new(to.to_string(), Transport::Tcp);
    let mut process = ExportingProcess::new(destination, HEAD.domain, Flows);
    for records in records.chunks(TOGETHER) {
        for record in records {
            process.push(Arc::clone(record));
        }
        process.flush(HEAD.export_time_ns).await.expect("it is taken");
    }
    process.close().await.expect("all is taken");
}

/// Reads one stream to its end, and returns how many records came.
async fn serve(tell: oneshot::Sender<SocketAddr>) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    tell.send(listener.local_addr().expect("it has one")).expect("somebody asks");
    let (socket, _) = listener.accept().await.expect("it connects");
    let mut connection = Connection::handshake(socket).await.expect("it speaks HTTP/2");
    let mut stream = connection.accept().await.expect("a stream").expect("a sound one");
    let reading = tokio::spawn(async move {
        let (mut requests, mut read) = (Requests::default(), 0);
        while let Some(bytes) = stream.data().await.expect("it goes on") {
            requests.push(&bytes);
            loop {
                let mut batch = Batch::default();
                requests.take(&mut batch).expect("it is sound");
                read += batch.records.len();
                if batch.records.is_empty() {
                    break;
                }
            }
            stream.taken(bytes.len());
        }
        stream.finish().expect("it listens");
        read
    });
    while connection.accept().await.is_some() {}
    reading.await.expect("no panic")
}
