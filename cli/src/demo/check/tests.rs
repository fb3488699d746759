//! Every kind of lie must turn the check red.

use std::net::SocketAddr;

use super::*;
use crate::demo::judge::FlowType;

const CLIENT: &str = "10.10.0.2:5000";
const SERVER: &str = "10.10.1.2:8080";

fn totals(octets: u64) -> Totals {
    Totals { packets: 6, octets, reverse_packets: 5, reverse_octets: 2 * octets }
}

/// A connection from web-0 on Node A to orders-0 on Node B, through a Service.
fn expected() -> ExpectedFlow {
    let web = Names { pod: "web-0", namespace: "shop", node: "node-a" };
    let orders = Names { pod: "orders-0", namespace: "shop", node: "node-b" };
    ExpectedFlow {
        scenario: "tcp to Service v4".to_owned(),
        kernel: KernelFlow {
            protocol: 6,
            flow_type: FlowType::InterNode,
            source: CLIENT.parse().unwrap(),
            destination: SERVER.parse().unwrap(),
            dialled: "10.96.0.10:80".parse().unwrap(),
            source_side: KernelSide { node: "node-a", id: 71, totals: totals(900) },
            destination_side: KernelSide { node: "node-b", id: 72, totals: totals(900) },
        },
        source: web,
        destination: orders,
        service: "shop/orders:http".to_owned(),
        service_port: 80,
    }
}

fn end(address: SocketAddr, names: &Names) -> SeenEnd {
    SeenEnd {
        address: address.ip(),
        port: address.port(),
        pod: names.pod.to_owned(),
        namespace: names.namespace.to_owned(),
        node: names.node.to_owned(),
    }
}

fn side(kernel: &KernelSide) -> SideTotals {
    let KernelSide { node, id, totals } = *kernel;
    SideTotals { conntrack_id: u64::from(id), node: node.to_owned(), totals }
}

/// What Fyke has for `expected` if it is right.
fn seen(expected: &ExpectedFlow) -> SeenFlow {
    let kernel = &expected.kernel;
    SeenFlow {
        flow_id: 1,
        records: 2,
        protocol: kernel.protocol,
        flow_type: kernel.flow_type.number(),
        source: end(kernel.source, &expected.source),
        destination: end(kernel.destination, &expected.destination),
        service: expected.service.clone(),
        service_port: expected.service_port,
        totals: kernel.source_side.totals,
        from_source: Some(side(&kernel.source_side)),
        from_destination: Some(side(&kernel.destination_side)),
    }
}

/// Changes what is right into something else, and returns what the check says of it.
fn check(lie: impl FnOnce(&mut SeenFlow)) -> Vec<String> {
    let mut flow = seen(&expected());
    lie(&mut flow);
    let verdict = compare(vec![expected()], &[flow]);
    assert_eq!(verdict.is_equal(), verdict.rows[0].is_equal());
    verdict.rows[0].differences.iter().map(ToString::to_string).collect()
}

#[test]
fn the_truth_is_green() {
    assert_eq!(check(|_| {}), [""; 0]);
    let verdict = compare(vec![expected()], &[seen(&expected())]);
    assert_eq!(verdict.check_line(), "check: 1 flows expected, 1 found, 0 mismatched: OK");
}

#[test]
fn one_octet_on_one_side_is_red() {
    assert_eq!(
        check(|flow| flow.from_destination.as_mut().unwrap().totals.octets -= 1),
        ["octets on node-b: 899, but the kernel counted 900"]
    );
    assert_eq!(
        check(|flow| flow.from_source.as_mut().unwrap().totals.reverse_packets += 1),
        ["reverse packets on node-a: 6, but the kernel counted 5"]
    );
}

#[test]
fn one_octet_of_the_flow_is_red() {
    assert_eq!(
        check(|flow| flow.totals.octets += 1),
        ["octets of the flow: 901, but the kernel of node-a counted 900"]
    );
    assert_eq!(
        check(|flow| flow.totals.reverse_packets = 0),
        ["reverse packets of the flow: 0, but the kernel of node-a counted 5"]
    );
}

#[test]
fn the_flows_numbers_are_the_source_nodes() {
    let mut expected = expected();
    expected.kernel.destination_side.totals = totals(899);
    let mut flow = seen(&expected);
    assert!(compare(vec![expected.clone()], &[flow.clone()]).is_equal());
    flow.totals = totals(899);
    assert!(!compare(vec![expected], &[flow]).is_equal());
}

#[test]
fn the_flows_numbers_are_the_destinations_where_the_source_never_told() {
    let mut expected = expected();
    expected.kernel.destination_side.totals = totals(899);
    let mut flow = seen(&expected);
    (flow.from_source, flow.totals) = (None, totals(899));
    let verdict = compare(vec![expected], &[flow]);
    let told: Vec<_> = verdict.rows[0].differences.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["the totals of node-a are missing"]);
}

#[test]
fn a_side_that_never_came_is_red() {
    assert_eq!(check(|flow| flow.from_source = None), ["the totals of node-a are missing"]);
}

#[test]
fn swapped_ends_are_red() {
    let told = check(|flow| std::mem::swap(&mut flow.source, &mut flow.destination));
    assert!(told.contains(&r#"source address is "10.10.1.2", not "10.10.0.2""#.to_owned()));
    let told = check(|flow| std::mem::swap(&mut flow.from_source, &mut flow.from_destination));
    assert!(told.contains(&r#"reporting Node is "node-b", not "node-a""#.to_owned()));
}

#[test]
fn wrong_words_are_red() {
    assert_eq!(
        check(|flow| flow.destination.pod = "cart-0".to_owned()),
        [r#"destination Pod is "cart-0", not "orders-0""#]
    );
    assert_eq!(check(|flow| flow.source.node.clear()), [r#"source Node is "", not "node-a""#]);
    assert_eq!(check(|flow| flow.service.clear()), [r#"Service is "", not "shop/orders:http""#]);
    assert_eq!(check(|flow| flow.service_port = 8080), [r#"Service port is "8080", not "80""#]);
    assert_eq!(check(|flow| flow.flow_type = 1), [r#"flow type is "1", not "2""#]);
    assert_eq!(check(|flow| flow.source.port = 1), [r#"source port is "1", not "5000""#]);
}

#[test]
fn a_missing_flow_is_red() {
    let verdict = compare(vec![expected()], &[]);
    assert!(!verdict.is_equal());
    assert_eq!((verdict.found(), verdict.missing(), verdict.mismatched()), (0, 1, 0));
    assert_eq!(verdict.check_line(), "check: 1 flows expected, 0 found, 0 mismatched: DIFFERENT");
}

#[test]
fn a_flow_too_many_is_red() {
    let mut stranger = seen(&expected());
    stranger.from_source.as_mut().unwrap().conntrack_id = 98;
    stranger.from_destination.as_mut().unwrap().conntrack_id = 99;
    let verdict = compare(vec![expected()], &[seen(&expected()), stranger]);
    assert!(!verdict.is_equal());
    assert_eq!((verdict.unexpected.len(), verdict.mismatched()), (1, 0));
    assert!(verdict.check_line().ends_with("0 mismatched, 1 unexpected: DIFFERENT"));
}

#[test]
fn one_connection_in_two_flows_is_red() {
    let mut half = seen(&expected());
    half.flow_id = 2;
    half.from_source = None;
    let mut other_half = seen(&expected());
    other_half.from_destination = None;
    let verdict = compare(vec![expected()], &[half, other_half]);
    let told = verdict.rows[0].differences[0].to_string();
    assert_eq!(told, "Fyke has 2 flows: [2, 1]");
    assert_eq!((verdict.mismatched(), verdict.unexpected.len()), (1, 0));
}

#[test]
fn an_id_on_another_node_is_another_connection() {
    let mut other = expected();
    other.kernel.source_side.node = "node-b";
    other.kernel.destination_side.node = "node-a";
    let verdict = compare(vec![other], &[seen(&expected())]);
    assert_eq!((verdict.missing(), verdict.unexpected.len()), (1, 1));
}

#[test]
fn a_flow_one_node_sees_is_told_once() {
    let mut expected = expected();
    expected.kernel.destination_side = expected.kernel.source_side;
    let mut flow = seen(&expected);
    for side in [&mut flow.from_source, &mut flow.from_destination] {
        side.as_mut().unwrap().totals.packets = 0;
    }
    let verdict = compare(vec![expected], &[flow]);
    assert_eq!(verdict.rows[0].differences.len(), 1);
}

#[test]
fn the_node_traffic_came_in_by_need_not_be_named() {
    let mut expected = expected();
    expected.kernel.flow_type = FlowType::FromExternal;
    let mut flow = seen(&expected);
    flow.from_source.as_mut().unwrap().node.clear();
    assert!(compare(vec![expected], &[flow]).is_equal());
}

#[test]
fn an_echo_has_no_destination_port() {
    let mut expected = expected();
    expected.kernel.protocol = 1;
    let mut flow = seen(&expected);
    flow.destination.port = 0;
    assert!(compare(vec![expected], &[flow]).is_equal());
}

#[test]
fn the_table_puts_both_witnesses_side_by_side() {
    let mut flow = seen(&expected());
    flow.from_destination.as_mut().unwrap().totals.octets = 1;
    let mut out = Vec::new();
    compare(vec![expected()], &[flow]).write_table(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let line = "tcp to Service v4  inter-node  web-0  orders-0 via shop/orders:http  node-a  \
                6/5 | 6/5              900/1800 | 900/1800  DIFFERENT";
    assert!(text.lines().any(|got| got == line), "{text}");
    assert!(text.contains("octets on node-b: 1, but the kernel counted 900\n"), "{text}");
}

#[test]
fn json_has_both_totals_of_each_side() {
    let verdict = compare(vec![expected()], &[seen(&expected())]);
    let json: serde_json::Value = serde_json::from_str(&verdict.to_json().unwrap()).unwrap();
    assert_eq!((&json["ok"], &json["expected"]), (&true.into(), &1.into()));
    let sides = json["flows"][0]["sides"].as_array().unwrap();
    assert_eq!(sides.len(), 2);
    assert_eq!(sides[1]["node"], "node-b");
    assert_eq!(sides[1]["fyke"]["reverseOctets"], 1800);
    assert_eq!(sides[1]["kernel"], sides[1]["fyke"]);
}
