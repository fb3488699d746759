//! Which conntrack zones are read, and what for.

use std::fmt;
use std::str::FromStr;

/// The zone of the host's own stack: kube-proxy, `NodePorts`, CNIs without zones.
pub const HOST: u16 = 0;
/// Where Antrea tracks Pods' IPv4 and IPv6 traffic, and translates Services' addresses.
pub const ANTREA: [u16; 2] = [65520, 65510];
/// Bridging mode numbers its zones by type and VLAN: these types hold IPv4 and IPv6.
const BRIDGING: [u16; 2] = [1 << 12, 3 << 12];
/// VLANs have 12 bits.
const MAX_VLAN: u16 = 4095;

/// What a user asks for: zones by number, or by what Antrea uses them for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Antrea's zones of both families.
    Antrea,
    /// Antrea's zones of a VLAN in bridging mode; VLAN 0 is untagged.
    Vlan(u16),
    Zone(u16),
}

/// What is no [`Part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no zone")]
pub struct NoZone;

impl FromStr for Part {
    type Err = NoZone;

    fn from_str(text: &str) -> Result<Self, NoZone> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain).ok_or(NoZone)
        };
        match text.split_once(':') {
            None if text == "antrea" => Ok(Self::Antrea),
            None => number(text).map(Self::Zone),
            Some(("vlan", vlan)) => {
                number(vlan).ok().filter(|&it| it <= MAX_VLAN).map(Self::Vlan).ok_or(NoZone)
            }
            Some(_) => Err(NoZone),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Antrea => f.write_str("antrea"),
            Self::Vlan(vlan) => write!(f, "vlan:{vlan}"),
            Self::Zone(zone) => zone.fmt(f),
        }
    }
}

/// The zones that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zones {
    recorded: Vec<u16>,
    /// Those of `recorded` where Antrea's marks say which connections are allowed.
    marked: Vec<u16>,
    /// Zone 0 is read, and not recorded: it tells who the clients from outside are.
    clients: bool,
}

impl Zones {
    /// Zones of Antrea bring zone 0 with them, as the one that knows the clients from outside.
    pub fn of(parts: &[Part]) -> Self {
        let mut zones = Self { recorded: Vec::new(), marked: Vec::new(), clients: false };
        for part in parts {
            match *part {
                Part::Antrea => ANTREA.iter().for_each(|&zone| zones.add(zone, true)),
                Part::Vlan(vlan) => BRIDGING.iter().for_each(|kind| zones.add(kind | vlan, true)),
                Part::Zone(zone) => zones.add(zone, ANTREA.contains(&zone)),
            }
        }
        zones.clients = !zones.marked.is_empty() && !zones.recorded.contains(&HOST);
        zones
    }

    /// Records `numbers` and nothing else.
    pub fn plain(numbers: &[u16]) -> Self {
        Self { recorded: numbers.to_vec(), marked: Vec::new(), clients: false }
    }

    fn add(&mut self, zone: u16, is_marked: bool) {
        for (list, wanted) in [(&mut self.recorded, true), (&mut self.marked, is_marked)] {
            if wanted && !list.contains(&zone) {
                list.push(zone);
            }
        }
    }

    /// Every zone that is read, the one with the clients first: what it tells is needed when
    /// connections of the others are told.
    pub fn read(&self) -> Vec<u16> {
        let clients = self.clients.then_some(HOST);
        clients.into_iter().chain(self.recorded.iter().copied()).collect()
    }

    /// Those of Antrea, or every zone that is recorded if none is Antrea's.
    pub fn counted(&self) -> &[u16] {
        if self.marked.is_empty() { &self.recorded } else { &self.marked }
    }

    /// Whether connections of `zone` are recorded.
    pub fn records(&self, zone: u16) -> bool {
        self.recorded.contains(&zone)
    }

    /// Whether a connection of `zone` is allowed only once Antrea's mark says so.
    pub fn needs_mark(&self, zone: u16) -> bool {
        self.marked.contains(&zone)
    }

    /// Whether `zone` is read for its clients from outside.
    pub const fn tells_clients(&self, zone: u16) -> bool {
        self.clients && zone == HOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(texts: &[&str]) -> Zones {
        Zones::of(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Part>>())
    }

    #[test]
    fn antreas_zones_bring_the_hosts_for_its_clients() {
        let antrea = zones(&["antrea"]);
        assert_eq!(antrea.read(), [0, 65520, 65510]);
        assert!(antrea.tells_clients(0) && !antrea.records(0));
        assert!(antrea.records(65510) && antrea.needs_mark(65510));
        assert_eq!(zones(&["65520"]).read(), [0, 65520], "by number as well");
    }

    #[test]
    fn a_host_zone_that_is_recorded_is_not_searched_for_clients() {
        let both = zones(&["0", "antrea", "0"]);
        assert_eq!(both.read(), [0, 65520, 65510]);
        assert!(both.records(0) && !both.tells_clients(0) && !both.needs_mark(0));
        let other = zones(&["7", "4096"]);
        assert_eq!(other.read(), [7, 4096]);
        assert!(!other.needs_mark(4096), "another CNI may use the number");
    }

    /// Type 1 is IPv4 and type 3 is IPv6, above 12 bits of VLAN.
    #[test]
    fn a_vlan_has_a_zone_for_each_family() {
        assert_eq!(zones(&["vlan:0", "vlan:100"]).read(), [0, 0x1000, 0x3000, 0x1064, 0x3064]);
        assert!(zones(&["vlan:100"]).needs_mark(0x3064));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for text in ["", "-1", "+1", "65536", "Antrea", "vlan:", "vlan:4096", "vlan:+1", "x:1"] {
            assert_eq!(text.parse::<Part>(), Err(NoZone), "{text:?}");
        }
        for text in ["antrea", "vlan:4095", "65535"] {
            assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
        }
    }
}
