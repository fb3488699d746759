//! One id for all records of a flow.
//!
//! It is a function of the connection alone (who reported it, under which id, since when, and the
//! flow key), so that an aggregator that was restarted gives a surviving flow the id it had. The
//! hash is written out here because it is stored: a library's may change with its version.

use std::net::IpAddr;

use flow::FlowKey;

use super::half::Half;

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The id of the flow that `half` tells of. Never 0, which means "no id".
pub(super) fn flow_id(key: &FlowKey, half: &Half) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.add(&half.domain().to_be_bytes());
    hash.add(&half.flow_id.to_be_bytes());
    hash.add(&half.start_ms.to_be_bytes());
    for address in [key.source, key.destination] {
        match address {
            IpAddr::V4(address) => hash.add(&address.octets()),
            IpAddr::V6(address) => hash.add(&address.octets()),
        }
    }
    hash.add(&key.source_port.to_be_bytes());
    hash.add(&key.destination_port.to_be_bytes());
    hash.add(&key.icmp_type_code.to_be_bytes());
    hash.add(&[key.protocol]);
    hash.0.max(1)
}
