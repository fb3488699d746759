//! What there is in the cluster, by the names real ones have.

use std::net::Ipv4Addr;

use super::{Pod, Policy, Text, random::Random};

const NODES: u8 = 100;
const NAMESPACES: usize = 30;
const PODS: usize = 3_000;
const SERVICES: usize = 300;
const POLICIES: usize = 60;
const EGRESSES: u8 = 12;

const TEAMS: [&str; 10] = [
    "payments",
    "checkout",
    "inventory",
    "shipping",
    "identity",
    "search",
    "catalog",
    "analytics",
    "platform",
    "messaging",
];
const STAGES: [&str; 3] = ["prod", "stage", "dev"];
const PARTS: [&str; 8] =
    ["api", "worker", "frontend", "scheduler", "cache", "gateway", "indexer", "consumer"];
const PORTS: [(&str, u16); 5] =
    [("http", 80), ("https", 443), ("grpc", 9_090), ("metrics", 9_102), ("postgresql", 5_432)];
const RULES: [&str; 4] = [
    "allow-same-namespace",
    "allow-from-ingress-gateway",
    "allow-monitoring",
    "allow-dns-and-https",
];

/// Everything flows are between and go through.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) empty: Text,
    /// By Node, since a flow is between Pods of one Node or of two.
    pub(super) pods: Vec<Vec<PodOnNode>>,
    pub(super) services: Vec<Service>,
    pub(super) policies: Vec<Policy>,
    pub(super) egresses: Vec<Egress>,
}

#[derive(Debug)]
pub(super) struct PodOnNode {
    pub(super) pod: Pod,
    pub(super) address: Ipv4Addr,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) port_name: Text,
    pub(super) port: u16,
    pub(super) address: Ipv4Addr,
}

#[derive(Debug)]
pub(super) struct Egress {
    pub(super) name: Text,
    pub(super) address: Text,
    pub(super) node: Text,
}

impl Cluster {
    pub(super) fn new(random: &mut Random) -> Self {
        let namespaces: Vec<Text> = (0..NAMESPACES).map(namespace).collect();
        let nodes: Vec<Text> = (0..NODES).map(|index| node(index, random)).collect();
        Self {
            empty: Text::from(""),
            pods: (0..NODES).map(|index| pods(index, &nodes, &namespaces, random)).collect(),
            services: (0..SERVICES).map(|index| service(index, &namespaces, random)).collect(),
            policies: (0..POLICIES).map(|index| policy(index, &namespaces)).collect(),
            egresses: (0..EGRESSES).map(|index| egress(index, random.one_of(&nodes))).collect(),
        }
    }

    pub(super) fn no_pod(&self) -> Pod {
        let empty = || Text::clone(&self.empty);
        Pod { name: empty(), namespace: empty(), node: empty() }
    }

    pub(super) fn no_policy(&self) -> Policy {
        let empty = || Text::clone(&self.empty);
        Policy { name: empty(), namespace: empty(), kind: 0, rule: empty(), action: 0 }
    }
}

fn namespace(index: usize) -> Text {
    let (team, stage) = (TEAMS[index % TEAMS.len()], STAGES[index / TEAMS.len()]);
    format!("{team}-{stage}").into()
}

fn node(index: u8, random: &mut Random) -> Text {
    let host = random.u8(100, 250);
    format!("ip-10-42-{}-{host}.eu-west-1.compute.internal", 2 * index).into()
}

fn pods(node: u8, nodes: &[Text], namespaces: &[Text], random: &mut Random) -> Vec<PodOnNode> {
    let per_node = u8::try_from(PODS / usize::from(NODES)).expect("a Node has few Pods");
    (0..per_node)
        .map(|index| {
            let at = random.below(NAMESPACES);
            let (team, part) = (TEAMS[at % TEAMS.len()], random.one_of(&PARTS));
            let name = format!("{team}-{part}-{}-{}", random.suffix(10), random.suffix(5)).into();
            let [namespace, node_name] =
                [&namespaces[at], &nodes[usize::from(node)]].map(Text::clone);
            PodOnNode {
                pod: Pod { name, namespace, node: node_name },
                address: Ipv4Addr::new(10, 244, node, 2 + index),
            }
        })
        .collect()
}

fn service(index: usize, namespaces: &[Text], random: &mut Random) -> Service {
    let at = index % NAMESPACES;
    let (team, app) = (TEAMS[at % TEAMS.len()], PARTS[index / NAMESPACES % PARTS.len()]);
    let (protocol, port) = *random.one_of(&PORTS);
    let [high, low] = u16::try_from(index).expect("there are few Services").to_be_bytes();
    Service {
        port_name: format!("{}/{team}-{app}-{index}:{protocol}", namespaces[at]).into(),
        port,
        address: Ipv4Addr::new(10, 96, high, low),
    }
}

/// Of Kubernetes, of Antrea, and of Antrea for the whole cluster, in turns.
fn policy(index: usize, namespaces: &[Text]) -> Policy {
    let empty = || Text::from("");
    let (team, rule) = (TEAMS[index % TEAMS.len()], RULES[index % RULES.len()]);
    let name = format!("{team}-net-baseline-{index:02}").into();
    let namespace = Text::clone(&namespaces[index % NAMESPACES]);
    match index % 3 {
        0 => Policy { name, namespace, kind: 1, rule: empty(), action: 1 },
        1 => Policy { name, namespace, kind: 2, rule: rule.into(), action: 1 },
        _ => Policy { name, namespace: empty(), kind: 3, rule: rule.into(), action: 1 },
    }
}

fn egress(index: u8, node: &Text) -> Egress {
    Egress {
        name: format!("egress-{}", TEAMS[usize::from(index) % TEAMS.len()]).into(),
        address: Ipv4Addr::new(172, 18, 200, 10 + index).to_string().into(),
        node: Text::clone(node),
    }
}
