//! The store's flows as the demo's check wants them.

use std::path::Path;

use exporter::export::observation_domain;
use flow::{Endpoint, Side};

use crate::demo::Totals;
use crate::demo::check::{SeenEnd, SeenFlow, SideTotals};

/// The lab's Nodes. Records name those who reported them by Observation Domain only.
const NODES: [&str; 2] = ["node-a", "node-b"];

/// Reads every flow that is stored in `data`.
pub fn seen(data: &Path) -> anyhow::Result<Vec<SeenFlow>> {
    let (flows, scan) = store::Reader::open(data)?.flows()?;
    if let Some(skipped) = scan.first_skipped {
        anyhow::bail!("{} in the store cannot be read: {}", skipped.path.display(), skipped.reason);
    }
    Ok(flows.iter().map(of).collect())
}

fn of(flow: &store::Flow) -> SeenFlow {
    let record = &flow.record;
    let key = &record.key;
    SeenFlow {
        flow_id: record.flow_id,
        records: u32::try_from(flow.records).unwrap_or(u32::MAX),
        protocol: key.protocol,
        flow_type: record.flow_type as u8,
        source: end(&record.source, key.source, key.source_port),
        destination: end(&record.destination, key.destination, key.destination_port),
        service: record.service.name.to_string(),
        service_port: record.service.port,
        totals: Totals {
            packets: record.forward.packets_delta,
            octets: record.forward.octets_delta,
            reverse_packets: record.reverse.packets_delta,
            reverse_octets: record.reverse.octets_delta,
        },
        from_source: side(&record.joined.from_source),
        from_destination: side(&record.joined.from_destination),
    }
}

fn end(end: &Endpoint, address: std::net::IpAddr, port: u16) -> SeenEnd {
    SeenEnd {
        address,
        port,
        pod: end.pod.to_string(),
        namespace: end.namespace.to_string(),
        node: end.node.to_string(),
    }
}

/// What one Node reported; a flow that one Node sees whole has that Node on both sides.
fn side(side: &Side) -> Option<SideTotals> {
    let node = NODES.into_iter().find(|node| observation_domain(node) == side.domain)?;
    Some(SideTotals {
        conntrack_id: side.flow_id,
        node: node.to_owned(),
        totals: Totals {
            packets: side.forward.packets_delta,
            octets: side.forward.octets_delta,
            reverse_packets: side.reverse.packets_delta,
            reverse_octets: side.reverse.octets_delta,
        },
    })
}
