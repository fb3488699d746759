//! How messages are made.

use std::time::Duration;

use crate::{encode::Packing, transport::Destination};

/// How messages are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages {
    pub domain: u32,
    pub packing: Packing,
    /// The longest message.
    pub max_length: u16,
    /// When Templates are sent again; `None` for never.
    pub refresh: Option<Refresh>,
}

/// When Templates are sent again (RFC 7011, section 8.4): whatever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    pub after: Duration,
    pub after_messages: u32,
}

impl Messages {
    /// The longest message over UDP: what Antrea's collector has room for, and what every path
    /// there is to a Pod passes unfragmented.
    pub const MAX_UDP: u16 = 1024;

    /// Returns what any collector understands: one record per message, no datagram that is
    /// fragmented, and Templates that come soon to a collector that has just started.
    ///
    /// Over TCP and TLS Templates are not repeated: a collector may take that for an error
    /// (RFC 7011, section 8.1).
    pub fn conservative(domain: u32, destination: &Destination) -> Self {
        let refresh = Refresh { after: Duration::from_mins(1), after_messages: 1000 };
        let udp = destination.is_udp();
        Self {
            domain,
            packing: Packing::OneRecord,
            max_length: if udp { Self::MAX_UDP } else { u16::MAX },
            refresh: udp.then_some(refresh),
        }
    }
}
