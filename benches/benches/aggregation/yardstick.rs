//! Aggregation as anybody would write it.

use flow::{Counters, Endpoint, FlowKey, FlowRecord, Name, PolicyRule, Service};
use hashbrown::HashMap;

/// Flows by their 5-tuple.
#[derive(Default)]
pub(crate) struct Yardstick {
    flows: HashMap<FlowKey, Flow>,
}

#[derive(Default)]
struct Flow {
    source: Endpoint,
    destination: Endpoint,
    service: Service,
    ingress: PolicyRule,
    egress: PolicyRule,
    tcp_state: Name,
    start_ms: u64,
    end_ms: u64,
    /// Forward and reverse, of the source's and the destination's Node.
    counters: [[Counters; 2]; 2],
}

impl Yardstick {
    pub(crate) fn receive_all(&mut self, records: &[FlowRecord]) {
        for record in records {
            self.receive(record);
        }
    }

    pub(crate) fn receive(&mut self, record: &FlowRecord) {
        let flow = self.flows.entry(record.key).or_default();
        if flow.source.pod.is_empty() && !record.source.pod.is_empty() {
            flow.source = Endpoint::clone(&record.source);
        }
        if flow.destination.pod.is_empty() && !record.destination.pod.is_empty() {
            flow.destination = Endpoint::clone(&record.destination);
        }
        if flow.service.name.is_empty() && !record.service.name.is_empty() {
            flow.service = record.service.clone();
        }
        if flow.ingress.name.is_empty() && !record.ingress.name.is_empty() {
            flow.ingress = PolicyRule::clone(&record.ingress);
        }
        if flow.egress.name.is_empty() && !record.egress.name.is_empty() {
            flow.egress = PolicyRule::clone(&record.egress);
        }
        if flow.start_ms == 0 {
            flow.start_ms = record.start_ms;
        }
        flow.end_ms = flow.end_ms.max(record.end_ms);
        flow.tcp_state = record.tcp_state.clone();
        let node = usize::from(record.source.pod.is_empty());
        for (sum, told) in flow.counters[node].iter_mut().zip([record.forward, record.reverse]) {
            sum.packets_total = told.packets_total;
            sum.octets_total = told.octets_total;
            sum.packets_delta += told.packets_delta;
            sum.octets_delta += told.octets_delta;
        }
    }
}
