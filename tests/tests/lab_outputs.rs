//! The lab's flows arrive complete: what two Nodes' kernels count of real connections is what
//! ClickHouse and S3 have of them.

#[path = "lab_outputs/kernel.rs"]
mod kernel; // what `conntrack -E` says
#[path = "lab_outputs/stored.rs"]
mod stored; // what the outputs have
#[path = "lab_outputs/stand.rs"]
mod stand; // the lab, and who runs in it

use std::collections::BTreeMap;

use stand::Stand;

/// By what a connection is known wherever it is told: protocol, both ends, and the port that was
/// dialled if that was a Service's.
type Key = String;

/// Packets and octets there, packets and octets back.
type Counts = [u64; 4];

/// What is not the same at both places, or not at both of them.
fn differences<'a>(
    one: &'a BTreeMap<Key, Vec<Counts>>,
    other: &'a BTreeMap<Key, Vec<Counts>>,
) -> BTreeMap<&'a Key, [Option<&'a Vec<Counts>>; 2]> {
    let keys = one.keys().chain(other.keys());
    let both = keys.map(|key| (key, [one.get(key), other.get(key)]));
    both.filter(|(_, [one, other])| one != other).collect()
}

#[test]
fn what_the_kernels_count_is_in_clickhouse_and_in_s3() {
    let stand = Stand::new("tlabout");
    let driven = stand.drive("whole");
    let kernel = kernel::connections(&stand.told_by_kernels());
    assert!(driven > 40, "{driven} connections show little");
    assert_eq!(kernel.len(), driven, "the kernels saw what was driven");
    let expected = kernel.iter().map(|(key, ends)| (key.clone(), ends.everywhere())).collect();
    let in_common = kernel.iter().map(|(key, ends)| (key.clone(), ends.in_common())).collect();

    let (rows, table) = stored::in_click_house(&stand.engine, "whole");
    let missed = differences(&expected, &table);
    assert!(missed.is_empty(), "the kernels and ClickHouse: {missed:?}");
    assert!(rows > driven, "{rows} rows: those that lasted were told more than once");
    let (rows_of_objects, objects) = stored::in_s3(&stand.moto, "whole");
    let missed = differences(&in_common, &objects);
    assert!(missed.is_empty(), "the kernels and S3: {missed:?}");
    assert_eq!(rows_of_objects, rows, "both were given the same");

    // Neither comparison is good for nothing: what lacks two messages is not the same.
    stand.replay_without_the_longest_messages("lacking");
    let (_, table) = stored::in_click_house(&stand.engine, "lacking");
    let (_, objects) = stored::in_s3(&stand.moto, "lacking");
    for missed in [differences(&expected, &table), differences(&in_common, &objects)] {
        assert!(!missed.is_empty(), "nobody misses the messages");
        assert!(missed.len() < driven, "what others told is there");
    }
}
