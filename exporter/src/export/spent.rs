//! Records that have been told, on their way back to whoever made them.
//!
//! A record is made by one thread and told by another. Let go of by the second, each name in it is
//! counted down by one core while the first counts it up for the next record, and its memory goes
//! back to where the first has to ask for it again. So it goes home, and the next record is made
//! in its place.

use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use flow::FlowRecord;

/// Records that wait to be fetched, per destination: as many as may wait to be told. More are let
/// go of where they are.
const MOST: usize = 4096;

/// Records that one destination has been told.
#[derive(Debug, Default)]
pub struct Spent(Mutex<Vec<Arc<FlowRecord>>>);

impl Spent {
    /// Gives records back.
    pub(super) fn give(&self, records: impl Iterator<Item = Arc<FlowRecord>>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(waiting.len());
        let mut records = records;
        waiting.extend(records.by_ref().take(room));
        drop(waiting);
        // Nobody waits for the rest.
        records.for_each(drop);
    }

    fn take(&self) -> Vec<Arc<FlowRecord>> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Room for new records.
#[derive(Debug, Default)]
pub(crate) struct Spares(RefCell<Vec<Arc<FlowRecord>>>);

impl Spares {
    /// Fetches what a destination has given back.
    pub(crate) fn fetch(&self, from: &Spent) {
        let mut spares = self.0.borrow_mut();
        if spares.is_empty() {
            *spares = from.take();
        }
    }

    /// Lets go of all but so many.
    pub(crate) fn keep(&self, most: usize) {
        self.0.borrow_mut().truncate(most);
    }

    /// Shares a new record.
    pub(crate) fn share(&self, record: FlowRecord) -> Arc<FlowRecord> {
        let mut spares = self.0.borrow_mut();
        // What another destination has not told yet comes back with that one.
        while let Some(mut spare) = spares.pop() {
            if let Some(place) = Arc::get_mut(&mut spare) {
                *place = record;
                return spare;
            }
        }
        Arc::new(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flow_id: u64) -> FlowRecord {
        FlowRecord { flow_id, ..FlowRecord::default() }
    }

    #[test]
    fn a_record_takes_the_place_of_one_that_nobody_has_any_more() {
        let (spent, spares) = (Spent::default(), Spares::default());
        let (free, held) = (Arc::new(record(1)), Arc::new(record(2)));
        let place = Arc::as_ptr(&free);
        spent.give([free, Arc::clone(&held)].into_iter());
        spares.fetch(&spent);
        let told = spares.share(record(3));
        assert_eq!((Arc::as_ptr(&told), told.flow_id), (place, 3));
        assert_eq!(held.flow_id, 2, "who still has it keeps it as it was");
        assert_ne!(Arc::as_ptr(&spares.share(record(4))), place);
    }

    #[test]
    fn what_waits_is_bounded() {
        let spent = Spent::default();
        (0..3).for_each(|_| spent.give((0..2000).map(|id| Arc::new(record(id)))));
        assert_eq!(spent.take().len(), MOST);
        assert!(spent.take().is_empty());
    }
}
