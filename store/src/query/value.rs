//! What a column holds, and what is computed from it.

use std::cmp::Ordering;
use std::net::IpAddr;

use flow::Name;

/// One value of a row, a group's key, or an aggregate.
///
/// Its order is total; numbers that are not integers appear only where all values of a column
/// are such, and none of them is NaN.
#[derive(Debug, Clone)]
pub enum Value {
    /// An absent address, or the smallest or largest of nothing.
    None,
    /// Numbers, times, ports.
    Number(u64),
    /// A rate.
    Real(f64),
    /// Canonical: an IPv4-mapped address is an IPv4 address. See [`Value::address`].
    Address(IpAddr),
    Text(Name),
}

impl Value {
    /// The value of an address: zero is none, IPv4-mapped addresses are IPv4.
    pub fn address(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(address) if !address.is_unspecified() => Self::Address(address),
            _ => Self::None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Number(_) => 1,
            Self::Real(_) => 2,
            Self::Address(_) => 3,
            Self::Text(_) => 4,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Real(one), Self::Real(other)) => one.total_cmp(other),
            (Self::Address(one), Self::Address(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.as_str().cmp(other.as_str()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::address(Some(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Value {
        Value::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_mapped_address_is_the_address_and_zero_is_none() {
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        for zero in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert_eq!(address(zero), Value::None, "{zero}");
        }
    }

    #[test]
    fn values_have_one_order() {
        let ordered = [
            Value::None,
            Value::from(9),
            Value::from(10),
            Value::Real(0.5),
            Value::Real(1.5),
            address("9.0.0.0"),
            address("10.0.0.0"),
            address("::1"),
            Value::from(""),
            Value::from("B"),
            Value::from("a"),
            Value::from("ab"),
        ];
        assert!(ordered.is_sorted_by(|one, other| one < other));
    }
}
