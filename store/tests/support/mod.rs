//! Records for tests, made through the table of fields so that every column is covered.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use flow::{Access, Field, FlowRecord, Name, Uid};

/// Arrow's timestamps are signed.
const TIMES: u64 = i64::MAX as u64;

/// A record whose columns are made of `seeds`, one each.
pub(crate) fn record_of(seeds: &[u64]) -> FlowRecord {
    let mut record = FlowRecord::default();
    for (field, &seed) in Field::columns().zip(seeds) {
        let [low, high, ..] = seed.to_le_bytes();
        match field.access {
            Access::U8 { set, .. } => set(&mut record, low),
            Access::U16 { set, .. } => set(&mut record, u16::from_le_bytes([low, high])),
            Access::U32 { set, .. } => set(&mut record, u32::from_le_bytes([low, high, 0, low])),
            Access::U64 { set, .. } => set(&mut record, seed),
            Access::Milliseconds { set, .. } => set(&mut record, seed % TIMES),
            Access::Seconds { .. } => (),
            Access::Ip { set, .. } => set(&mut record, address(seed)),
            Access::Name { set, .. } | Access::Labels { set, .. } => set(&mut record, name(seed)),
            Access::Uuid { set, .. } => {
                let uid = Uid((u128::from(seed) << 60).to_be_bytes());
                set(&mut record, (seed % 3 > 0).then_some(uid));
            }
        }
    }
    record
}

fn address(seed: u64) -> Option<IpAddr> {
    let [a, b, c, d, ..] = seed.to_be_bytes();
    match seed % 3 {
        0 => None,
        1 => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => Some(Ipv6Addr::from(u128::from(seed) << 60).into()),
    }
}

/// One of a few names, often the empty one, sometimes one that is awkward.
fn name(seed: u64) -> Name {
    match seed % 7 {
        0..3 => Name::default(),
        3 => "naïve \u{0} \"pod\"\n".into(),
        _ => format!("name-{}", seed % 101).as_str().into(),
    }
}

/// Record `index` of a sequence in which flows have several records each.
pub(crate) fn record(index: u64) -> FlowRecord {
    let seeds: Vec<u64> = (0..Field::columns().count() as u64)
        .map(|column| (index * 131 + column).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24)
        .collect();
    FlowRecord { flow_id: 1 + index % 7, end_ms: 1_000 + index, ..record_of(&seeds) }
}

pub(crate) fn records(range: std::ops::Range<u64>) -> Vec<FlowRecord> {
    range.map(record).collect()
}

/// All finished files of a store.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.join("flows")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
