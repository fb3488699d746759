//! What rows say, value by value, after Antrea's conventions.

use std::sync::Arc;

use store::clickhouse::{Block, Client, Columns, Insert, Trust};
use tests::clickhouse::{Engine, antrea_table};
use tests::records::aggregated;

use crate::client::options;

const UUID: &str = "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5";

async fn insert(client: &Client, record: flow::FlowRecord) -> Columns {
    let columns = Columns::read(client, "flows").await.expect("columns");
    let mut block = Block::new(&columns, UUID);
    block.push(&[record]);
    let insert = Insert { table: "flows".into(), settings: Vec::new() };
    client.insert(insert, &Arc::new(block), 0..1).await.expect("it is taken");
    columns
}

/// A row as ClickHouse tells it, and what it must say. `timeInserted` is the server's.
fn compare(engine: &Engine, expected: &str) {
    let expected: serde_json::Value = serde_json::from_str(expected).expect("JSON");
    let answer = engine.ask(
        "SELECT * EXCEPT timeInserted FROM flows SETTINGS output_format_json_quote_64bit_integers \
         = 0, session_timezone = 'UTC' FORMAT JSONEachRow",
    );
    let row: serde_json::Value = serde_json::from_str(&answer).expect("one row");
    let (row, expected) = (row.as_object().expect("it"), expected.as_object().expect("it"));
    for (name, value) in expected {
        assert_eq!(row.get(name), Some(value), "{name}");
    }
    assert_eq!(row.len(), expected.len());
}

/// Of `aggregated`, by hand.
const EXPECTED: &str = r#"{
            "flowStartSeconds": "2023-11-14 22:13:20",
            "flowEndSeconds": "2023-11-14 22:13:29",
            "flowEndSecondsFromSourceNode": "2023-11-14 22:13:28",
            "flowEndSecondsFromDestinationNode": "1970-01-01 00:00:00",
            "flowEndReason": 3,
            "sourceIP": "10.0.0.1",
            "destinationIP": "fd00::2",
            "sourceTransportPort": 40000,
            "destinationTransportPort": 8080,
            "protocolIdentifier": 6,
            "packetTotalCount": 1000,
            "octetTotalCount": 1001,
            "packetDeltaCount": 1002,
            "octetDeltaCount": 1003,
            "reversePacketTotalCount": 8589934592,
            "reverseOctetTotalCount": 8589934593,
            "reversePacketDeltaCount": 8589934594,
            "reverseOctetDeltaCount": 8589934595,
            "sourcePodName": "web-0",
            "sourcePodNamespace": "shop",
            "sourceNodeName": "node-a",
            "destinationPodName": "db-0",
            "destinationPodNamespace": "data",
            "destinationNodeName": "node-b",
            "destinationClusterIP": "10.96.0.1",
            "destinationServicePort": 80,
            "destinationServicePortName": "data/db:sql",
            "ingressNetworkPolicyName": "ingress-policy",
            "ingressNetworkPolicyNamespace": "ingress-space",
            "ingressNetworkPolicyRuleName": "ingress-rule",
            "ingressNetworkPolicyRuleAction": 1,
            "ingressNetworkPolicyType": 4,
            "egressNetworkPolicyName": "egress-policy",
            "egressNetworkPolicyNamespace": "egress-space",
            "egressNetworkPolicyRuleName": "egress-rule",
            "egressNetworkPolicyRuleAction": 3,
            "egressNetworkPolicyType": 2,
            "tcpState": "TIME_WAIT",
            "flowType": 2,
            "sourcePodLabels": "{\"app\":\"it's\"}",
            "destinationPodLabels": "{}",
            "throughput": 4000,
            "reverseThroughput": 4001,
            "throughputFromSourceNode": 2020,
            "throughputFromDestinationNode": 3020,
            "reverseThroughputFromSourceNode": 2021,
            "reverseThroughputFromDestinationNode": 3021,
            "clusterUUID": "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5",
            "trusted": 0,
            "egressName": "way-out",
            "egressIP": "192.0.2.7",
            "egressNodeName": "node-c"
}"#;

#[tokio::test]
async fn antreas_columns_say_what_antrea_says() {
    let engine = Engine::start();
    let client = Client::new(options(&engine.url(), Trust::Anybody));
    client.execute(antrea_table("flows")).await.expect("a table");
    let mut record = aggregated("10.0.0.1", "fd00::2", "10.96.0.1");
    record.source.labels = r#"{"app":"it's"}"#.into();
    record.destination.labels = "{}".into();
    record.joined.from_destination.end_ms = 0;
    let columns = insert(&client, record).await;
    assert_eq!(columns.names().count(), 51);
    assert!(columns.missing_of_antrea().is_empty() && columns.is_deduplicating());
    compare(&engine, EXPECTED);
    assert_eq!(engine.number("SELECT abs(now() - timeInserted) < 60 FROM flows"), 1);
}

#[tokio::test]
async fn further_columns_are_written_as_their_types_say() {
    let engine = Engine::start();
    let client = Client::new(options(&engine.url(), Trust::Anybody));
    let table = "CREATE TABLE flows (timeInserted DateTime64(3) DEFAULT now64(3), \
        trusted UInt8 DEFAULT 9, other String DEFAULT 'theirs', host String MATERIALIZED 'h', \
        sourceIP String, destinationServiceIP LowCardinality(String), proxySnatIP String, \
        flowEndMilliseconds DateTime64(3, 'UTC'), flowStartMilliseconds UInt64, \
        flowEndMillisecondsFromSourceNode DateTime('UTC'), flowId UInt64, sourcePodUUID UUID, \
        destinationPodUUID String, egressUUID String, flowDirection UInt8, \
        sourcePodName LowCardinality(Nullable(String)), proxySnatPort UInt16) \
        ENGINE = MergeTree ORDER BY timeInserted";
    client.execute(table).await.expect("a table");
    let mut record = aggregated("10.0.0.1", "10.0.0.2", "fd00::80");
    record.key.source = [0, 0, 0, 0].into();
    record.flow_id = 1 << 63;
    let uid: flow::Uid = UUID.parse().expect("a UUID");
    record.uids = flow::Shared::default();
    record.source.pod_uid = Some(uid);
    record.destination.pod_uid = Some(uid);
    let columns = insert(&client, record).await;
    assert_eq!(columns.names().count(), 13);
    assert!(!columns.is_deduplicating());
    compare(
        &engine,
        r#"{
            "trusted": 9,
            "other": "theirs",
            "sourceIP": "",
            "destinationServiceIP": "fd00::80",
            "proxySnatIP": "10.0.0.2",
            "flowEndMilliseconds": "2023-11-14 22:13:29.456",
            "flowStartMilliseconds": 1700000000123,
            "flowEndMillisecondsFromSourceNode": "2023-11-14 22:13:28",
            "flowId": 9223372036854775808,
            "sourcePodUUID": "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5",
            "destinationPodUUID": "0f6b3c9e-75ad-4d1c-8f02-00a1b2c3d4e5",
            "egressUUID": "",
            "flowDirection": 1,
            "sourcePodName": "web-0",
            "proxySnatPort": 52391
}"#,
    );
}
