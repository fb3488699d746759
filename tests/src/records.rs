//! A record with a value of its own in every attribute that counts, for tests of the wire.

use std::net::IpAddr;

use flow::{Counters, Endpoint, FlowEndReason, FlowKey, FlowRecord};

/// Four different numbers, from `base` on.
pub fn counters(base: u64) -> Counters {
    Counters {
        packets_total: base,
        octets_total: base + 1,
        packets_delta: base + 2,
        octets_delta: base + 3,
    }
}

/// What the source's Node tells of a TCP connection between two addresses.
pub fn record(source: &str, destination: &str) -> FlowRecord {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    FlowRecord {
        key: FlowKey {
            source: address(source),
            destination: address(destination),
            source_port: 40_000,
            destination_port: 8080,
            protocol: 6,
            icmp_type_code: 0,
        },
        start_ms: 1_700_000_000_123,
        end_ms: 1_700_000_009_456,
        end_reason: FlowEndReason::EndOfFlow,
        forward: counters(1000),
        reverse: counters(1 << 33),
        source: Endpoint { pod: "web-0".into(), namespace: "shop".into(), node: "node-a".into() },
        tcp_state: "TIME_WAIT".into(),
        ..FlowRecord::default()
    }
}
