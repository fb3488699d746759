//! The hosts of the lab and the wires between them, as data.
//!
//! ```text
//!      pA1 10.10.0.2      pA2 10.10.0.3            pB1 10.10.1.2      pB2 10.10.1.3
//!          fd00:10::2         fd00:10::3               fd00:10:1::2       fd00:10:1::3
//!             \               /                           \               /
//!          nA  br0 10.10.0.1 / fd00:10::1              nB  br0 10.10.1.1 / fd00:10:1::1
//!              up0 192.168.77.1 / fd00:77::1               up0 192.168.77.2 / fd00:77::2
//!                    \______________  fab (a switch)  ______________/
//!                                     |           |
//!       ext 192.168.77.100 / fd00:77::100       agg 192.168.77.50 / fd00:77::50
//! ```
//!
//! Every link is made inside the namespaces, never in the one `fyke demo` runs in, so
//! a lab cannot collide with the host's interfaces or with another lab's.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Host;

/// Commands for `ip -batch`, to be run in this order.
pub(super) struct Plan {
    /// Links that span two namespaces.
    pub(super) links: String,
    /// What is configured inside each.
    pub(super) inside: Vec<(Host, String)>,
}

/// The two Nodes, and the Pods on each.
const NODES: [(Host, [Host; 2]); 2] =
    [(Host::NodeA, [Host::PodA1, Host::PodA2]), (Host::NodeB, [Host::PodB1, Host::PodB2])];

/// Who is plugged into the switch.
const UPLINKS: [Host; 4] = [Host::NodeA, Host::NodeB, Host::External, Host::Aggregator];

/// Plans the links, addresses and routes of the whole lab. `name` turns a host into its
/// namespace's name.
pub(super) fn plan(name: impl Fn(Host) -> String) -> Plan {
    let mut links = String::new();
    let mut switch =
        "link set dev lo up\nlink add name br type bridge\nlink set dev br up\n".to_owned();
    for (port, host) in UPLINKS.into_iter().enumerate() {
        let (here, there) = (name(host), name(Host::Fabric));
        line(
            &mut links,
            &format!("link add name up0 netns {here} type veth peer s{port} netns {there}"),
        );
        line(&mut switch, &format!("link set dev s{port} master br up"));
    }
    for (node, pods) in NODES {
        for (port, pod) in pods.into_iter().enumerate() {
            let (here, there) = (name(pod), name(node));
            line(
                &mut links,
                &format!("link add name eth0 netns {here} type veth peer v{port} netns {there}"),
            );
        }
    }
    let mut inside = vec![(Host::Fabric, switch)];
    inside.extend([Host::External, Host::Aggregator].map(|host| (host, outside(host))));
    for (index, (host, pods)) in NODES.into_iter().enumerate() {
        let (peer, _) = NODES[1 - index];
        inside.push((host, node(host, peer)));
        inside.extend(pods.map(|guest| (guest, pod(guest, host))));
    }
    Plan { links, inside }
}

fn outside(host: Host) -> String {
    let mut batch = "link set dev lo up\nlink set dev up0 up\n".to_owned();
    address(&mut batch, "up0", host.ipv4(), host.ipv6(), (24, 64));
    batch
}

fn node(host: Host, peer: Host) -> String {
    let mut batch = outside(host);
    batch.push_str("link add name br0 type bridge\nlink set dev br0 up\n");
    batch.push_str("link set dev v0 master br0 up\nlink set dev v1 master br0 up\n");
    let (ipv4, ipv6) = gateway(host);
    address(&mut batch, "br0", ipv4, ipv6, (24, 64));
    let (ipv4, ipv6) = gateway(peer);
    line(&mut batch, &format!("route add {}/24 via {}", network4(ipv4), peer.ipv4()));
    line(&mut batch, &format!("route add {}/64 via {}", network6(ipv6), peer.ipv6()));
    batch
}

fn pod(host: Host, node: Host) -> String {
    let mut batch = "link set dev lo up\nlink set dev eth0 up\n".to_owned();
    address(&mut batch, "eth0", host.ipv4(), host.ipv6(), (24, 64));
    let (ipv4, ipv6) = gateway(node);
    line(&mut batch, &format!("route add default via {ipv4}"));
    line(&mut batch, &format!("route add ::/0 via {ipv6}"));
    batch
}

/// The address of a Node's bridge, which its Pods route through.
pub(super) fn gateway(node: Host) -> (Ipv4Addr, Ipv6Addr) {
    let subnet = u8::from(node == Host::NodeB);
    (
        Ipv4Addr::new(10, 10, subnet, 1),
        Ipv6Addr::new(0xfd00, 0x10, u16::from(subnet), 0, 0, 0, 0, 1),
    )
}

/// The Pod CIDRs of a Node.
pub(super) fn pod_cidrs(node: Host) -> [(IpAddr, u8); 2] {
    let (ipv4, ipv6) = gateway(node);
    [(network4(ipv4).into(), 24), (network6(ipv6).into(), 64)]
}

fn network4(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

fn network6(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, d, ..] = address.segments();
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

/// Duplicate address detection would keep the IPv6 address unusable for a second.
fn address(batch: &mut String, dev: &str, ipv4: Ipv4Addr, ipv6: Ipv6Addr, length: (u8, u8)) {
    line(batch, &format!("addr add {ipv4}/{} dev {dev}", length.0));
    line(batch, &format!("addr add {ipv6}/{} dev {dev} nodad", length.1));
}

fn line(batch: &mut String, text: &str) {
    writeln!(batch, "{text}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_routes_to_its_peers_pods_and_a_pod_to_its_node() {
        let plan = plan(|host| format!("t-{}", host.name()));
        let of = |host| &plan.inside.iter().find(|(name, _)| *name == host).unwrap().1;
        assert!(of(Host::NodeA).contains("route add 10.10.1.0/24 via 192.168.77.2\n"));
        assert!(of(Host::NodeA).contains("route add fd00:10:1::/64 via fd00:77::2\n"));
        assert!(of(Host::PodB1).contains("addr add 10.10.1.2/24 dev eth0\n"));
        assert!(of(Host::PodB1).contains("route add ::/0 via fd00:10:1::1\n"));
        assert!(
            plan.links.contains("link add name eth0 netns t-pB2 type veth peer v1 netns t-nB\n")
        );
    }

    #[test]
    fn every_host_is_configured() {
        let plan = plan(|host| host.name().to_owned());
        for host in Host::ALL {
            assert!(plan.inside.iter().any(|(name, _)| *name == host), "{host:?}");
        }
    }
}
