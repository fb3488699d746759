//! Flows over IPFIX, to whoever collects it.
mod options; // how
mod flows; // records as Data Records
mod sink; // those over a connection

pub use options::{Directions, Options, Profile, observation_domain};
pub use sink::IpfixSink;
