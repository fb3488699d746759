//! Conntrack to IPFIX, on one Node.
//!
//! conntrack ─▶ meter ─▶ enrich ─▶ export
//!
//! The stages are the Observation Point, Metering Process and Exporting Process of RFC 7011.
pub mod settings; // how it is configured
pub mod zones; // which part of conntrack is read
pub mod filter; // which connections are recorded at all
pub mod verdict; // what policies decided about a connection
pub mod destination; // where records go, as somebody wants it
pub mod conntrack; // what the kernel knows
pub mod deny; // packets that policies let nowhere
pub mod clients; // who the clients from outside are
pub mod meter; // connections become due for export, once each thing
pub mod names; // who had an address and which rule an id means, from elsewhere
pub mod enrich; // addresses become Pods, Services and flow types
pub mod observe; // the loop that keeps up with the kernel
pub mod export; // records leave the Node
pub mod destinations; // what custom resources ask for, and the way there
pub mod metrics; // what is counted
pub mod doctor; // what keeps flows from arriving
mod senders; // the exporting processes there are
mod reload; // a configuration that changes
mod app; // ties them together
mod args; // the command line
mod launch; // what the command line asks for
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing; // what must hold of any bytes whatever
#[cfg(feature = "faults")]
mod faults; // mistakes made on purpose, to see the checks fail

pub use app::StartError;
pub use args::{Args, Given};
pub use launch::launch;
