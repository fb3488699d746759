//! The packet filter of a Node: what kube-proxy would have put there.
//!
//! - A Service's ClusterIP and its NodePort are translated to the Pod behind it.
//! - A connection from outside to a Pod on the other Node gets this Node's gateway as
//!   its source, as kube-proxy does, so that the answers find their way back through here.
//! - A Pod that leaves the cluster wears its Node's address.

use std::fmt::Write;
use std::net::SocketAddr;

use super::cluster::{SERVED_PORT, SERVICES};
use super::host::{Family, Host};
use super::topology;

/// The words that differ between the two families.
struct Dialect {
    table: &'static str,
    ip: &'static str,
    /// All Pod CIDRs of the cluster.
    pods: &'static str,
}

fn dialect(family: Family) -> Dialect {
    match family {
        Family::V4 => Dialect { table: "ip", ip: "ip", pods: "10.10.0.0/16" },
        Family::V6 => Dialect { table: "ip6", ip: "ip6", pods: "fd00:10::/32" },
    }
}

/// The rules of `node` in both families, for `nft -f`.
pub(super) fn of(node: Host) -> String {
    Family::ALL.map(|family| table(node, family)).concat()
}

fn table(node: Host, family: Family) -> String {
    let Dialect { table, ip, pods } = dialect(family);
    let (gateway4, gateway6) = topology::gateway(node);
    let gateway = match family {
        Family::V4 => gateway4.to_string(),
        Family::V6 => gateway6.to_string(),
    };
    let translations = translations(node, family, ip);
    format!(
        r#"table {table} fyke {{
  chain services {{ type nat hook prerouting priority dstnat;
{translations}  }}
  chain sources {{ type nat hook postrouting priority srcnat;
    ct status dnat {ip} saddr != {pods} oifname "up0" snat to {gateway}
    {ip} saddr {pods} {ip} daddr != {pods} oifname "up0" masquerade
  }}
}}
"#
    )
}

fn translations(node: Host, family: Family, ip: &str) -> String {
    let mut rules = String::new();
    for service in &SERVICES {
        let backend = SocketAddr::new(service.backend.address(family), SERVED_PORT);
        for port in service.ports {
            let protocol = port.protocol.to_lowercase();
            let cluster = Some((service.cluster_ip(family), port.port));
            let node = port.node_port.map(|port| (node.address(family), port));
            for (address, port) in cluster.into_iter().chain(node) {
                writeln!(
                    rules,
                    "    {ip} daddr {address} {protocol} dport {port} dnat to {backend}"
                )
                .expect("writing to a String cannot fail");
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ips_and_node_ports_lead_to_the_pod_behind_them() {
        let rules = of(Host::NodeA);
        for rule in [
            "ip daddr 10.96.0.10 tcp dport 80 dnat to 10.10.1.2:8080",
            "ip daddr 10.96.0.10 udp dport 80 dnat to 10.10.1.2:8080",
            "ip6 daddr fd00:96::11 tcp dport 80 dnat to [fd00:10::3]:8080",
            "ip daddr 192.168.77.1 tcp dport 30081 dnat to 10.10.1.3:8080",
            "ct status dnat ip saddr != 10.10.0.0/16 oifname \"up0\" snat to 10.10.0.1",
        ] {
            assert!(rules.lines().any(|line| line.trim() == rule), "{rule}\nis not in\n{rules}");
        }
    }
}
