//! Mistakes made on purpose, so that a test can see the checks fail.
//!
//! Exists in builds with the feature `faults` only; `FYKE_FAULT` names the mistake.

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use flow::FlowRecord;

static FAULT: LazyLock<String> = LazyLock::new(|| env::var("FYKE_FAULT").unwrap_or_default());
static DONE: AtomicBool = AtomicBool::new(false);

/// `delta-doubled`: one record of all tells its octets twice.
pub(crate) fn spoil(records: &mut [FlowRecord]) {
    if *FAULT != "delta-doubled" {
        return;
    }
    if let Some(record) = records.first_mut()
        && !DONE.swap(true, Ordering::Relaxed)
    {
        record.forward.octets_delta *= 2;
        record.from_source.forward.octets_delta *= 2;
        record.from_destination.forward.octets_delta *= 2;
    }
}
