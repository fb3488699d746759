//! Flows over gRPC, as Antrea's Agents send them and its Flow Aggregator takes them.
//!
//! ```text
//! FlowRecord ─▶ encode ─▶ export: one stream for as long as it lasts        (exporter)
//! FlowRecord ◀─ decode ◀─ requests ◀─ collect: connections and their streams (aggregator)
//! FlowRecord ─▶ encode ─▶ stream: whoever asks, for as long as it asks    (aggregator)
//! ```
//!
//! Records are written and read by the field table of `flow`, without a tree of messages between;
//! [`v1alpha1`] has that tree, made from the `.proto` file. HTTP/2 is the crate `h2`; what gRPC adds
//! to it is little, and with flow control in our own hands a message costs neither side more than
//! a flow of it: docs/decisions/0021-grpc.md.
mod wire; // protocol buffers: keys, varints, lengths
mod labels; // of a Pod, as text and as a message
mod layout; // which attribute is where in a `Flow`
mod encode; // a record as a `Flow`
mod decode; // a `Flow` as a record
mod status; // how a stream ended
pub mod export; // flows leave
mod requests; // bytes of a stream as records
pub mod collect; // flows arrive
pub mod stream; // flows are asked for, and leave as they come
#[rustfmt::skip]
#[allow(clippy::pedantic, reason = "generated")]
pub mod v1alpha1; // the messages as Rust

pub use encode::{Head, encode};
pub use requests::{Batch, Counted, FLOW_LIMIT, Malformed, Requests};
pub use status::Status;

/// Antrea's port of the `FlowExportService`.
pub const PORT: u16 = 14739;

/// The methods that are spoken here.
const EXPORT: &str = "/antrea_io.antrea.pkg.apis.flow.v1alpha1.FlowExportService/Export";
const GET_FLOWS: &str = "/antrea_io.antrea.pkg.apis.flow.v1alpha1.FlowStreamService/GetFlows";
const CONTENT_TYPE: &str = "application/grpc";
/// How HTTP/2 is called in a TLS handshake.
const ALPN: &[u8] = b"h2";
/// What precedes each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests;
