//! What the sinks of one outlet have done, one after the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sinks::{Deed, Deeds};

/// Adds up what one sink counts after the other, so that a reload sets nothing back.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// By sinks that are gone.
    past: BTreeMap<Deed, u64>,
    /// The sink that runs, and those before it that are not done yet.
    present: Vec<Deeds>,
}

impl Ledger {
    /// A sink takes the place of those there were.
    pub(super) fn begin(&self, deeds: Deeds) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Entries { past, present } = &mut *entries;
        for over in present.extract_if(.., |deeds| deeds.are_final()) {
            add(past, &over);
        }
        present.push(deeds);
    }

    /// What all of them have done.
    pub(super) fn done(&self) -> BTreeMap<Deed, u64> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = entries.past.clone();
        entries.present.iter().for_each(|deeds| add(&mut all, deeds));
        all
    }
}

fn add(to: &mut BTreeMap<Deed, u64>, deeds: &Deeds) {
    for (deed, count) in deeds.done() {
        *to.entry(deed).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use sinks::json::JsonCounters;
    use sinks::log::LogCounters;
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn what_one_sink_did_is_added_to_by_the_next() {
        let ledger = Ledger::default();
        let (log, json) = (Arc::<LogCounters>::default(), watch::Sender::default());
        ledger.begin(Deeds::Log(Arc::clone(&log)));
        log.rotated.store(3, Ordering::Relaxed);
        ledger.begin(Deeds::Json(json.subscribe()));
        json.send_replace(JsonCounters { sessions: 5, ..JsonCounters::default() });
        // It still has a thread that compresses.
        log.compressed.store(2, Ordering::Relaxed);
        drop((log, json));
        for _ in 0..2 {
            let next = watch::Sender::new(JsonCounters { sessions: 1, ..JsonCounters::default() });
            ledger.begin(Deeds::Json(next.subscribe()));
        }
        let done = ledger.done();
        let of = |deed| done.get(&deed).copied();
        assert_eq!(of(Deed::FilesRotated), Some(3));
        assert_eq!(of(Deed::FilesCompressed), Some(2));
        assert_eq!(of(Deed::Sessions), Some(7));
        assert_eq!(of(Deed::RecordsInDoubt), Some(0));
        assert_eq!(of(Deed::Messages), None, "nobody sends messages here");
        let present = ledger.0.lock().unwrap().present.len();
        assert_eq!(present, 1, "those that are over are only added");
    }
}
