//! Every batch to every sink.
//!
//! Each sink has a bounded queue of its own. A full queue costs that sink the newest batch, and
//! the records in it are counted; nobody waits, so that one slow sink never delays another. Only
//! the last records of a process are worth a wait: nothing comes after them.

use flow::Batch;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, timeout_at};

/// One sink's queue.
#[derive(Debug)]
struct Outlet {
    name: &'static str,
    queue: Sender<Batch>,
    dropped: u64,
}

/// Hands batches to sinks.
#[derive(Debug, Default)]
pub struct FanOut {
    outlets: Vec<Outlet>,
}

impl FanOut {
    pub fn add(&mut self, name: &'static str, queue: Sender<Batch>) {
        self.outlets.push(Outlet { name, queue, dropped: 0 });
    }

    pub fn send(&mut self, batch: &Batch) {
        for outlet in &mut self.outlets {
            match outlet.queue.try_send(Batch::clone(batch)) {
                Ok(()) => {}
                Err(TrySendError::Full(batch) | TrySendError::Closed(batch)) => {
                    outlet.dropped += u64::try_from(batch.len()).unwrap_or(u64::MAX);
                }
            }
        }
    }

    /// Waits until every sink has room for a batch, but not beyond `until`.
    pub async fn wait_for_room(&self, until: Instant) {
        for outlet in &self.outlets {
            // A sink without room by then misses what comes, which `send` counts.
            drop(timeout_at(until, outlet.queue.reserve()).await);
        }
    }

    /// How many records each sink has missed because its queue was full.
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.outlets.iter().map(|outlet| (outlet.name, outlet.dropped))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flow::FlowRecord;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_last_records_wait_for_room() {
        let (queue, mut end) = mpsc::channel(1);
        let mut fan_out = FanOut::default();
        fan_out.add("slow", queue);
        let batch: Batch = vec![FlowRecord::default()].into();
        let slow = async {
            let mut taken = 0;
            while taken < 10 && end.recv().await.is_some() {
                taken += 1;
            }
        };
        let sending = async {
            for _ in 0..10 {
                fan_out.wait_for_room(Instant::now() + Duration::from_mins(1)).await;
                fan_out.send(&batch);
            }
        };
        tokio::join!(slow, sending);
        assert_eq!(fan_out.dropped().collect::<Vec<_>>(), [("slow", 0)]);
    }

    #[test]
    fn a_full_queue_costs_its_own_sink_alone() {
        let (slow, mut slow_end) = mpsc::channel(1);
        let (fast, mut fast_end) = mpsc::channel(10);
        let mut fan_out = FanOut::default();
        fan_out.add("slow", slow);
        fan_out.add("fast", fast);
        let batch: Batch = vec![FlowRecord::default(); 7].into();
        fan_out.send(&batch);
        fan_out.send(&batch);
        assert_eq!(fan_out.dropped().collect::<Vec<_>>(), [("slow", 7), ("fast", 0)]);
        assert!(slow_end.try_recv().is_ok() && slow_end.try_recv().is_err());
        assert!(fast_end.try_recv().is_ok() && fast_end.try_recv().is_ok());
    }
}
