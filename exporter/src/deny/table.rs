//! Packets become flows: the table adds up, and the meter tells.
//!
//! For the meter a denied flow is a connection whose counters grow. So it is told as any other
//! is: when the active or the idle timeout has passed, to each destination what it had not been
//! told, and nothing twice. The table forgets a flow once it is idle; a later packet begins a new
//! one, with an id and a start of its own.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as HashEntry;

use super::owners::{LAPSE, Owners, Subject};
use super::{Counts, Denied, Loss, RuleRef, Rules};
use crate::conntrack::{Counters, Entry, Kind, Tuple};
use crate::verdict::{Direction, RuleId, Verdict};

/// A packet told later than this has a clock of its own, which is not believed.
const BELIEVED: u64 = 60_000_000_000;

/// Adds up denied packets by flow.
#[derive(Debug)]
pub struct Table {
    flows: HashMap<Key, Flow>,
    /// Every flow once, at the latest when it may be idle.
    ends: VecDeque<(u64, Key)>,
    owners: Owners,
    rules: Rules,
    limit: usize,
    idle: u64,
    last_id: u32,
    counts: Arc<Counts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    /// By the packet's words, since a [`Tuple`] has no hash of its own.
    words: [u64; 5],
    service: Option<(IpAddr, u16)>,
    verdict: Verdict,
}

#[derive(Debug)]
struct Flow {
    entry: Entry,
    packets: u64,
    octets: u64,
    last_ns: u64,
    subject: Subject,
}

impl Table {
    /// Denied flows at once. One takes less than 500 bytes here, and a place in the meter.
    pub const LIMIT: usize = 100_000;

    /// A flow without packets for `idle` is over.
    pub fn new(limit: usize, idle: Duration, counts: Arc<Counts>) -> Self {
        let mut table = Self {
            flows: HashMap::new(),
            ends: VecDeque::new(),
            owners: Owners::default(),
            rules: Rules::default(),
            limit,
            idle: 0,
            last_id: 0,
            counts,
        };
        table.set_idle(idle);
        table
    }

    /// Holds for each flow from its next packet on.
    pub fn set_idle(&mut self, idle: Duration) {
        let idle = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        // A flow must be remembered for as long as another source may tell of it again.
        self.idle = idle.max(LAPSE + LAPSE);
    }

    /// The rules that verdicts name by number.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn len(&self) -> usize {
        self.flows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Counts what a source tells at `now`, and has the meter observe what came of it.
    pub fn take(&mut self, denied: &Denied, now: u64, observe: &mut dyn FnMut(&Entry)) {
        let time = believe(denied.time_ns, now);
        let (source, packets) = (denied.source, denied.packets);
        let subject = Subject::of(&denied.original);
        let key = self.key(denied);
        let is_full = self.flows.len() >= self.limit;
        if is_full && !self.flows.contains_key(&key) {
            return self.counts.lost(source, Loss::TableFull, packets);
        }
        if !self.owners.claim(subject, source, time) {
            return self.counts.lost(source, Loss::SeenByAnother, packets);
        }
        let mut begin = || {
            self.last_id = self.last_id.wrapping_add(1);
            Flow::new(self.last_id, denied, key.verdict, subject, time)
        };
        let flow = match self.flows.entry(key) {
            HashEntry::Vacant(place) => {
                self.ends.push_back((time.saturating_add(self.idle), key));
                place.insert(begin())
            }
            HashEntry::Occupied(place) => {
                let flow = place.into_mut();
                // It was idle for too long, and no sweep has come to it since.
                if time >= flow.last_ns.saturating_add(self.idle) {
                    observe(&flow.tell(Kind::Destroy));
                    *flow = begin();
                }
                flow
            }
        };
        flow.add(denied, time);
        observe(&flow.tell(Kind::Update));
    }

    /// Ends what has been idle for long enough at `now`.
    pub fn sweep(&mut self, now: u64, observe: &mut dyn FnMut(&Entry)) {
        while let Some(&(end, key)) = self.ends.front()
            && end <= now
        {
            self.ends.pop_front();
            let Some(flow) = self.flows.get(&key) else { continue };
            let end = flow.last_ns.saturating_add(self.idle);
            if end > now {
                self.ends.push_back((end, key));
            } else {
                self.end(&key, observe);
            }
        }
    }

    fn key(&mut self, denied: &Denied) -> Key {
        let rule = match &denied.rule {
            RuleRef::Id(id) => RuleId::Label(*id),
            RuleRef::IsolationDrop => RuleId::Isolation,
            RuleRef::Named(rule) => self.rules.number(rule.clone()),
            RuleRef::Unknown => RuleId::Unknown,
        };
        let verdict = Verdict { direction: denied.direction, action: denied.action, rule };
        Key { words: denied.original.words(), service: denied.service, verdict }
    }

    fn end(&mut self, key: &Key, observe: &mut dyn FnMut(&Entry)) {
        let Some(flow) = self.flows.remove(key) else { return };
        self.owners.release(flow.subject, flow.last_ns);
        observe(&flow.tell(Kind::Destroy));
    }
}

impl Flow {
    fn new(id: u32, denied: &Denied, verdict: Verdict, subject: Subject, time: u64) -> Self {
        let packet = denied.original;
        let (original, reply) = tuples(&packet, denied.service);
        let entry = Entry {
            id,
            mark: denied.mark.unwrap_or_default(),
            labels: labels(&verdict, denied.other_rule),
            start_ns: Some(time),
            denied: Some(verdict),
            ..Entry::new(Kind::Update, original, reply)
        };
        Self { entry, packets: 0, octets: 0, last_ns: time, subject }
    }

    fn add(&mut self, denied: &Denied, time: u64) {
        self.packets = self.packets.saturating_add(denied.packets);
        self.octets = self.octets.saturating_add(denied.octets);
        self.last_ns = self.last_ns.max(time);
    }

    fn tell(&self, kind: Kind) -> Entry {
        let counters =
            Counters { packets: self.packets, octets: self.octets, ..Counters::default() };
        let stop_ns = (kind == Kind::Destroy).then_some(self.last_ns);
        Entry { kind, counters: Some(counters), stop_ns, ..self.entry }
    }
}

/// As conntrack would tell them: where the client sent the packet, and who would answer.
fn tuples(packet: &Tuple, service: Option<(IpAddr, u16)>) -> (Tuple, Tuple) {
    let original = service.map_or(*packet, |service| packet.with_destination(service));
    (original, packet.reversed())
}

/// The ids of both rules, where Antrea has them in a connection's label.
fn labels(verdict: &Verdict, other: Option<u32>) -> Option<[u8; 16]> {
    let own = match verdict.rule {
        RuleId::Label(id) => Some(id),
        _ => None,
    };
    if own.is_none() && other.is_none() {
        return None;
    }
    let (ingress, egress) = match verdict.direction? {
        Direction::Ingress => (own, other),
        Direction::Egress => (other, own),
    };
    let half = |id: Option<u32>| u128::from(id.unwrap_or_default());
    Some((half(egress) << 32 | half(ingress)).to_be_bytes())
}

/// A time that can be that of a packet told at `now`, or `now` itself.
fn believe(time: u64, now: u64) -> u64 {
    if (now.saturating_sub(BELIEVED)..=now).contains(&time) { time } else { now }
}

#[cfg(test)]
mod model; // any interleaving adds up
#[cfg(test)]
mod tests;
