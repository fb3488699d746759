//! What one Node's half of a flow is known by, and the id of the flow.
//!
//! Both are functions of the connection alone (who reported it, under which id, since when, and
//! the flow key), so that an aggregator that was restarted gives a surviving flow the id it had.
//! The hash is written out here because it is stored: a library's may change with its version.

use std::net::IpAddr;

use flow::{FlowKey, Side};

/// Identifies one Node's half of a flow. The flow that is told of it first takes it as its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HalfId(u64);

impl HalfId {
    /// The half that `side` was made of, in a flow with `key`.
    pub(super) fn of_side(key: &FlowKey, side: &Side) -> Self {
        Self::new(key, side.domain, side.flow_id, side.start_ms)
    }

    pub(super) fn new(key: &FlowKey, domain: u32, flow_id: u64, start_ms: u64) -> Self {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        hash.add(&domain.to_be_bytes());
        hash.add(&flow_id.to_be_bytes());
        hash.add(&start_ms.to_be_bytes());
        for address in [&key.source, &key.destination] {
            match address {
                IpAddr::V4(address) => hash.add(&address.octets()),
                IpAddr::V6(address) => hash.add(&address.octets()),
            }
        }
        hash.add(&key.source_port.to_be_bytes());
        hash.add(&key.destination_port.to_be_bytes());
        hash.add(&key.icmp_type_code.to_be_bytes());
        hash.add(&[key.protocol]);
        Self(hash.0)
    }

    /// As the id of a flow: never 0, which means "no id".
    pub(super) fn flow_id(self) -> u64 {
        self.0.max(1)
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
