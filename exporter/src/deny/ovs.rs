//! Denied packets from Open vSwitch, by watching what it tells the Antrea Agent.
//!
//! The switch sends a packet-in to every connection that takes the number of the controller a
//! flow names. So beside the Agent another connection sees the same packets, with the same
//! registers, without anybody noticing and without a flow of our own.
//!
//! Nothing here changes the switch: the messages in `request.rs` are all that can be sent.
mod request; // what can be sent
mod message; // what comes
mod inbox; // bytes become messages
mod packet_in; // one packet with what is known of it
mod fields; // registers and conntrack
mod frame; // what the packet is in
mod tables; // which table decides what
mod controllers; // whom flows tell
mod meaning; // a packet-in becomes a denied packet
mod session; // the conversation
mod run; // over a socket
mod counters; // what is counted
#[cfg(test)]
mod recorded; // what a switch has sent
#[cfg(test)]
mod hostile; // what none sends
#[cfg(any(test, feature = "fuzzing"))]
mod heard; // a conversation, as somebody overhears it

use std::path::PathBuf;

pub use counters::Counters;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use heard::{hear, read_frame};
pub use meaning::Passed;
pub use run::watch;

/// Whether a table of that name enforces policies.
pub fn is_policy_table(name: &str) -> bool {
    tables::Table::of(name.as_bytes()).is_some()
}

/// Where and how to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The bridge's management socket.
    pub socket: PathBuf,
    /// The controller to be beside; the one that flows name if `None`.
    pub controller: Option<u16>,
    /// Names of tables and their numbers, where the switch does not know them or is wrong.
    pub tables: Vec<(String, u8)>,
}

impl Options {
    /// The socket of a bridge where Open vSwitch, and the Agent's manifest, put it.
    pub fn of_bridge(bridge: &str) -> Self {
        let socket = format!("/var/run/openvswitch/{bridge}.mgmt").into();
        Self { socket, controller: None, tables: Vec::new() }
    }
}
