//! From scenarios to clients, and from what the kernel saw back to scenarios.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

use super::scenario::{Load, SCENARIOS, Scenario, Target};
use crate::demo::check::{ExpectedFlow, Names};
use crate::demo::judge::KernelFlow;
use crate::demo::lab::Family;
use crate::demo::lab::cluster::pod_at;

/// The Echo identifiers of plan row n start at n times this, above zero.
const ECHO_IDS: u16 = 100;

/// One scenario in one address family.
#[derive(Debug, Clone)]
pub struct Planned {
    pub scenario: &'static Scenario,
    pub family: Family,
    pub dialled: SocketAddr,
    /// How many flows the kernel must see of it.
    pub flows: usize,
    number: u16,
}

impl Planned {
    /// "tcp to Service v4".
    pub fn name(&self) -> String {
        format!("{} {}", self.scenario.name, self.family.name())
    }

    /// The Echo identifiers of its pings; empty for other loads.
    pub fn echo_ids(&self) -> Range<u16> {
        let first = (self.number + 1) * ECHO_IDS;
        match self.scenario.load {
            Load::Ping { parallel, .. } => first..first + parallel,
            _ => first..first,
        }
    }

    /// What the kernel's view of its connections has in common.
    fn key(&self) -> Key {
        let from = self.scenario.from.address(self.family);
        Key { protocol: self.scenario.protocol(self.family), from, dialled: self.dialled }
    }
}

/// All that a demo drives.
#[derive(Debug, Clone)]
pub struct Plan(pub(super) Vec<Planned>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    protocol: u8,
    from: IpAddr,
    dialled: SocketAddr,
}

impl Key {
    fn of(flow: &KernelFlow) -> Self {
        // The kernel's tuple has an identifier where ICMP has no port.
        let is_icmp = matches!(flow.protocol, 1 | 58);
        let port = if is_icmp { 0 } else { flow.dialled.port() };
        let dialled = SocketAddr::new(flow.dialled.ip(), port);
        Self { protocol: flow.protocol, from: flow.source.ip(), dialled }
    }
}

impl Plan {
    /// Plans every scenario in both families, with `connections` short ones in total.
    pub fn new(connections: usize) -> Result<Self> {
        let rows = SCENARIOS.iter().flat_map(|s| Family::ALL.map(|family| (s, family)));
        let shares = rows.clone().filter(|(s, _)| s.load == Load::ShortTcp).count();
        let mut share = 0;
        let mut plan = Vec::new();
        for (number, (scenario, family)) in rows.enumerate() {
            let flows = match scenario.load {
                Load::Ping { parallel, .. } => usize::from(parallel),
                Load::Tcp { .. } | Load::Udp { .. } => 1,
                Load::ShortTcp => {
                    share += 1;
                    connections / shares + usize::from(share <= connections % shares)
                }
            };
            let dialled = scenario.dialled(family)?;
            let number = u16::try_from(number).context("too many scenarios")?;
            plan.push(Planned { scenario, family, dialled, flows, number });
        }
        plan.retain(|planned| planned.flows > 0);
        Ok(Self(plan))
    }

    pub fn flows(&self) -> usize {
        self.0.iter().map(|planned| planned.flows).sum()
    }

    /// Says for each flow the kernel saw what Fyke must say about it.
    ///
    /// The kernel must have seen exactly what was driven, of the type the scenario was
    /// meant to be: otherwise the lab is at fault, and nothing can be said about Fyke.
    pub fn expect(&self, kernel: Vec<KernelFlow>) -> Result<Vec<ExpectedFlow>> {
        let index: HashMap<Key, usize> =
            self.0.iter().enumerate().map(|(position, row)| (row.key(), position)).collect();
        let mut counts = vec![0; self.0.len()];
        let mut expected = Vec::with_capacity(kernel.len());
        for flow in kernel {
            let Some(&position) = index.get(&Key::of(&flow)) else {
                bail!("the kernel saw a connection that the demo did not make: {flow:?}");
            };
            counts[position] += 1;
            expected.push((position, self.0[position].expect(flow)?));
        }
        for (planned, count) in self.0.iter().zip(counts) {
            let Planned { flows, .. } = planned;
            let name = planned.name();
            ensure!(count == *flows, "the kernel saw {count} connections of {name:?}, not {flows}");
        }
        expected.sort_by_key(|(position, _)| *position);
        Ok(expected.into_iter().map(|(_, flow)| flow).collect())
    }
}

impl Planned {
    fn expect(&self, kernel: KernelFlow) -> Result<ExpectedFlow> {
        let Scenario { flow_type, to, .. } = *self.scenario;
        ensure!(
            kernel.flow_type == flow_type,
            "{:?} is {}, but by its addresses {}",
            self.name(),
            flow_type,
            kernel.flow_type
        );
        let backend = self.scenario.backend()?.address(self.family);
        ensure!(
            kernel.destination.ip() == backend,
            "{:?} was answered by {}, not {backend}",
            self.name(),
            kernel.destination.ip()
        );
        let is_service = !matches!(to, Target::Direct(_));
        Ok(ExpectedFlow {
            scenario: self.name(),
            source: names(kernel.source.ip()),
            destination: names(kernel.destination.ip()),
            service: self.scenario.service_name()?,
            service_port: if is_service { self.dialled.port() } else { 0 },
            kernel,
        })
    }
}

/// The names a record must carry for `address`: those of its Pod, or none.
fn names(address: IpAddr) -> Names {
    pod_at(address).map_or_else(Names::default, |pod| Names {
        pod: pod.name,
        namespace: pod.namespace,
        node: pod.node,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(plan: &Plan) -> Vec<usize> {
        let rows = plan.0.iter().filter(|row| row.scenario.load == Load::ShortTcp);
        rows.map(|row| row.flows).collect()
    }

    #[test]
    fn short_connections_are_spread_without_losing_any() {
        assert_eq!(short(&Plan::new(203).unwrap()), [51, 51, 51, 50]);
        assert_eq!(short(&Plan::new(2).unwrap()), [1, 1]);
        assert!(short(&Plan::new(0).unwrap()).is_empty());
    }

    #[test]
    fn a_connection_that_did_not_happen_is_the_labs_fault() {
        let error = Plan::new(0).unwrap().expect(Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "the kernel saw 0 connections of \"tcp, same Node v4\", not 1");
    }

    #[test]
    fn parallel_pings_never_share_an_identifier() {
        let plan = Plan::new(0).unwrap();
        let mut ids: Vec<u16> = plan.0.iter().flat_map(Planned::echo_ids).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(count >= 12);
    }
}
