//! What a Node calls itself on the wire.

/// Antrea's Observation Domain of a Node: FNV-1 over its name, 32 bits.
pub fn observation_domain(node: &str) -> u32 {
    let offset = 2_166_136_261_u32;
    node.bytes().fold(offset, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observation_domains_are_antreas() {
        for (node, domain) in [
            ("test-node", 912_985_946),
            ("node1", 3_957_252_814),
            ("kind-worker", 801_257_890),
            ("k8s-node-control-plane", 2_432_262_065),
        ] {
            assert_eq!(observation_domain(node), domain, "{node}");
        }
    }
}
