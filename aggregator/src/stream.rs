//! Live flows, for whoever asks: Antrea's `FlowStreamService`.
//!
//! ```text
//! fan-out ─▶ Hub: the newest flows, and a queue for each call that follows
//!             │ history, then what comes
//! client ─▶ calls: may it? what does it want? ─▶ answers, as fast as it takes them
//! ```
//!
//! A client that does not keep up misses flows and is told how many; it holds up nobody.
mod hub; // the newest flows, and who follows
mod query; // what a client wants
mod selection; // one filter of it
mod labels; // of Pods, as filters want them
mod access; // who may ask
mod counts; // what became of the calls
mod serve; // connections
mod call; // one call

pub use access::Access;
pub use counts::Counts;
pub use hub::Hub;
pub use serve::{Server, serve};
