//! A scenario written for IPv4, over IPv6, and over both at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_yaml::Value;

/// Which addresses a scenario is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    AsWritten,
    /// With every IPv4 address replaced by an IPv6 address of its own.
    V6,
    /// Every object of the cluster has addresses of both families, and everything happens in
    /// both.
    Both,
}

/// proxyAll's virtual address, in both families.
const VIRTUAL: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(169, 254, 0, 252), Ipv6Addr::new(0xfc01, 0, 0, 0, 0, 0, 0, 2));

pub(super) fn turn(scenario: &mut Value, families: Families) -> Result<()> {
    match families {
        Families::AsWritten => {}
        Families::V6 => *scenario = over_v6(scenario),
        Families::Both => {
            let turned = over_v6(scenario);
            for part in ["cluster", "egresses"] {
                if let (Some(value), Some(turned)) = (scenario.get_mut(part), turned.get(part)) {
                    join_addresses(value, turned);
                }
            }
            for part in ["connections", "denied", "expect"] {
                let Some(more) = turned.get(part).and_then(Value::as_sequence) else { continue };
                let first = scenario[part].as_sequence_mut().context("a list")?;
                first.extend_from_slice(more);
            }
        }
    }
    Ok(())
}

/// Puts the addresses of `turned` behind those of `value`, list by list.
fn join_addresses(value: &mut Value, turned: &Value) {
    match (value, turned) {
        (Value::Mapping(ours), Value::Mapping(theirs)) => {
            for (key, value) in ours.iter_mut() {
                if let Some(turned) = theirs.get(key) {
                    join_addresses(value, turned);
                }
            }
        }
        (Value::Sequence(ours), Value::Sequence(theirs)) => {
            if ours.iter().all(Value::is_string) {
                let new: Vec<_> = theirs.iter().filter(|it| !ours.contains(it)).cloned().collect();
                ours.extend(new);
                return;
            }
            for (value, turned) in ours.iter_mut().zip(theirs) {
                join_addresses(value, turned);
            }
        }
        _ => {}
    }
}

fn over_v6(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(turned(text).unwrap_or_else(|| text.clone())),
        Value::Sequence(items) => items.iter().map(over_v6).collect(),
        Value::Mapping(pairs) => {
            Value::Mapping(pairs.iter().map(|(key, value)| (key.clone(), over_v6(value))).collect())
        }
        other => other.clone(),
    }
}

/// An address, with a port or a length of prefix, over IPv6; `None` if it is none.
fn turned(text: &str) -> Option<String> {
    if let Ok(address) = text.parse() {
        return Some(v6(address).to_string());
    }
    if let Some((network, length)) = text.split_once('/')
        && let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u8>())
    {
        let more = if network.is_ipv4() { 96 } else { 0 };
        return Some(format!("{}/{}", v6(network), length + more));
    }
    let at = text.parse::<SocketAddr>().ok()?;
    Some(SocketAddr::new(v6(at.ip()), at.port()).to_string())
}

/// What is IPv6 already becomes another address too, so that both can be there at once.
fn v6(address: IpAddr) -> IpAddr {
    let segments = match address {
        IpAddr::V4(address) if address == VIRTUAL.0 => return VIRTUAL.1.into(),
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0xfd00, 0x46, 0, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
        }
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[0] ^= 0x46;
            segments
        }
    };
    Ipv6Addr::from(segments).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_turn_and_all_else_stays() {
        for (text, expected) in [
            ("10.10.0.2", Some("fd00:46::a0a:2")),
            ("10.10.0.2:80", Some("[fd00:46::a0a:2]:80")),
            ("10.10.0.0/24", Some("fd00:46::a0a:0/120")),
            ("169.254.0.252:1", Some("[fc01::2]:1")),
            ("fd00::1", Some("fd46::1")),
            ("shop/db", None),
            ("node-a", None),
        ] {
            assert_eq!(turned(text).as_deref(), expected, "{text}");
        }
    }
}
