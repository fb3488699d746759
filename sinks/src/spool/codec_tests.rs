use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use flow::Uid;

use super::*;

#[test]
fn no_two_attributes_share_a_number() {
    let mut seen = HashSet::new();
    for field in FIELDS.iter() {
        let FieldSpecifier { pen, id, .. } = specifier(field);
        assert!(seen.insert((pen, id)), "{} shares its number", field.name);
    }
    // What is on a disk stays readable: the numbers that this had when it was written.
    assert_eq!((number("sourceIP"), number("flowCorrelation")), (20280, 28165));
}

/// A record with any value in each of its attributes.
fn records() -> impl Strategy<Value = FlowRecord> {
    let names = prop_oneof![Just(String::new()), "[a-z]{1,20}", "\\PC{0,40}"];
    let addresses = prop_oneof![
        any::<u32>().prop_map(|it| Some(IpAddr::V4(Ipv4Addr::from_bits(it.max(1))))),
        any::<u128>().prop_map(|it| Some(IpAddr::V6(Ipv6Addr::from_bits(it.max(1))))),
        Just(None),
    ];
    let values = (any::<u64>(), 0..4_u8, names, addresses);
    prop::collection::vec(values, FIELDS.len()).prop_map(|values| {
        let mut record = FlowRecord::default();
        for (field, (number, small, name, address)) in FIELDS.iter().zip(values) {
            match field.access {
                Access::U8 { set, .. } => set(&mut record, small),
                Access::U16 { set, .. } => set(&mut record, (number >> 48) as u16),
                Access::U32 { set, .. } | Access::Seconds { set, .. } => {
                    set(&mut record, (number >> 32) as u32);
                }
                Access::U64 { set, .. } | Access::Milliseconds { set, .. } => {
                    set(&mut record, number >> 8);
                }
                Access::Ip { set, .. } => set(&mut record, address),
                Access::Name { set, .. } => set(&mut record, name.as_str().into()),
                Access::Labels { set, .. } => set(&mut record, name.repeat(8).as_str().into()),
                Access::Uuid { set, .. } => {
                    let uid = u128::from(number) << 32 | 1;
                    set(&mut record, (small > 0).then(|| Uid(uid.to_be_bytes())));
                }
            }
        }
        record
    })
}

proptest! {
    // A record takes long to make up.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_of_a_record_is_left_out(told in prop::collection::vec(records(), 0..6)) {
        let (mut writer, mut reader) = (Writer::new(), Reader::new());
        // The same reader reads one block after the other.
        for _ in 0..2 {
            let mut block = Vec::new();
            writer.begin(&mut block).unwrap();
            for record in &told {
                writer.record(record, &mut block).unwrap();
            }
            writer.finish(&mut block);
            let mut read = Vec::new();
            prop_assert!(reader.read(&block, &mut read));
            prop_assert_eq!(&read, &told);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(block in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut read = Vec::new();
        Reader::new().read(&block, &mut read);
        prop_assert!(read.len() <= block.len());
    }
}
