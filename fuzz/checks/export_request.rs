//! What must hold of any bytes that are to be a stream of `ExportRequest`s.

use flow::FlowRecord;
use grpc::v1alpha1::ExportRequest;
use grpc::{Batch, Malformed, Requests};
use prost::Message;

/// The bytes as one message, and as a stream of them, in whatever pieces they come.
pub(crate) fn export_request(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    let piece = 1 + usize::from(first);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let framed = [&[0], &length[..], bytes].concat();
    let (records, whole) = read(&framed, usize::MAX);
    assert_eq!(read(&framed, piece), (records.clone(), whole));
    assert!(records.len() * flow::Plan::SHORTEST_FLOW <= bytes.len());
    // What others can read we can, and find no more flows in it. Groups, which proto3 no longer
    // has and others pass over, we refuse.
    let is_group = whole == Err(Malformed::WireType(3));
    if let (Ok(request), false) = (ExportRequest::decode(bytes), is_group) {
        assert_eq!(whole, Ok(()));
        assert!(records.len() <= request.flows.len());
    }
    assert_eq!(read(bytes, piece), read(bytes, usize::MAX));
}

/// What is read until the end, or until it cannot be read any more.
fn read(bytes: &[u8], piece: usize) -> (Vec<FlowRecord>, Result<(), Malformed>) {
    let (mut requests, mut records) = (Requests::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        requests.push(piece);
        loop {
            let mut batch = Batch::default();
            let taken = requests.take(&mut batch);
            let is_empty = batch.records.is_empty();
            records.append(&mut batch.records);
            if taken.is_err() {
                return (records, taken);
            }
            if is_empty {
                break;
            }
        }
    }
    let ended = requests.end();
    (records, ended)
}
