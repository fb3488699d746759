//! What a watch that does not always work makes of it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use flow::Name;
use k8s::objects::{Change, Kind, Object, Pod};
use k8s::{LabelFilter, Limits, Margins, Tracker};

use crate::script::{BEGIN, Random, Script};

/// How late a watch that works is at most.
const DELAY: u64 = 2_500;

/// What goes wrong with the watch. Times are since the script begins.
pub(crate) enum Fault {
    /// It tells nothing until then, and goes on where it was.
    Stall { until: u64 },
    /// It tells nothing until then; a list follows, which is `stale` milliseconds old. It may be
    /// broken off once before it is complete.
    Break { until: u64, stale: u64, broken_off: bool },
    /// The process starts again, and lists.
    Restart { stale: u64 },
}

/// A tracker and what it was told: the judge's knowledge, not the tracker's.
pub(crate) struct Watch<'a> {
    script: &'a Script,
    pub tracker: Tracker,
    margins: Margins,
    random: Random,
    faults: Vec<(u64, Fault)>,
    /// The next event to be told.
    next: usize,
    /// It is told not before.
    due: u64,
    /// Silent until then.
    silent: Option<(u64, Option<Relist>)>,
    /// Deletions that are never told.
    lost: HashSet<usize>,
    /// When the tracker was told that a Pod has an address, and that it no longer does.
    pub told: HashMap<(usize, IpAddr), Told>,
    /// What the tracker holds for the Pod's addresses.
    current: HashMap<usize, Vec<IpAddr>>,
    /// Times of which the tracker cannot know all.
    pub gaps: Vec<(u64, u64)>,
    /// The last time the tracker was told that all is well.
    pub healthy: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Relist {
    stale: u64,
    broken_off: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub begun: u64,
    pub ended: Option<u64>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        script: &'a Script,
        margins: Margins,
        seed: u64,
        mut faults: Vec<(u64, Fault)>,
    ) -> Self {
        let mut random = Random(seed);
        let lost = script.events.iter().enumerate();
        let lost = lost.filter(|(_, event)| event.object.is_none() && random.percent(5));
        let lost = lost.map(|(index, _)| index).collect();
        faults.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self {
            script,
            tracker: new_tracker(margins),
            margins,
            random,
            faults,
            next: 0,
            due: 0,
            silent: None,
            lost,
            told: HashMap::new(),
            current: HashMap::new(),
            gaps: Vec::new(),
            healthy: 0,
        }
    }

    /// The tracker begins.
    pub(crate) fn run_first_list(&mut self) {
        self.list(BEGIN, Relist { stale: 0, broken_off: false });
    }

    /// Tells the tracker everything that is told until `now`.
    pub(crate) fn run(&mut self, now: u64, since_begin: u64) {
        while let Some((_, fault)) = self.faults.pop_if(|(at, _)| *at <= since_begin) {
            let until = |until| now + until - since_begin;
            self.silent = Some(match fault {
                Fault::Stall { until: end } => (until(end), None),
                Fault::Break { until: end, stale, broken_off } => {
                    (until(end), Some(Relist { stale, broken_off }))
                }
                Fault::Restart { stale } => {
                    self.tracker = new_tracker(self.margins);
                    self.told.clear();
                    self.current.clear();
                    self.gaps.clear();
                    self.healthy = 0;
                    (now, Some(Relist { stale, broken_off: false }))
                }
            });
        }
        match self.silent {
            Some((until, _)) if now < until => return,
            Some((_, Some(relist))) => self.list(now, relist),
            _ => {}
        }
        self.silent = None;
        while let Some(event) = self.script.events.get(self.next) {
            if self.due == 0 {
                self.due = event.at + 20 + self.random.below(DELAY - 120);
            }
            if self.due > now {
                break;
            }
            self.deliver(self.next, now);
            self.next += 1;
            self.due = 0;
        }
        self.tracker.advance(now);
        self.healthy = now;
    }

    fn deliver(&mut self, index: usize, now: u64) {
        let event = &self.script.events[index];
        match &event.object {
            Some(object) => {
                let times = if self.random.percent(5) { 2 } else { 1 };
                for _ in 0..times {
                    self.apply(event.pod, object, false, now);
                }
            }
            None if self.lost.contains(&index) => {}
            None => {
                let name = self.script.names[event.pod].as_str().into();
                let uid = if self.random.percent(50) { uid(event.pod) } else { Name::default() };
                // Only what is known by that name can be meant by the name alone.
                let is_known = self.current.contains_key(&event.pod);
                let uid = if is_known { uid } else { self::uid(event.pod) };
                let deleted =
                    Change::Deleted { kind: Kind::Pod, namespace: "shop".into(), name, uid };
                self.tracker.apply(deleted, now);
                self.end(event.pod, now);
                self.current.remove(&event.pod);
            }
        }
    }

    fn apply(&mut self, pod: usize, object: &Pod, is_listed: bool, now: u64) {
        let has_ended = object.has_ended();
        let before = self.current.insert(pod, object.addresses.clone()).unwrap_or_default();
        let is_past = is_listed && has_ended && object.ended_ms == 0;
        for &address in &object.addresses {
            // A list that shows what is over, and not when it was, tells nothing.
            if is_past && !self.told.contains_key(&(pod, address)) {
                continue;
            }
            let told = self.told.entry((pod, address)).or_insert(Told { begun: now, ended: None });
            if !has_ended {
                told.ended = None;
            }
        }
        for address in before {
            if !object.addresses.contains(&address) {
                self.ended(pod, address, now);
            }
        }
        if has_ended {
            self.end(pod, now);
        }
        self.tracker.apply(Change::Applied(Object::Pod(object.clone())), now);
    }

    fn end(&mut self, pod: usize, now: u64) {
        for address in self.current.get(&pod).cloned().unwrap_or_default() {
            self.ended(pod, address, now);
        }
    }

    fn ended(&mut self, pod: usize, address: IpAddr, now: u64) {
        if let Some(told) = self.told.get_mut(&(pod, address)) {
            told.ended.get_or_insert(now);
        }
    }

    /// A complete list, in no order, as of a little while ago; what has happened since follows.
    fn list(&mut self, now: u64, relist: Relist) {
        let as_of = now - relist.stale;
        let next = self.script.events.partition_point(|event| event.at < as_of);
        let mut listed: HashMap<usize, &Pod> = HashMap::new();
        for event in &self.script.events[..next] {
            match &event.object {
                Some(object) => drop(listed.insert(event.pod, object)),
                None => drop(listed.remove(&event.pod)),
            }
        }
        let mut order: Vec<usize> = listed.keys().copied().collect();
        order.sort_unstable();
        for at in (1..order.len()).rev() {
            order.swap(at, self.random.index(at + 1));
        }
        self.tracker.apply(Change::ListBegun(Kind::Pod), now);
        if relist.broken_off {
            for pod in &order[..order.len() / 2] {
                self.apply(*pod, listed[pod], true, now);
            }
            self.tracker.apply(Change::ListBegun(Kind::Pod), now);
        }
        for pod in order {
            self.apply(pod, listed[&pod], true, now);
        }
        let mut missing: Vec<usize> = self.current.keys().copied().collect();
        missing.retain(|pod| !listed.contains_key(pod));
        for pod in missing {
            self.end(pod, now);
            self.current.remove(&pod);
        }
        self.tracker.apply(Change::ListEnded(Kind::Pod), now);
        self.gaps.push((self.healthy.saturating_sub(self.margins.settle_ms), now));
        (self.next, self.due) = (next, 0);
    }
}

fn new_tracker(margins: Margins) -> Tracker {
    Tracker::new(margins, Limits::default(), LabelFilter::default())
}

fn uid(pod: usize) -> Name {
    format!("uid-{pod}").as_str().into()
}
