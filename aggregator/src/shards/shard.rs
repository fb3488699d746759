//! One correlator, in a task of its own.

use std::future::ready;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use flow::{Batch, FlowRecord};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::handle::{Question, Told};
use super::{TICK, Totals};
use crate::collect::Reported;
use crate::correlate::{Correlator, Route};
use crate::enrich::Enricher;
use crate::fan_out::FanOut;

/// Records per batch at most.
pub(crate) const BATCH: usize = 1024;
/// Lists of shares taken at a time.
const SHARES: usize = 4;
/// Flows looked through for a question, before it is time for records again.
const LOOK: u32 = 2048;
/// Flows that become records at a time in the end: a record takes more than twice the memory.
const AT_THE_END: u32 = 16 * 1024;
/// How long the last records wait for sinks that have no room.
const LAST_RECORDS: Duration = Duration::from_millis(500);

/// What a message tells of one shard's flows.
#[derive(Debug, Clone)]
pub(super) enum Share {
    All(Arc<Reported>),
    /// Records by their place in the message.
    Some(Arc<Reported>, Box<[u32]>),
}

impl Share {
    /// Which shard gets what of a message.
    pub(super) fn split(reported: Reported, route: &Route) -> Vec<(usize, Self)> {
        if route.shards() == 1 {
            return vec![(0, Self::All(Arc::new(reported)))];
        }
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); route.shards()];
        for (place, record) in (0..).zip(&reported.records) {
            if let Some(places) = places.get_mut(route.of(record)) {
                places.push(place);
            }
        }
        let all = reported.records.len();
        let reported = Arc::new(reported);
        let share = |(shard, places): (usize, Vec<u32>)| match places.len() {
            0 => None,
            some if some == all => Some((shard, Self::All(Arc::clone(&reported)))),
            _ => Some((shard, Self::Some(Arc::clone(&reported), places.into()))),
        };
        places.into_iter().enumerate().filter_map(share).collect()
    }
}

pub(super) struct Shard {
    correlator: Correlator,
    enricher: Option<Enricher>,
    fan_out: FanOut,
    told: Told,
    emitted: Vec<FlowRecord>,
}

/// A question that is being answered, and where to go on.
struct Search {
    question: Question,
    from: u32,
    found: Vec<FlowRecord>,
}

impl Shard {
    pub(super) fn new(
        correlator: Correlator,
        enricher: Option<Enricher>,
        fan_out: FanOut,
        told: Told,
    ) -> Self {
        Self { correlator, enricher, fan_out, told, emitted: Vec::new() }
    }

    /// Runs until `shares` is closed, then tells everything it still holds.
    pub(super) async fn run(
        mut self,
        mut shares: mpsc::Receiver<Vec<Share>>,
        mut questions: mpsc::Receiver<Question>,
        clock: impl Fn() -> u64,
    ) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::new();
        let mut search: Option<Search> = None;
        loop {
            tokio::select! {
                count = shares.recv_many(&mut taken, SHARES) => {
                    if count == 0 {
                        break;
                    }
                    self.receive(&mut taken, clock());
                }
                _ = ticks.tick() => {
                    self.tell(clock()).await;
                }
                Some(question) = questions.recv(), if search.is_none() => {
                    search = Some(Search { question, from: 0, found: Vec::new() });
                }
                () = ready(()), if search.is_some() => {
                    search = search.take().and_then(|search| self.search(search));
                }
            }
        }
        let now_ms = clock();
        let until = Instant::now() + LAST_RECORDS;
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.correlator.flush_some(next, AT_THE_END, now_ms, &mut self.emitted);
            self.hand_out(now_ms, Some(until)).await;
        }
    }

    fn receive(&mut self, taken: &mut Vec<Vec<Share>>, now_ms: u64) {
        for share in taken.drain(..).flatten() {
            match share {
                Share::All(reported) => {
                    let records = reported.records.iter();
                    self.correlator.receive_all(records, reported.domain, now_ms);
                }
                Share::Some(reported, places) => {
                    let record = |place: &u32| reported.records.get(*place as usize);
                    let records = places.iter().filter_map(record);
                    self.correlator.receive_all(records, reported.domain, now_ms);
                }
            }
        }
    }

    /// Hands out what is due, a batch at a time.
    async fn tell(&mut self, now_ms: u64) {
        let mut due = self.correlator.due(now_ms);
        while self.correlator.expire_some(&mut due, BATCH, &mut self.emitted) {
            self.hand_out(now_ms, None).await;
        }
        self.hand_out(now_ms, None).await;
    }

    /// Waits for sinks without room until `patience` ends, if there is any.
    async fn hand_out(&mut self, now_ms: u64, patience: Option<Instant>) {
        #[cfg(feature = "faults")]
        crate::faults::spoil(&mut self.emitted);
        if let Some(enricher) = &mut self.enricher {
            enricher.enrich(&mut self.emitted, now_ms);
        }
        // At shutdown every flow is handed out at once: moving the rest for each batch would take
        // as long as their number squared.
        let mut rest = self.emitted.drain(..);
        while rest.len() > 0 {
            match patience {
                Some(until) => self.fan_out.wait_for_room(until).await,
                None => self.fan_out.keep_pace().await,
            }
            let batch: Batch = rest.by_ref().take(BATCH).collect();
            self.fan_out.send(&batch);
        }
        drop(rest);
        // After a burst.
        self.emitted.shrink_to(BATCH);
        let totals = Totals { stats: self.correlator.stats(), flows: self.correlator.len() };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = totals;
    }

    /// Goes on looking. Returns what is left to do.
    fn search(&mut self, mut search: Search) -> Option<Search> {
        let Search { question, from, found } = &mut search;
        let (filter, limit, before) = (question.filter, question.limit, found.len());
        let visit = |record| {
            if found.len() < limit {
                found.push(record);
            }
        };
        let next = self.correlator.look(*from, LOOK, |key| filter.matches(key), visit);
        if let Some((enricher, new)) = self.enricher.as_mut().zip(found.get_mut(before..)) {
            enricher.complete(new);
        }
        if let Some(next) = next.filter(|_| found.len() < limit && !question.answer.is_closed()) {
            *from = next;
            return Some(search);
        }
        // Whoever asked may have gone.
        search.question.answer.send(search.found).unwrap_or_default();
        None
    }
}
