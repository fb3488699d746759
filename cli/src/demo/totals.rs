//! What is compared: packets and octets of one connection, in both directions.

use std::ops::AddAssign;

use serde::Serialize;

/// What one Node counted of one connection, over its whole life.
///
/// Octets include the IP header, as in the kernel's own accounting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub packets: u64,
    pub octets: u64,
    pub reverse_packets: u64,
    pub reverse_octets: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.reverse_packets += other.reverse_packets;
        self.reverse_octets += other.reverse_octets;
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut sum, totals| {
            sum += totals;
            sum
        })
    }
}
