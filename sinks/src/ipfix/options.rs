//! How flows are told over IPFIX.

use std::time::Duration;

use flow::Contents;

use crate::FarEnd;

/// How flows are told over IPFIX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub to: FarEnd,
    /// The Observation Domain ID of every message (RFC 7011, section 3.1); see
    /// [`observation_domain`].
    pub domain: u32,
    /// The longest message, in bytes. Without, as long as one can be over TCP and TLS, and over
    /// UDP as long as the way there carries in one packet.
    pub max_message: Option<u16>,
    /// How often templates are sent again over UDP.
    pub template_refresh: Duration,
    pub profile: Profile,
    pub contents: Contents,
    /// Antrea's `clusterId`: what the configuration calls this cluster, or its UUID.
    pub cluster_id: String,
}

/// Whose expectations records meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// What Antrea's Flow Aggregator sends, element by element.
    #[default]
    Antrea,
    /// For collectors of others that can be told of enterprise elements: those come last, and
    /// times are in milliseconds too.
    Standard(Directions),
    /// For collectors that know IANA's elements alone. What comes back is a record of its own,
    /// since reverse elements are of an enterprise too.
    Iana,
}

/// How both directions of a flow are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Directions {
    /// In one record (RFC 5103).
    #[default]
    Biflow,
    /// In two, the second with source and destination exchanged, if anything came back.
    Uniflow,
}

/// Antrea's Observation Domain of a cluster: FNV-1 over the 16 bytes of its UUID, 32 bits.
pub fn observation_domain(cluster: [u8; 16]) -> u32 {
    let offset = 2_166_136_261_u32;
    cluster.iter().fold(offset, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are a program's in another language, after FNV's description.
    #[test]
    fn the_domain_of_a_cluster_is_fnv_1_of_its_uuid() {
        assert_eq!(observation_domain([0; 16]), 1_768_495_365);
        let uuid = 0x123e_4567_e89b_12d3_a456_4266_1417_4000_u128.to_be_bytes();
        assert_eq!(observation_domain(uuid), 528_865_862);
    }
}
