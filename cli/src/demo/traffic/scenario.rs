//! Which connections the demo makes, and what a record of each must say.
//!
//! One row is one kind of connection; every row is driven over IPv4 and over IPv6. A
//! row is told from the others by who opens the connection, the address and port it
//! dials and the protocol, all of which the kernel sees too: no two rows may share them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::demo::judge::FlowType;
use crate::demo::lab::cluster::{NODES, SERVED_PORT, SERVICES, Service, ServicePort};
use crate::demo::lab::{Family, Host};

/// What a client does. Sizes are in bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// One TCP connection with `rounds` requests of `up` bytes, each answered with `down`.
    Tcp { up: u32, down: u32, rounds: u32, pause: Duration },
    /// A share of the short TCP connections: open, 1 kB, close.
    ShortTcp,
    /// Datagrams on one socket, each of them echoed.
    Udp { datagrams: u32, size: u16, pause: Duration },
    /// Parallel pings, told apart by nothing but their Echo identifiers.
    Ping { parallel: u16, count: u16 },
}

/// Whom a client dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A host's own address.
    Direct(Host),
    /// A Service's ClusterIP.
    Service(&'static str),
    /// A Service's NodePort on Node A.
    NodePort(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub from: Host,
    pub to: Target,
    pub load: Load,
    pub flow_type: FlowType,
}

const TRANSFER: Load =
    Load::Tcp { up: 20_000, down: 200_000, rounds: 1, pause: Duration::from_millis(0) };
/// Longer than two active timeouts, so that the sums come from several records.
const LONG: Load =
    Load::Tcp { up: 500, down: 5_000, rounds: 13, pause: Duration::from_millis(400) };
const DATAGRAMS: Load = Load::Udp { datagrams: 40, size: 900, pause: Duration::from_millis(50) };
const PING: Load = Load::Ping { parallel: 3, count: 10 };

#[rustfmt::skip]
pub const SCENARIOS: [Scenario; 18] = {
    use FlowType::{FromExternal, InterNode, IntraNode, ToExternal};
    use Host::{External, PodA1, PodA2, PodB1, PodB2};
    use Target::{Direct, NodePort, Service};
    const fn row(name: &'static str, from: Host, to: Target, load: Load, flow_type: FlowType) -> Scenario {
        Scenario { name, from, to, load, flow_type }
    }
    [
        row("tcp, same Node",            PodA1,    Direct(PodA2),       TRANSFER,       IntraNode),
        row("tcp, across Nodes",         PodA1,    Direct(PodB1),       TRANSFER,       InterNode),
        row("tcp, long-lived",           PodB2,    Direct(PodA2),       LONG,           InterNode),
        row("tcp to Service",            PodA1,    Service("orders"),   TRANSFER,       InterNode),
        row("tcp to Service, same Node", PodA1,    Service("cart"),     TRANSFER,       IntraNode),
        row("tcp to external",           PodA1,    Direct(External),    TRANSFER,       ToExternal),
        row("tcp from external",         External, NodePort("web"),     TRANSFER,       FromExternal),
        row("tcp from external, 2 Nodes",External, NodePort("grafana"), TRANSFER,       FromExternal),
        row("udp, same Node",            PodB1,    Direct(PodB2),       DATAGRAMS,      IntraNode),
        row("udp, across Nodes",         PodB1,    Direct(PodA1),       DATAGRAMS,      InterNode),
        row("udp to Service",            PodA1,    Service("orders"),   DATAGRAMS,      InterNode),
        row("udp to external",           PodB2,    Direct(External),    DATAGRAMS,      ToExternal),
        row("ping, same Node",           PodB1,    Direct(PodB2),       PING,           IntraNode),
        row("ping, across Nodes",        PodA1,    Direct(PodB1),       PING,           InterNode),
        row("ping, back",                PodB1,    Direct(PodA1),       PING,           InterNode),
        row("ping to external",          PodA1,    Direct(External),    PING,           ToExternal),
        row("short tcp, across Nodes",   PodA2,    Direct(PodB2),       Load::ShortTcp, InterNode),
        row("short tcp to Service",      PodA2,    Service("orders"),   Load::ShortTcp, InterNode),
    ]
};

impl Scenario {
    /// The IANA protocol number.
    pub fn protocol(&self, family: Family) -> u8 {
        match (self.load, family) {
            (Load::Tcp { .. } | Load::ShortTcp, _) => 6,
            (Load::Udp { .. }, _) => 17,
            (Load::Ping { .. }, Family::V4) => 1,
            (Load::Ping { .. }, Family::V6) => 58,
        }
    }

    /// What the client dials. ICMP has no ports: 0 there.
    pub fn dialled(&self, family: Family) -> Result<SocketAddr> {
        let port = |port| if matches!(self.load, Load::Ping { .. }) { 0 } else { port };
        let (address, number) = match self.to {
            Target::Direct(host) => (host.address(family), SERVED_PORT),
            Target::Service(name) => {
                let service = service(name)?;
                (service.cluster_ip(family), self.service_port(service)?.port)
            }
            Target::NodePort(name) => {
                let port = self.service_port(service(name)?)?.node_port;
                let port = port.with_context(|| format!("Service {name} has no NodePort"))?;
                (NODES[0].host.address(family), port)
            }
        };
        Ok(SocketAddr::new(address, port(number)))
    }

    /// The host that answers.
    pub fn backend(&self) -> Result<Host> {
        match self.to {
            Target::Direct(host) => Ok(host),
            Target::Service(name) | Target::NodePort(name) => Ok(service(name)?.backend),
        }
    }

    /// `namespace/name:portName` of the Service that is dialled; empty without one.
    pub fn service_name(&self) -> Result<String> {
        let (Target::Service(name) | Target::NodePort(name)) = self.to else {
            return Ok(String::new());
        };
        let service = service(name)?;
        let port = self.service_port(service)?.name;
        Ok(format!("{}/{}:{port}", service.namespace, service.name))
    }

    fn service_port(&self, service: &'static Service) -> Result<&'static ServicePort> {
        let protocol = if matches!(self.load, Load::Udp { .. }) { "UDP" } else { "TCP" };
        let port = service.ports.iter().find(|port| port.protocol == protocol);
        port.with_context(|| format!("Service {} has no {protocol} port", service.name))
    }
}

fn service(name: &str) -> Result<&'static Service> {
    let service = SERVICES.iter().find(|service| service.name == name);
    service.with_context(|| format!("the lab has no Service {name}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_scenarios_look_alike_to_the_kernel() {
        let mut seen = HashSet::new();
        for scenario in &SCENARIOS {
            for family in Family::ALL {
                let dialled = scenario.dialled(family).unwrap();
                let key = (scenario.from, dialled, scenario.protocol(family));
                assert!(seen.insert(key), "{} looks like another", scenario.name);
            }
        }
    }

    #[test]
    fn services_are_named_as_kubernetes_does() {
        let name =
            |wanted| SCENARIOS.iter().find(|s| s.name == wanted).unwrap().service_name().unwrap();
        assert_eq!(name("udp to Service"), "shop/orders:events");
        assert_eq!(name("tcp from external, 2 Nodes"), "monitoring/grafana:http");
        assert_eq!(name("tcp, same Node"), "");
    }
}
