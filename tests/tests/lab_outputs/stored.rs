//! What ClickHouse and S3 have of each connection, asked without the product.

use std::collections::BTreeMap;

use tests::clickhouse::Engine;
use tests::s3::Moto;

use crate::{Counts, Key};

/// How many rows there are, and by connection the sums of the flow's deltas and the last of its
/// totals, then the same of each Node. What is one connection must be one flow.
pub(crate) fn in_click_house(
    engine: &Engine,
    database: &str,
) -> (usize, BTreeMap<Key, Vec<Counts>>) {
    let counts = ["", "FromSourceNode", "FromDestinationNode"].map(|told| {
        let [deltas, totals] = [("sum", "Delta"), ("max", "Total")].map(|(function, kind)| {
            let names = ["packet", "octet", "reversePacket", "reverseOctet"];
            names.map(|name| format!("{function}({name}{kind}Count{told})")).join(", ")
        });
        format!("{deltas}, {totals}")
    });
    let key = "protocolIdentifier, sourceIP, sourceTransportPort, destinationIP, \
               destinationTransportPort, destinationServicePort";
    let answer = engine.ask(&format!(
        "SELECT count(), {key}, {} FROM {database}.flows GROUP BY flowId, {key}",
        counts.join(", ")
    ));
    let (mut rows, mut flows) = (0, BTreeMap::new());
    for line in answer.lines() {
        let mut columns = line.split('\t');
        rows += columns.next().expect("a count").parse::<usize>().expect("a number");
        let key = columns.by_ref().take(6).collect::<Vec<_>>().join(" ");
        let numbers: Vec<u64> = columns.map(|it| it.parse().expect("a number")).collect();
        let (counts, []) = numbers.as_chunks() else { panic!("{line}") };
        let before = flows.insert(key, counts.to_vec());
        assert!(before.is_none(), "two flows of one connection: {line}");
    }
    (rows, flows)
}

/// The same but for what each Node told, for which Antrea's rows have no room.
pub(crate) fn in_s3(moto: &Moto, bucket: &str) -> (usize, BTreeMap<Key, Vec<Counts>>) {
    let (mut rows, mut flows) = (0, BTreeMap::new());
    for row in moto.judge().objects(bucket).iter().flat_map(|object| &object.rows) {
        rows += 1;
        let key = [9, 5, 7, 6, 8, 26].map(|column| row[column].as_str()).join(" ");
        let number = |column: usize| row[column].parse::<u64>().expect("a number");
        let flow = flows.entry(key).or_insert_with(|| vec![[0; 4]; 2]);
        for (at, (delta, total)) in [(12, 10), (13, 11), (16, 14), (17, 15)].into_iter().enumerate()
        {
            flow[0][at] += number(delta);
            flow[1][at] = flow[1][at].max(number(total));
        }
    }
    (rows, flows)
}
