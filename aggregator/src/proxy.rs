//! Mode `Proxy`: records go on as they come, one for one.
//!
//! Nothing is kept of them, so that any number of these may share the sessions. A record says who
//! told it (its origin) and which way the flow passed that Node.

use flow::{Batch, Direction, FlowRecord, FlowType};
use tokio::sync::mpsc;

use crate::collect::Reported;
use crate::enrich::Enricher;
use crate::fan_out::FanOut;

/// Messages taken at a time.
const MESSAGES: usize = 64;
/// Records per batch at most.
const BATCH: usize = 1024;

/// Runs until `queue` is closed. `clock` says the time in milliseconds since 1970.
pub async fn run(
    mut queue: mpsc::Receiver<Reported>,
    mut enricher: Option<Enricher>,
    fan_out: FanOut,
    clock: impl Fn() -> u64,
) {
    let mut messages = Vec::new();
    let mut records: Vec<FlowRecord> = Vec::new();
    while queue.recv_many(&mut messages, MESSAGES).await > 0 {
        for Reported { records: told, .. } in messages.drain(..) {
            records.extend(told);
        }
        for record in &mut records {
            record.direction = direction(record);
        }
        if let Some(enricher) = &mut enricher {
            enricher.enrich(&mut records, clock());
        }
        let mut rest = records.drain(..);
        while rest.len() > 0 {
            let batch: Batch = rest.by_ref().take(BATCH).collect();
            fan_out.keep_pace().await;
            fan_out.send(&batch);
        }
    }
}

/// Which way a flow passes the Node that tells it: Antrea's rules, by what that Node named. Our
/// exporters name the Node even where they do not know which of its Pods it is.
pub fn direction(record: &FlowRecord) -> Direction {
    let is_here = |end: &flow::Endpoint| !end.pod.is_empty() || !end.node.is_empty();
    let (source, destination) = (is_here(&record.source), is_here(&record.destination));
    match record.flow_type {
        FlowType::InterNode if source && !destination => Direction::Egress,
        FlowType::InterNode if destination && !source => Direction::Ingress,
        FlowType::ToExternal if source => Direction::Egress,
        FlowType::FromExternal if destination => Direction::Ingress,
        _ => Direction::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_follows_from_type_and_ends() {
        use Direction::{Egress, Ingress, Unspecified};
        use FlowType::{FromExternal, InterNode, IntraNode, ToExternal};
        for (flow_type, pods, expected) in [
            (InterNode, ["a", ""], Egress),
            (InterNode, ["", "b"], Ingress),
            (InterNode, ["a", "b"], Unspecified),
            (InterNode, ["", ""], Unspecified),
            (IntraNode, ["a", "b"], Unspecified),
            (ToExternal, ["a", ""], Egress),
            (ToExternal, ["", ""], Unspecified),
            (FromExternal, ["", "b"], Ingress),
            (FromExternal, ["", ""], Unspecified),
            (FlowType::Unspecified, ["a", ""], Unspecified),
        ] {
            let mut record = FlowRecord { flow_type, ..FlowRecord::default() };
            [record.source.pod, record.destination.pod] = pods.map(Into::into);
            assert_eq!(direction(&record), expected, "{flow_type:?} {pods:?}");
        }
    }
}
