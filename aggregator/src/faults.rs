//! Mistakes made on purpose, so that a test can see the checks fail.
//!
//! Exists in builds with the feature `faults` only; `FYKE_FAULT` names the mistake.

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use flow::FlowRecord;

static FAULT: LazyLock<String> = LazyLock::new(|| env::var("FYKE_FAULT").unwrap_or_default());
static DONE: AtomicBool = AtomicBool::new(false);

/// One record of all tells its octets twice: `delta-doubled` where they are its Nodes',
/// `common-delta-doubled` where they are the flow's.
pub(crate) fn spoil(records: &mut [FlowRecord]) {
    let double: fn(&mut FlowRecord) = match FAULT.as_str() {
        "delta-doubled" => double_sides,
        "common-delta-doubled" => double_common,
        _ => return,
    };
    // Twice nothing is no mistake.
    if let Some(record) = records.iter_mut().find(|record| record.forward.octets_delta > 0)
        && !DONE.swap(true, Ordering::Relaxed)
    {
        double(record);
    }
}

fn double_sides(record: &mut FlowRecord) {
    let joined = &mut *record.joined;
    joined.from_source.forward.octets_delta *= 2;
    joined.from_destination.forward.octets_delta *= 2;
}

fn double_common(record: &mut FlowRecord) {
    record.forward.octets_delta *= 2;
}
