//! Connections of both Nodes become flows, from the kernel's view alone.
//!
//! A packet between Nodes leaves the first and enters the second with the same
//! addresses. So the tuple after translation, which is the reply's turned around, is
//! what two Nodes have in common. It is free for another connection only after the
//! first has ended on both Nodes: the n-th with a tuple here is the n-th there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use serde::{Serialize, Serializer};

use super::event::{KernelConnection, Tuple};
use crate::demo::Totals;
use crate::demo::lab::cluster::node_of_pod_address;

/// Antrea's `flowType` (PEN 56506, element 137), derived here from addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowType {
    IntraNode,
    InterNode,
    ToExternal,
    FromExternal,
}

impl FlowType {
    /// Its number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::IntraNode => 1,
            Self::InterNode => 2,
            Self::ToExternal => 3,
            Self::FromExternal => 4,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::IntraNode => "intra-node",
            Self::InterNode => "inter-node",
            Self::ToExternal => "to-external",
            Self::FromExternal => "from-external",
        }
    }
}

impl fmt::Display for FlowType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for FlowType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What one Node's kernel counted of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSide {
    pub node: &'static str,
    pub id: u32,
    pub totals: Totals,
}

/// One logical connection, whichever Nodes it crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFlow {
    pub protocol: u8,
    pub flow_type: FlowType,
    /// Who began. For ICMP the ports are the Echo identifier.
    pub source: SocketAddr,
    /// Who answers: the address after translation.
    pub destination: SocketAddr,
    /// The address that was dialled, before translation.
    pub dialled: SocketAddr,
    /// The Node of the source; for traffic from outside, the Node it came in by.
    pub source_side: KernelSide,
    /// The Node of the destination, or for traffic to outside, the only one. The same
    /// as `source_side` where one Node sees the whole flow.
    pub destination_side: KernelSide,
}

/// What two Nodes' entries of the same connection have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    protocol: u8,
    reply: Tuple,
}

/// Joins `connections`, which are in the order of their ends on each Node.
///
/// A half without its other half is an error: the lab then does not do what the demo
/// believes it does, and nothing could be checked.
pub fn flows(connections: &[KernelConnection]) -> Result<Vec<KernelFlow>> {
    let mut groups: HashMap<Key, Vec<&KernelConnection>> = HashMap::new();
    let mut keys = Vec::new();
    for connection in connections {
        let key = Key { protocol: connection.protocol, reply: connection.reply };
        let group = groups.entry(key).or_insert_with(|| {
            keys.push(key);
            Vec::new()
        });
        group.push(connection);
    }
    let mut flows = Vec::with_capacity(keys.len());
    for key in keys {
        join(&groups[&key], &mut flows)?;
    }
    Ok(flows)
}

fn join(group: &[&KernelConnection], flows: &mut Vec<KernelFlow>) -> Result<()> {
    let mut by_node: BTreeMap<&str, Vec<&KernelConnection>> = BTreeMap::new();
    for &connection in group {
        by_node.entry(connection.node).or_default().push(connection);
    }
    match *by_node.into_values().collect::<Vec<_>>() {
        [ref one] => {
            for connection in one {
                flows.push(seen_by_one(connection)?);
            }
        }
        [ref one, ref other] if one.len() == other.len() => {
            for (a, b) in one.iter().zip(other) {
                flows.push(seen_by_both(a, b)?);
            }
        }
        _ => bail!("the Nodes disagree how often this connection was made: {group:?}"),
    }
    Ok(())
}

fn seen_by_one(connection: &KernelConnection) -> Result<KernelFlow> {
    let flow_type = match (source_node(connection), destination_node(connection)) {
        (Some(a), Some(b)) if a == b => FlowType::IntraNode,
        (Some(_), None) => FlowType::ToExternal,
        (None, Some(node)) if node == connection.node => FlowType::FromExternal,
        _ => bail!("only one of its Nodes saw the connection {connection:?}"),
    };
    Ok(flow(connection, connection, flow_type))
}

fn seen_by_both(a: &KernelConnection, b: &KernelConnection) -> Result<KernelFlow> {
    let (source, destination) = match destination_node(a) {
        Some(node) if node == a.node => (b, a),
        _ => (a, b),
    };
    if destination_node(source) != Some(destination.node) {
        bail!("the destination of {a:?} is on neither of the Nodes that saw it");
    }
    // Traffic from outside wears the gateway's address on its way to the other Node,
    // and only there: the Node it came in by still knows where it came from.
    let flow_type = match source_node(source) {
        Some(node) if node == source.node => FlowType::InterNode,
        None => FlowType::FromExternal,
        Some(_) => bail!("the source of {source:?} is on another Node"),
    };
    Ok(flow(source, destination, flow_type))
}

fn flow(
    source: &KernelConnection,
    destination: &KernelConnection,
    flow_type: FlowType,
) -> KernelFlow {
    let side = |c: &KernelConnection| KernelSide { node: c.node, id: c.id, totals: c.totals };
    let Tuple { source: from, source_port, destination: dialled, destination_port } =
        source.original;
    KernelFlow {
        protocol: source.protocol,
        flow_type,
        source: SocketAddr::new(from, source_port),
        destination: SocketAddr::new(source.reply.source, source.reply.source_port),
        dialled: SocketAddr::new(dialled, destination_port),
        source_side: side(source),
        destination_side: side(destination),
    }
}

fn source_node(connection: &KernelConnection) -> Option<&'static str> {
    node_of_pod_address(connection.original.source).map(|node| node.name)
}

fn destination_node(connection: &KernelConnection) -> Option<&'static str> {
    node_of_pod_address(connection.reply.source).map(|node| node.name)
}

#[cfg(test)]
mod tests {
    use super::super::parse_all;
    use super::*;

    // What the kernels of two Nodes print of the same connections. `there` is the tuple
    // of the first packet, `back` that of the answer; ids are made up.
    fn line(there: [&str; 4], back: [&str; 4], packets: u64, id: u32) -> String {
        let tuple = |[src, sport, dst, dport]: [&str; 4]| {
            format!("src={src} dst={dst} sport={sport} dport={dport} packets={packets} bytes=9")
        };
        format!("[DESTROY] tcp 6 {} {} id={id}\n", tuple(there), tuple(back))
    }

    fn join(on_a: &str, on_b: &str) -> Result<Vec<KernelFlow>> {
        let mut connections = parse_all("node-a", on_a).unwrap();
        connections.extend(parse_all("node-b", on_b).unwrap());
        flows(&connections)
    }

    fn ids(flows: &[KernelFlow]) -> Vec<(FlowType, u32, u32)> {
        let ids = flows.iter().map(|f| (f.flow_type, f.source_side.id, f.destination_side.id));
        ids.collect()
    }

    const A: &str = "10.10.0.2";
    const A2: &str = "10.10.0.3";
    const B: &str = "10.10.1.2";
    const OUTSIDE: &str = "192.168.77.100";

    #[test]
    fn a_connection_to_a_service_meets_its_other_half_behind_the_translation() {
        let on_a = line([A, "5", "10.96.0.10", "80"], [B, "8080", A, "5"], 3, 1);
        let on_b = line([A, "5", B, "8080"], [B, "8080", A, "5"], 3, 2);
        let flows = join(&on_a, &on_b).unwrap();
        assert_eq!(ids(&flows), [(FlowType::InterNode, 1, 2)]);
        assert_eq!(flows[0].dialled.to_string(), "10.96.0.10:80");
        assert_eq!(flows[0].destination.to_string(), "10.10.1.2:8080");
    }

    #[test]
    fn the_nodes_are_told_apart_by_direction_not_by_name() {
        let tuples = ([B, "5", A, "8080"], [A, "8080", B, "5"]);
        let (on_a, on_b) = (line(tuples.0, tuples.1, 3, 1), line(tuples.0, tuples.1, 3, 2));
        assert_eq!(ids(&join(&on_a, &on_b).unwrap()), [(FlowType::InterNode, 2, 1)]);
    }

    #[test]
    fn a_client_outside_is_known_only_where_it_came_in() {
        let on_a =
            line([OUTSIDE, "5", "192.168.77.1", "30081"], [B, "8080", "10.10.0.1", "6"], 3, 1);
        let on_b = line(["10.10.0.1", "6", B, "8080"], [B, "8080", "10.10.0.1", "6"], 3, 2);
        let flows = join(&on_a, &on_b).unwrap();
        assert_eq!(ids(&flows), [(FlowType::FromExternal, 1, 2)]);
        assert_eq!(flows[0].source.to_string(), "192.168.77.100:5");
    }

    #[test]
    fn one_node_sees_these_whole() {
        let local = line([A, "5", A2, "80"], [A2, "80", A, "5"], 3, 1);
        let out = line([A, "6", OUTSIDE, "80"], [OUTSIDE, "80", "192.168.77.1", "6"], 3, 2);
        let inside = line([OUTSIDE, "7", "192.168.77.1", "30080"], [A, "8080", OUTSIDE, "7"], 3, 3);
        assert_eq!(
            ids(&join(&[local, out, inside].concat(), "").unwrap()),
            [
                (FlowType::IntraNode, 1, 1),
                (FlowType::ToExternal, 2, 2),
                (FlowType::FromExternal, 3, 3),
            ]
        );
    }

    #[test]
    fn a_port_used_twice_is_joined_in_order() {
        let of = |id| line([A, "5", B, "80"], [B, "80", A, "5"], 3, id);
        let flows = join(&[of(1), of(2)].concat(), &[of(3), of(4)].concat()).unwrap();
        assert_eq!(ids(&flows), [(FlowType::InterNode, 1, 3), (FlowType::InterNode, 2, 4)]);
    }

    #[test]
    fn a_half_without_its_other_half_is_an_error() {
        let of = |id| line([A, "5", B, "80"], [B, "80", A, "5"], 3, id);
        assert!(join(&of(1), "").is_err());
        assert!(join(&[of(1), of(2)].concat(), &of(3)).is_err());
    }
}
