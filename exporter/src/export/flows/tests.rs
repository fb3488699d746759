//! What a destination's compatibility makes of records, by the bytes of its messages.

use flow::{Counters, FlowKey};
use ipfix::encode::Packing;

use super::*;
use crate::destination::Redaction;

/// Behind the headers of message and set are both times in seconds, and behind the reason ports,
/// protocol and both totals.
const REASON: usize = 16 + 4 + 8;
const PACKET_DELTA: usize = REASON + 1 + 2 + 2 + 1 + 8 + 8;

fn flows(compatibility: Compatibility) -> Flows {
    let form =
        Form { compatibility, redaction: Redaction::default(), ..Form::plain(Profile::Antrea) };
    Flows::new(form, None)
}

/// Reason and packets of each message that a record becomes.
fn sent(record: FlowRecord, compatibility: Compatibility) -> Vec<(u8, u64)> {
    let flows = flows(compatibility);
    let mut encoder = Encoder::new(1, u16::MAX, Packing::OneRecord);
    let message = |record: Arc<FlowRecord>| {
        let mut bytes = Vec::new();
        Export::encode(&flows, &record, &mut encoder, 0, &mut bytes).unwrap();
        encoder.finish(&mut bytes);
        let packets = bytes[PACKET_DELTA..PACKET_DELTA + 8].try_into().unwrap();
        (bytes[REASON], u64::from_be_bytes(packets))
    };
    let (record, again) = flows.told(Arc::new(record));
    std::iter::once(record).chain(again).map(message).collect()
}

fn record(end_reason: FlowEndReason, packets: u64, action: u8) -> FlowRecord {
    let rule = PolicyRule { action, ..PolicyRule::default() };
    let forward = Counters { packets_total: 9, packets_delta: packets, ..Counters::default() };
    let key = FlowKey { protocol: 17, ..FlowKey::default() };
    FlowRecord { key, end_reason, forward, egress: rule.into(), ..FlowRecord::default() }
}

#[test]
fn antreas_collectors_are_told_of_silence_by_a_record_without_news() {
    use Compatibility::{Antrea, Ipfix};
    use FlowEndReason::{ActiveTimeout, EndOfFlow, IdleTimeout};
    for (reason, packets, compatibility, expected) in [
        (IdleTimeout, 7, Antrea, vec![(2, 7), (1, 0)]),
        (IdleTimeout, 7, Ipfix, vec![(1, 7)]),
        (IdleTimeout, 0, Antrea, vec![(1, 0)]),
        (ActiveTimeout, 7, Antrea, vec![(2, 7)]),
        (EndOfFlow, 7, Antrea, vec![(3, 7)]),
    ] {
        assert_eq!(sent(record(reason, packets, PolicyRule::ALLOW), compatibility), expected);
    }
}

#[test]
fn antreas_collectors_are_told_that_what_was_denied_has_ended() {
    use FlowEndReason::{ActiveTimeout, IdleTimeout};
    for action in [PolicyRule::DROP, PolicyRule::REJECT] {
        let denied = |reason| record(reason, 7, action);
        assert_eq!(sent(denied(ActiveTimeout), Compatibility::Antrea), [(3, 7)]);
        assert_eq!(sent(denied(IdleTimeout), Compatibility::Antrea), [(3, 7), (3, 0)]);
        assert_eq!(sent(denied(IdleTimeout), Compatibility::Ipfix), [(1, 7)]);
    }
}
