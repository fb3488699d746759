use std::collections::HashSet;

use ipfix::decode::{Limits, Session};

use super::*;

fn decoded(messages: &Messages) -> Vec<(usize, Vec<Vec<u8>>)> {
    let mut session = Session::new(Limits::default());
    let mut records = Vec::new();
    for message in messages.iter() {
        let visit = |(): &(), _: &Template, record: ipfix::decode::DataRecord<'_>| {
            let values: Vec<_> = record.values().map(<[u8]>::to_vec).collect();
            records.push((message.len(), values));
        };
        session.decode(message, |_| (), visit).expect("it is sound");
    }
    records
}

/// How long the Data Records are on the wire, by the lengths of what they say.
fn sizes(records: &[Record]) -> Vec<usize> {
    let fixed: u16 = ELEMENTS.iter().map(|element| element.length).filter(|l| *l < 255).sum();
    let texts = |record: &Record| record.texts().iter().map(|text| 1 + text.len()).sum::<usize>();
    let mut sizes: Vec<_> =
        records.iter().map(|record| usize::from(fixed) + texts(record)).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn records_are_as_long_as_those_of_a_real_cluster() {
    let records = records(RECORDS);
    let sizes = sizes(&records);
    let total: usize = sizes.iter().sum();
    let at = |percent: usize| sizes[(RECORDS - 1) * percent / 100];
    let texts: HashSet<_> = records.iter().flat_map(Record::texts).collect();
    let tuples: HashSet<_> = records
        .iter()
        .map(|r| (r.source_address, r.destination_address, r.source_port, r.destination_port))
        .collect();
    println!(
        "{total} bytes, median {}, p99 {}, min {}, max {}; {} texts, {} flows",
        at(50),
        at(99),
        at(0),
        at(100),
        texts.len(),
        tuples.len()
    );
    // 279 bytes on average, give or take a hundredth.
    assert!(total.abs_diff(279 * RECORDS) < 279 * RECORDS / 100, "{total}");
}

#[test]
fn packings_hold_the_same_records() {
    let records = records(2_000);
    for (packed, most) in
        [(Packed::Stream, 65_535), (Packed::Datagram, 1_420), (Packed::Single, 600)]
    {
        let messages = Messages::of(&records, packed);
        let decoded = decoded(&messages);
        assert_eq!(decoded.len(), records.len());
        for ((length, values), record) in decoded.iter().zip(&records) {
            assert!(*length <= most);
            assert_eq!(values[10], record.source_address.octets());
            assert_eq!(values[16], record.source.name.as_bytes());
            assert_eq!(values[38], record.egress_node.as_bytes());
            assert_eq!(values[42], record.service_address.octets());
        }
        if packed == Packed::Single {
            assert_eq!(messages.iter().count(), 1 + records.len());
        }
    }
}

#[test]
fn strings_can_be_kept_from_being_empty() {
    let records: Vec<_> = records(100).into_iter().map(Record::without_empty_strings).collect();
    assert!(records.iter().flat_map(Record::texts).all(|text| !text.is_empty()));
    assert!(records.iter().any(|record| &*record.egress_name == "-"));
}

#[test]
fn classic_records_have_72_bytes() {
    let records = ClassicRecord::of(&records(1_000));
    let messages = Messages::of_classic(&records, Packed::Stream);
    let decoded = decoded(&messages);
    assert_eq!(decoded.len(), records.len());
    assert_eq!(decoded[0].1.iter().map(Vec::len).sum::<usize>(), 72);
    assert_eq!(decoded[999].1[7], records[999].start.to_be_bytes());
}
