//! Addresses become Pods, Services and flow types; ids become rules.
//!
//! A Node names only its own Pods: the other Node knows its own better, and the aggregator joins
//! the two. Who is meant is who had the address when the connection began. Names are looked up
//! anew for each record, so that what became known late is named from then on. What kind of flow
//! it is depends on where addresses lie, and not on whether their owners are known by name.
mod classify; // what kind of flow, and whose to tell
mod rules; // which policies decided
mod exit; // by which Egress it leaves
mod labels; // and what its Pods are labelled
mod kernel; // what needs no name

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use flow::{Endpoint, FlowRecord, FlowType, Name, PolicyRule, Service, Shared};
use k8s::{Cluster, Lookup, Node, Pod, Reason};

use crate::conntrack::{CtMark, MarkedSource, tcp_state};
use crate::meter::Due;
use crate::names::egress::Egresses;
use crate::names::{Counts, End, Policies};
use classify::{Map, Place};
use kernel::{end_reason, forward, key, reverse, service_address, translated_source};

pub use classify::{Rules, TrafficMode, Untold};
pub use labels::PodLabels;

/// Makes Flow Records of what the meter hands out.
#[derive(Debug)]
pub struct Enricher {
    cluster: Arc<ArcSwap<Cluster>>,
    node: Name,
    /// What a record has of an end on this Node that is not known by name, and of a rule that let a
    /// connection pass and is not either.
    nameless: (Shared<Endpoint>, Shared<PolicyRule>),
    rules: Rules,
    policies: Option<Policies>,
    egresses: Option<Egresses>,
    counts: Arc<Counts>,
    tcp_states: Vec<Name>,
}

/// One end of a connection, and who is there.
#[derive(Debug, Clone, Copy)]
struct Seat<'a> {
    place: Place,
    pod: Lookup<'a, Pod>,
}

/// Both ends, and this Node. Each is looked up once for a record.
#[derive(Debug, Clone, Copy)]
struct Seats<'a> {
    own: Option<&'a Node>,
    source: Seat<'a>,
    destination: Seat<'a>,
}

impl Enricher {
    /// `node` is the name of the Node this runs on; `cluster` stays as it is.
    pub fn new(cluster: Arc<Cluster>, node: &str) -> Self {
        Self::following(Arc::new(ArcSwap::new(cluster)), node)
    }

    /// Looks names up in the newest of the snapshots that somebody publishes.
    pub fn following(cluster: Arc<ArcSwap<Cluster>>, node: &str) -> Self {
        let states = (0..).map_while(tcp_state::name).map(Name::from);
        Self {
            cluster,
            node: node.into(),
            nameless: (
                Endpoint { node: node.into(), ..Endpoint::default() }.into(),
                PolicyRule { action: PolicyRule::ALLOW, ..PolicyRule::default() }.into(),
            ),
            rules: Rules::default(),
            policies: None,
            egresses: None,
            counts: Arc::default(),
            tcp_states: states.collect(),
        }
    }

    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Names the rules whose ids are on connections.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Names the Egresses by which Pods' connections leave.
    #[must_use]
    pub fn with_egresses(mut self, egresses: Egresses) -> Self {
        self.egresses = Some(egresses);
        self
    }

    #[must_use]
    pub fn counting(mut self, counts: Arc<Counts>) -> Self {
        self.counts = counts;
        self
    }

    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Who had which address, as is known now.
    pub fn cluster(&self) -> Guard<Arc<Cluster>> {
        self.cluster.load()
    }

    /// The record of a connection; `None` for traffic that is not a Pod's, or that another Node
    /// reports completely. What has no name is counted.
    pub fn record(&self, due: &Due<'_>) -> Option<FlowRecord> {
        let cluster = self.cluster.load();
        self.record_of(&cluster, due, self.seats(&cluster, due))
    }

    fn record_of(&self, cluster: &Cluster, due: &Due<'_>, seats: Seats<'_>) -> Option<FlowRecord> {
        let Seats { source, destination, .. } = seats;
        let key = key(due);
        let snat = translated_source(due);
        let flow_type = match self.flow_type(cluster, seats, due) {
            Ok(flow_type) => flow_type,
            Err(why) => {
                self.counts.not_exportable(why.name());
                return None;
            }
        };
        let is_translated = due.original.reversed() != *due.reply;
        if flow_type == FlowType::FromExternal && !destination.place.is_local && !is_translated {
            // It only passes: the Pod's Node tells it all.
            self.counts.not_exportable(Untold::Passing.name());
            return None;
        }
        let [ingress, egress] = self.allowing(due);
        let exit = match flow_type {
            FlowType::ToExternal => self.exit(cluster, source, destination.place.address),
            _ => Shared::NOTHING,
        };
        let tcp_state = due.tcp_state.and_then(|state| self.tcp_states.get(usize::from(state)));
        Some(FlowRecord {
            flow_id: u64::from(due.id),
            key,
            start_ms: due.start_ns / 1_000_000,
            end_ms: due.end_ns / 1_000_000,
            end_reason: end_reason(due.reason),
            forward: forward(&due.totals, &due.deltas),
            reverse: reverse(&due.totals, &due.deltas),
            source: self.endpoint(source, End::Source),
            destination: self.endpoint(destination, End::Destination),
            service: self.service(cluster, due),
            ingress,
            egress,
            tcp_state: tcp_state.cloned().unwrap_or_default(),
            flow_type,
            exit,
            proxy_snat_ip: snat.map(|(address, _)| address),
            proxy_snat_port: snat.map_or(0, |(_, port)| port),
            ..FlowRecord::default()
        })
    }

    /// Whether waiting would not bring a name that a record of this connection lacks now.
    pub fn is_settled(&self, due: &Due<'_>) -> bool {
        let cluster = self.cluster.load();
        let time_ms = due.start_ns / 1_000_000;
        let Seats { source, destination, .. } = self.seats(&cluster, due);
        let may_come = |seat: &Seat<'_>| {
            seat.place.is_local && may_be_known_soon(seat.pod, time_ms, cluster.pods_known_until())
        };
        let service = || {
            let (ip, port) = service_address(due)?;
            let found = cluster.service(ip, port, due.original.protocol(), time_ms);
            Some(may_be_known_soon(found, time_ms, cluster.services_known_until()))
        };
        let has_part = source.place.is_local || destination.place.is_local;
        let exit_may_come = || {
            let to = destination.place.address;
            !destination.place.is_local && self.exit_may_come(&cluster, source, to)
        };
        let may_any_come = !cluster.knows_nodes()
            || may_come(&source)
            || may_come(&destination)
            || exit_may_come()
            || has_part && (service() == Some(true) || self.rules_may_come(due));
        !may_any_come
    }

    fn seats<'a>(&self, cluster: &'a Cluster, due: &Due<'_>) -> Seats<'a> {
        let own = cluster.node(&self.node);
        let time_ms = due.start_ns / 1_000_000;
        // Antrea's zones say who opened a connection; zone 0 is the host's, with marks of others.
        let is_marked = due.zone != 0 && CtMark(due.mark).source() == Some(MarkedSource::LocalPod);
        let source = self.seat(cluster, own, due.original.source(), time_ms);
        let is_local = source.place.is_local || is_marked && source.pod.guess().is_none();
        let source = Seat { place: Place { is_local, ..source.place }, ..source };
        let destination = self.seat(cluster, own, due.reply.source(), time_ms);
        Seats { own, source, destination }
    }

    fn seat<'a>(
        &self,
        cluster: &'a Cluster,
        own: Option<&Node>,
        address: IpAddr,
        time_ms: u64,
    ) -> Seat<'a> {
        let pod = cluster.pod(address, time_ms);
        let is_local = match pod.guess() {
            Some(pod) => pod.node == self.node,
            None => own.is_some_and(|own| own.has_pod_address(address) && !own.is_gateway(address)),
        };
        Seat { place: Place { address, is_local }, pod }
    }

    fn flow_type(
        &self,
        cluster: &Cluster,
        seats: Seats<'_>,
        due: &Due<'_>,
    ) -> Result<FlowType, Untold> {
        let (from, to) = (seats.source.place, seats.destination.place);
        if !cluster.knows_nodes() {
            // As in Antrea, whose zones have connections of Pods only. Zone 0 has the Node's too.
            return if due.zone == 0 { Err(Untold::NotListed) } else { Ok(FlowType::Unspecified) };
        }
        // It makes a difference only to what goes to a Pod of this Node.
        let node = || cluster.node_at(from.address, due.start_ns / 1_000_000).guess();
        let from_own_address = to.is_local && node().is_some_and(|node| node.name == self.node);
        Map { cluster, own: seats.own, rules: &self.rules, from_own_address }.flow_type(from, to)
    }

    /// Only a Pod of this Node is named. If it is one, but not known for certain which, the Node
    /// is told alone: that is certain.
    fn endpoint(&self, seat: Seat<'_>, end: End) -> Shared<Endpoint> {
        if !seat.place.is_local {
            return Shared::NOTHING;
        }
        if let Some(pod) = seat.pod.owner() {
            return pod.end.clone();
        }
        self.counts.unresolved(end, seat.pod.reason().map_or("", Reason::name));
        self.nameless.0.clone()
    }

    /// The address that the client used, if destination NAT replaced it. It is told even when no
    /// Service is known by it.
    fn service(&self, cluster: &Cluster, due: &Due<'_>) -> Service {
        let Some((ip, port)) = service_address(due) else { return Service::default() };
        let time_ms = due.start_ns / 1_000_000;
        let found = cluster.service(ip, port, due.original.protocol(), time_ms);
        if let Some(reason) = found.reason() {
            self.counts.unresolved(End::Service, reason.name());
        }
        let name = found.owner().map(|service| service.port_name.clone()).unwrap_or_default();
        Service { ip: Some(ip), port, name }
    }
}

/// Whether a name that is missing is only a matter of time: news of it may be on their way.
fn may_be_known_soon<T>(found: Lookup<'_, T>, time_ms: u64, known_until_ms: u64) -> bool {
    match found.reason() {
        Some(Reason::TooRecent | Reason::NotListed) => true,
        Some(Reason::Unknown) => time_ms > known_until_ms,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
