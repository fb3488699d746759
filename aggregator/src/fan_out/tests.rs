use std::sync::atomic::Ordering;
use std::time::Duration;

use daemon::Supervisor;
use flow::FlowRecord;
use sinks::{DeliverOptions, Sink, SinkError, SpoolOptions};

use super::*;

fn batch(records: usize) -> Batch {
    vec![FlowRecord::default(); records].into()
}

#[tokio::test(start_paused = true)]
async fn the_last_records_wait_for_room() {
    let fan_out = FanOut::default();
    let mut queue = fan_out.add("slow");
    let sending = async {
        for _ in 0..3 * QUEUE {
            fan_out.wait_for_room(Instant::now() + Duration::from_mins(1)).await;
            fan_out.send(&batch(1));
        }
        fan_out.close();
    };
    let slow = async {
        let mut taken = 0;
        while queue.recv().await.is_some() {
            taken += 1;
        }
        taken
    };
    let ((), taken) = tokio::join!(sending, slow);
    assert_eq!((taken, fan_out.lost()), (3 * QUEUE, 0));
}

#[tokio::test]
async fn a_full_queue_costs_its_own_sink_alone() {
    let fan_out = FanOut::default();
    let (_stuck, mut quick) = (fan_out.add("stuck"), fan_out.add("quick"));
    for _ in 0..QUEUE + 3 {
        fan_out.send(&batch(1));
        assert_eq!(quick.recv().await.unwrap().len(), 1);
    }
    let lost = fan_out.counters().map(|(name, it)| (name, it.queue_full.load(Ordering::Relaxed)));
    assert_eq!(lost.collect::<Vec<_>>(), [("stuck", 3), ("quick", 0)]);
}

#[tokio::test]
async fn who_watches_has_a_queue_of_its_own() {
    let fan_out = FanOut::default();
    fan_out.send(&batch(1));
    let (mut one, mut two) = (fan_out.subscribe(2), fan_out.subscribe(1));
    fan_out.send(&batch(2));
    fan_out.send(&batch(3));
    assert_eq!((one.missed(), two.missed()), (0, 3));
    assert_eq!(two.recv().await.unwrap().len(), 2);
    drop(two);
    assert_eq!(fan_out.shared.subscribers.len(), 1);
    fan_out.close();
    assert_eq!(one.recv().await.unwrap().len(), 2);
    assert_eq!(one.recv().await.unwrap().len(), 3);
    assert!(one.recv().await.is_none());
}

/// Takes everything, once it may.
struct Gated {
    open: bool,
    taken: Arc<Mutex<Vec<usize>>>,
}

impl Sink for Gated {
    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        if !self.open {
            return Err(SinkError::Unavailable("made up".into()));
        }
        self.taken.lock().unwrap().push(batch.len());
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        true
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_replaced_leaves_its_queue_to_its_successor() {
    let fan_out = FanOut::default();
    let mut supervisor = Supervisor::default();
    let mut outlets = Outlets::new(fan_out.clone(), DeliverOptions::default());
    let taken = Arc::<Mutex<Vec<usize>>>::default();
    let sink = |open| Gated { open, taken: Arc::clone(&taken) };
    outlets.set("far", sink(false), &mut supervisor);
    for records in 1..=4 {
        fan_out.send(&batch(records));
    }
    // The first batch is being tried again and again.
    tokio::time::sleep(Duration::from_mins(2)).await;
    outlets.set("far", sink(false), &mut supervisor);
    tokio::time::sleep(Duration::from_mins(2)).await;
    outlets.set("far", sink(true), &mut supervisor);
    fan_out.send(&batch(5));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(*taken.lock().unwrap(), [1, 2, 3, 4, 5]);
    outlets.remove("far");
    fan_out.send(&batch(6));
    tokio::time::sleep(Duration::from_secs(1)).await;
    outlets.set("far", sink(true), &mut supervisor);
    fan_out.send(&batch(7));
    outlets.close();
    supervisor.all_end().await.unwrap();
    assert_eq!(*taken.lock().unwrap(), [1, 2, 3, 4, 5, 7]);
    let (_, counters) = fan_out.counters().next().unwrap();
    assert_eq!((counters.waiting(), counters.lost()), (0, 0));
}

/// Never answers, or takes its time for each batch.
struct Far {
    pause: Option<Duration>,
    taken: Arc<Mutex<Vec<usize>>>,
}

impl Sink for Far {
    async fn write(&mut self, batch: &Batch, _now_ms: u64) -> Result<(), SinkError> {
        match self.pause {
            None => std::future::pending().await,
            Some(pause) => tokio::time::sleep(pause).await,
        }
        self.taken.lock().unwrap().push(batch.len());
        Ok(())
    }

    fn due(&self, _now_ms: u64) -> bool {
        true
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One that never answers, one that is slow, one that is quick: the quick one has everything
/// before the slow one has done with the second batch.
async fn each_at_its_own_pace(fan_out: FanOut) {
    let mut supervisor = Supervisor::default();
    let mut outlets = Outlets::new(fan_out.clone(), DeliverOptions::default());
    let taken: [Arc<Mutex<Vec<usize>>>; 3] = Default::default();
    let pauses = [None, Some(Duration::from_hours(1)), Some(Duration::ZERO)];
    for ((name, pause), taken) in ["dead", "slow", "quick"].into_iter().zip(pauses).zip(&taken) {
        outlets.set(name, Far { pause, taken: Arc::clone(taken) }, &mut supervisor);
    }
    for _ in 0..2 * QUEUE {
        fan_out.send(&batch(1));
        fan_out.keep_pace().await;
        tokio::task::yield_now().await;
    }
    let all = || taken.each_ref().map(|taken| taken.lock().unwrap().iter().sum::<usize>());
    while all()[2] < 2 * QUEUE {
        assert!(all()[1] < 2, "the quick one waits for the slow one");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    outlets.close();
    supervisor.all_end().await.unwrap();
    fan_out.finish().await;
    assert_eq!((all()[0], all()[2]), (0, 2 * QUEUE));
    for (name, counters) in fan_out.counters() {
        let given = counters.given.load(Ordering::Relaxed);
        let delivered = counters.delivered.load(Ordering::Relaxed);
        assert_eq!(given, 2 * QUEUE as u64, "{name}");
        assert_eq!(given, delivered + counters.waiting() + counters.lost(), "{name}");
        let kept = fan_out.spool().is_some();
        assert_eq!(counters.lost() == 0, kept || name == "quick", "{name}: {counters:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_and_a_slow_sink_leave_a_quick_one_alone_in_memory() {
    each_at_its_own_pace(FanOut::default()).await;
}

#[tokio::test]
async fn a_dead_and_a_slow_sink_leave_a_quick_one_alone_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(&SpoolOptions::new(dir.path())).unwrap();
    each_at_its_own_pace(FanOut::with_spool(spool)).await;
}
