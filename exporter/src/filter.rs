//! Which connections are recorded at all.

/// A set of IP protocols, as Antrea's `protocolFilter` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolFilter {
    /// One bit for each number of a protocol.
    allowed: [u64; 4],
}

impl ProtocolFilter {
    /// Whatever the kernel tracks, ICMP and GRE included.
    pub const ALL: Self = Self { allowed: [u64::MAX; 4] };

    pub fn only(protocols: &[u8]) -> Self {
        let mut allowed = [0; 4];
        for &protocol in protocols {
            allowed[usize::from(protocol / 64)] |= 1 << (protocol % 64);
        }
        Self { allowed }
    }

    pub const fn allows(&self, protocol: u8) -> bool {
        self.allowed[(protocol / 64) as usize] >> (protocol % 64) & 1 == 1
    }

    /// Whatever either allows.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut allowed = self.allowed;
        allowed.iter_mut().zip(other.allowed).for_each(|(mine, others)| *mine |= others);
        Self { allowed }
    }

    /// What this allows and the other does not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut allowed = self.allowed;
        allowed.iter_mut().zip(other.allowed).for_each(|(mine, others)| *mine &= !others);
        Self { allowed }
    }

    pub fn is_empty(&self) -> bool {
        self.allowed == [0; 4]
    }
}

impl Default for ProtocolFilter {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_allows_what_it_names() {
        let chosen = [0, 6, 63, 64, 132, 255];
        let filter = ProtocolFilter::only(&chosen);
        for protocol in 0..=255 {
            assert_eq!(filter.allows(protocol), chosen.contains(&protocol), "{protocol}");
            assert!(ProtocolFilter::ALL.allows(protocol));
            assert!(!ProtocolFilter::only(&[]).allows(protocol));
            let alone = ProtocolFilter::only(&[protocol]);
            let either = ProtocolFilter::only(&[1]).or(&alone);
            assert_eq!(either, ProtocolFilter::only(&[protocol, 1]));
            let is_in = chosen.contains(&protocol);
            assert_eq!(alone.without(&filter).is_empty(), is_in, "{protocol}");
            assert!(!filter.without(&alone).allows(protocol), "{protocol}");
            assert_eq!(filter.without(&alone) == filter, !is_in, "{protocol}");
        }
    }
}
