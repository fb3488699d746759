//! What only the aggregator knows: each Node's own counters, and how the halves met.

use ipfix::registry::antrea;

use super::antrea::{seconds, set_seconds};
use super::{Access, Field, one, part, rows, unregistered};
use crate::{Correlation, FlowRecord, Joined, Side};

rows! {
pub(super) static ROWS: [Field; 33] = [
    unregistered("flowCorrelation", Access::U8 { get: |r| r.correlation as u8, set: |r, v| r.correlation = Correlation::from_u8(v) }),
    one("throughput", antrea::THROUGHPUT, part!(U64, joined.throughput)).at(&[13, 11]),
    one("reverseThroughput", antrea::REVERSE_THROUGHPUT, part!(U64, joined.reverse_throughput)).at(&[13, 12]),
    unregistered("flowIdFromSourceNode", part!(U64, joined.from_source.flow_id)),
    unregistered("observationDomainIdFromSourceNode", Access::U64 { get: |r| r.joined.from_source.domain.into(), set: |r, v| set_domain(r, |joined| &mut joined.from_source, v) }),
    one("flowEndSecondsFromSourceNode", antrea::FLOW_END_SECONDS_FROM_SOURCE_NODE, Access::Seconds { get: |r| seconds(r.joined.from_source.end_ms), set: |r, v| set_end(r, |joined| &mut joined.from_source, v) }),
    unregistered("flowStartMillisecondsFromSourceNode", part!(Milliseconds, joined.from_source.start_ms)),
    unregistered("flowEndMillisecondsFromSourceNode", part!(Milliseconds, joined.from_source.end_ms)).at(&[13, 1]),
    one("packetTotalCountFromSourceNode", antrea::PACKET_TOTAL_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.forward.packets_total)).at(&[13, 3, 1]),
    one("octetTotalCountFromSourceNode", antrea::OCTET_TOTAL_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.forward.octets_total)).at(&[13, 3, 3]),
    one("packetDeltaCountFromSourceNode", antrea::PACKET_DELTA_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.forward.packets_delta)).at(&[13, 3, 2]),
    one("octetDeltaCountFromSourceNode", antrea::OCTET_DELTA_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.forward.octets_delta)).at(&[13, 3, 4]),
    one("reversePacketTotalCountFromSourceNode", antrea::REVERSE_PACKET_TOTAL_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.reverse.packets_total)).at(&[13, 4, 1]),
    one("reverseOctetTotalCountFromSourceNode", antrea::REVERSE_OCTET_TOTAL_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.reverse.octets_total)).at(&[13, 4, 3]),
    one("reversePacketDeltaCountFromSourceNode", antrea::REVERSE_PACKET_DELTA_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.reverse.packets_delta)).at(&[13, 4, 2]),
    one("reverseOctetDeltaCountFromSourceNode", antrea::REVERSE_OCTET_DELTA_COUNT_FROM_SOURCE_NODE, part!(U64, joined.from_source.reverse.octets_delta)).at(&[13, 4, 4]),
    one("throughputFromSourceNode", antrea::THROUGHPUT_FROM_SOURCE_NODE, part!(U64, joined.from_source.throughput)).at(&[13, 7]),
    one("reverseThroughputFromSourceNode", antrea::REVERSE_THROUGHPUT_FROM_SOURCE_NODE, part!(U64, joined.from_source.reverse_throughput)).at(&[13, 8]),
    unregistered("flowIdFromDestinationNode", part!(U64, joined.from_destination.flow_id)),
    unregistered("observationDomainIdFromDestinationNode", Access::U64 { get: |r| r.joined.from_destination.domain.into(), set: |r, v| set_domain(r, |joined| &mut joined.from_destination, v) }),
    one("flowEndSecondsFromDestinationNode", antrea::FLOW_END_SECONDS_FROM_DESTINATION_NODE, Access::Seconds { get: |r| seconds(r.joined.from_destination.end_ms), set: |r, v| set_end(r, |joined| &mut joined.from_destination, v) }),
    unregistered("flowStartMillisecondsFromDestinationNode", part!(Milliseconds, joined.from_destination.start_ms)),
    unregistered("flowEndMillisecondsFromDestinationNode", part!(Milliseconds, joined.from_destination.end_ms)).at(&[13, 2]),
    one("packetTotalCountFromDestinationNode", antrea::PACKET_TOTAL_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.forward.packets_total)).at(&[13, 5, 1]),
    one("octetTotalCountFromDestinationNode", antrea::OCTET_TOTAL_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.forward.octets_total)).at(&[13, 5, 3]),
    one("packetDeltaCountFromDestinationNode", antrea::PACKET_DELTA_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.forward.packets_delta)).at(&[13, 5, 2]),
    one("octetDeltaCountFromDestinationNode", antrea::OCTET_DELTA_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.forward.octets_delta)).at(&[13, 5, 4]),
    one("reversePacketTotalCountFromDestinationNode", antrea::REVERSE_PACKET_TOTAL_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.reverse.packets_total)).at(&[13, 6, 1]),
    one("reverseOctetTotalCountFromDestinationNode", antrea::REVERSE_OCTET_TOTAL_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.reverse.octets_total)).at(&[13, 6, 3]),
    one("reversePacketDeltaCountFromDestinationNode", antrea::REVERSE_PACKET_DELTA_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.reverse.packets_delta)).at(&[13, 6, 2]),
    one("reverseOctetDeltaCountFromDestinationNode", antrea::REVERSE_OCTET_DELTA_COUNT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.reverse.octets_delta)).at(&[13, 6, 4]),
    one("throughputFromDestinationNode", antrea::THROUGHPUT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.throughput)).at(&[13, 9]),
    one("reverseThroughputFromDestinationNode", antrea::REVERSE_THROUGHPUT_FROM_DESTINATION_NODE, part!(U64, joined.from_destination.reverse_throughput)).at(&[13, 10]),
];
}

/// Domains have 32 bits, and their column 64.
fn set_domain(record: &mut FlowRecord, side: fn(&mut Joined) -> &mut Side, value: u64) {
    if value != 0 || !record.joined.is_nothing() {
        side(&mut record.joined).domain = u32::try_from(value).unwrap_or(0);
    }
}

fn set_end(record: &mut FlowRecord, side: fn(&mut Joined) -> &mut Side, value: u32) {
    if value != 0 || !record.joined.is_nothing() {
        set_seconds(&mut side(&mut record.joined).end_ms, value);
    }
}
