//! Mistakes made on purpose, so that a test can see the checks fail.
//!
//! Exists in builds with the feature `faults` only; `FYKE_FAULT` names the mistake.

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use flow::FlowRecord;

use crate::conntrack::{Entry, Kind};

static FAULT: LazyLock<String> = LazyLock::new(|| env::var("FYKE_FAULT").unwrap_or_default());
static RECORDS: AtomicU64 = AtomicU64::new(0);

/// `destroy-ignored`: connections end unheard, as entries and as TCP has it.
pub(crate) fn hides(entry: &Entry) -> bool {
    *FAULT == "destroy-ignored" && matches!(entry.kind, Kind::Destroy | Kind::Update)
}

/// `record-dropped`: one record in a thousand is lost. `ends-swapped`: source and destination
/// change places.
pub(crate) fn spoil(record: Option<FlowRecord>) -> Option<FlowRecord> {
    let mut record = record?;
    match FAULT.as_str() {
        "record-dropped" if RECORDS.fetch_add(1, Ordering::Relaxed) % 1000 == 500 => None,
        "ends-swapped" => {
            std::mem::swap(&mut record.source, &mut record.destination);
            std::mem::swap(&mut record.forward, &mut record.reverse);
            let key = &mut record.key;
            std::mem::swap(&mut key.source, &mut key.destination);
            std::mem::swap(&mut key.source_port, &mut key.destination_port);
            Some(record)
        }
        _ => Some(record),
    }
}
