//! Random histories of two Nodes' exporters, told to the correlator and to a plain model.
//!
//! The model is a map from connection to what each Node last said of it. It joins nothing, forgets
//! nothing and knows no time: what it says must be told in the end, however records came.
use std::collections::BTreeMap;

use flow::{Correlation, FlowType};
use proptest::prelude::*;

use super::tests::{destination, ended, record, source, whole};
use super::*;

/// What happens to connection `conn` of a handful, some of which use a 5-tuple again.
#[derive(Debug, Clone)]
struct Step {
    conn: usize,
    /// Its Node that tells: 0 the source's.
    node: usize,
    octets: u64,
    /// Until the next step.
    pause_ms: u64,
    /// How long the record is under way; `None` if it is lost.
    delay_ms: Option<u64>,
    /// And a second time, if it comes twice.
    again_ms: Option<u64>,
    /// The Node's exporter has forgotten what it told: its delta is the whole total.
    is_restarted: bool,
    ends: bool,
}

const CONNECTIONS: usize = 6;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let delay = || prop_oneof![5 => 0..10_u64, 3 => 0..8_000_u64, 1 => 0..150_000_u64];
    let step = (
        (0..CONNECTIONS, 0..2_usize, 0..5_000_u64),
        prop_oneof![6 => 0..5_000_u64, 1 => 0..200_000_u64],
        prop_oneof![8 => delay().prop_map(Some), 1 => Just(None)],
        prop_oneof![8 => Just(None), 1 => delay().prop_map(Some)],
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
    );
    let step = step.prop_map(
        |((conn, node, octets), pause_ms, delay_ms, again_ms, is_restarted, ends)| Step {
            conn,
            node,
            octets,
            pause_ms,
            delay_ms,
            again_ms,
            is_restarted,
            ends,
        },
    );
    prop::collection::vec(step, 1..80)
}

/// One end's counters of one connection.
#[derive(Debug, Clone, Default)]
struct Counted {
    total: u64,
    /// Handed to records, lost ones among them.
    reported: u64,
    ended: bool,
    /// Totals and deltas of records that arrived, by arrival.
    arrived: Vec<(u64, u64)>,
}

/// Connections 0 and 1, 2 and 3, 4 and 5 have the same 5-tuple each, one minute apart; 4 and 5 are
/// within one Node.
fn is_whole(conn: usize) -> bool {
    conn >= 4
}

fn begins_ms(conn: usize) -> u64 {
    1_000_000 + (conn as u64 % 2) * 60_000
}

fn told_by(conn: usize, node: usize, mut told: FlowRecord) -> (FlowRecord, u32) {
    told.key.source_port = 1000 + u16::try_from(conn / 2).unwrap();
    told.flow_id = 7;
    // Clocks differ.
    told.start_ms += node as u64 * 300;
    match (is_whole(conn), node) {
        (true, _) => whole(told),
        (false, 0) => source(told),
        (false, _) => destination(told),
    }
}

/// Every record that arrives, by the time it does, and what each Node counted.
#[derive(Debug, Default)]
struct History {
    arrivals: Vec<(u64, (FlowRecord, u32))>,
    counted: BTreeMap<(usize, usize), Counted>,
    end_ms: u64,
}

/// A record of a connection's Node, with its domain.
struct Arrival {
    at_ms: u64,
    place: (usize, usize),
    told: (FlowRecord, u32),
}

fn history(steps: &[Step]) -> History {
    let mut history = History::default();
    let mut now_ms = begins_ms(1);
    let mut arrivals: Vec<Arrival> = Vec::new();
    for step in steps {
        // Not so long that anybody forgets.
        if now_ms < begins_ms(1) + 1_500_000 {
            now_ms += step.pause_ms;
        }
        let node = if is_whole(step.conn) { 0 } else { step.node };
        let place = (step.conn, node);
        let counted = history.counted.entry(place).or_default();
        if counted.ended {
            continue;
        }
        counted.total += step.octets;
        counted.ended = step.ends;
        let delta =
            if step.is_restarted { counted.total } else { counted.total - counted.reported };
        counted.reported = counted.total;
        let told = record(begins_ms(step.conn), now_ms, counted.total, delta);
        let told = if step.ends { ended(told) } else { told };
        let told = told_by(step.conn, node, told);
        let again_ms = step.again_ms.filter(|_| step.delay_ms.is_some());
        for delay_ms in [step.delay_ms, again_ms].into_iter().flatten() {
            arrivals.push(Arrival { at_ms: now_ms + delay_ms, place, told: told.clone() });
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at_ms);
    for Arrival { at_ms: at, place, told } in arrivals {
        let (total, delta) = (told.0.forward.octets_total, told.0.forward.octets_delta);
        history.counted.entry(place).or_default().arrived.push((total, delta));
        history.arrivals.push((at, told));
        history.end_ms = at;
    }
    history
}

/// What has to be told of a Node's half: everything from the first record that arrived on to the
/// largest total that did.
fn expected(counted: &Counted) -> u64 {
    let Some((total, delta)) = counted.arrived.first() else { return 0 };
    let most = counted.arrived.iter().map(|(total, _)| *total).max().unwrap_or(0);
    most - (total - delta)
}

/// Sums what was told by connection and side: its Node and the start it gave.
fn told_sums(told: &[FlowRecord]) -> BTreeMap<(u16, u64, u32), u64> {
    let mut sums = BTreeMap::new();
    for flow in told {
        // One that a Node sees whole has the same on both sides.
        let sides = match flow.flow_type {
            FlowType::IntraNode => &[&flow.joined.from_source][..],
            _ => &[&flow.joined.from_source, &flow.joined.from_destination][..],
        };
        for side in sides.iter().filter(|side| side.start_ms != 0) {
            let place = (flow.key.source_port, side.start_ms, side.domain);
            *sums.entry(place).or_default() += side.forward.octets_delta;
        }
    }
    sums
}

fn run(history: &History, max_flows: usize) -> (Vec<FlowRecord>, CorrelatorStats) {
    let mut correlator = Correlator::new(super::tests::TIMEOUTS, max_flows);
    let mut told = Vec::new();
    for (at, (record, domain)) in &history.arrivals {
        // A few at a time.
        let mut due = correlator.due(*at);
        while correlator.expire_some(&mut due, told.len() + 1, &mut told) {}
        correlator.receive(record, *domain, *at);
    }
    // Whoever stays alone is told after the inactive timeout; what is left, at the end.
    correlator.expire(history.end_ms + 30_000, &mut told);
    correlator.flush(history.end_ms + 30_000, &mut told);
    (told, correlator.stats())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_told_twice_and_nothing_is_lost(steps in steps()) {
        let history = history(&steps);
        let (told, stats) = run(&history, 1000);
        let sums = told_sums(&told);
        let mut missing = 0;
        for ((conn, node), counted) in &history.counted {
            let start_ms = begins_ms(*conn) + if is_whole(*conn) { 0 } else { *node as u64 * 300 };
            let port = 1000 + u16::try_from(conn / 2).unwrap();
            let domain = 1 + u32::try_from(*node).unwrap();
            let sum = sums.get(&(port, start_ms, domain)).copied().unwrap_or(0);
            prop_assert_eq!(sum, expected(counted), "{} {} {:?}", conn, node, counted);
            if let Some((total, delta)) = counted.arrived.first() {
                // What came before the first record is nobody's to tell, but is counted, unless its
                // exporter says that it tells of nothing.
                missing += if *delta == 0 { 0 } else { total - delta };
            }
        }
        prop_assert!(stats.gap_octets >= missing, "{} {}", stats.gap_octets, missing);
        prop_assert_eq!(stats.received, history.arrivals.len() as u64);
    }

    #[test]
    fn a_connection_has_one_id_and_no_other_has_it(steps in steps()) {
        let (told, _) = run(&history(&steps), 1000);
        let mut owners = BTreeMap::new();
        for flow in told.iter().filter(|flow| flow.correlation == Correlation::Complete) {
            let owner = (flow.key.source_port, flow.joined.from_source.start_ms);
            prop_assert_eq!(*owners.entry(flow.flow_id).or_insert(owner), owner);
            let skew = flow.joined.from_source.start_ms.abs_diff(flow.joined.from_destination.start_ms);
            prop_assert!(skew <= 300, "halves of two connections are joined");
        }
    }

    /// Whether there is room for all flows or none, Nodes' sums are the same.
    #[test]
    fn without_room_the_sums_of_nodes_are_right(steps in steps(), max_flows in 0_usize..4) {
        let history = history(&steps);
        let (told, stats) = run(&history, max_flows);
        let mut expected_sums = BTreeMap::new();
        for ((_, node), counted) in &history.counted {
            *expected_sums.entry(1 + u32::try_from(*node).unwrap()).or_insert(0) += expected(counted);
        }
        let mut sums: BTreeMap<_, _> = expected_sums.keys().map(|node| (*node, 0)).collect();
        for flow in &told {
            let both = [&flow.joined.from_source, &flow.joined.from_destination];
            let sides = if flow.flow_type == FlowType::IntraNode { &both[..1] } else { &both[..] };
            for side in sides.iter().filter(|side| side.domain != 0) {
                *sums.entry(side.domain).or_insert(0) += side.forward.octets_delta;
            }
        }
        prop_assert_eq!(sums, expected_sums);
        prop_assert!(max_flows > 0 || stats.folded == stats.received);
    }
}
