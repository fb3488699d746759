//! What every session does with its records, whatever carried them: they are given an origin,
//! judged, counted and passed on.

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use flow::{FlowRecord, Name, Origin};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::Shared;
use super::claims::{self, Claims, Verdict};
use super::live::{Live, SessionCounters, TOLD, Transport};
use super::room::Reserved;
use super::senders::{Heard, Voice};

/// How long a judgement holds, in milliseconds. Nodes come and go.
const JUDGED_FOR_MS: u64 = 1_000;
/// Nodes of which a judgement is remembered. An exporter names one, another aggregator all of a
/// cluster; beyond, all are judged anew.
const JUDGED: usize = 256;

/// One open session.
#[derive(Debug)]
pub(super) struct Reporter {
    shared: Arc<Shared>,
    live: Arc<Live>,
    domains: Vec<(u32, Arc<Voice>)>,
    judged: Vec<Judged>,
    /// Where each is in `judged`, by its name and Observation Domain.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// The place that was looked for last.
    last: usize,
    /// Those that records of the messages at hand name.
    named: Vec<usize>,
    /// Whether the log has been told that this connection is not believed: it may have had any
    /// number of sessions before.
    is_doubted: Arc<AtomicBool>,
}

/// What was made of a Node that records of this session name.
#[derive(Debug)]
struct Judged {
    name: Name,
    domain: u32,
    verdict: Verdict,
    until_ms: u64,
    /// `None` if it is nobody to remember.
    heard: Option<Arc<Heard>>,
    /// Records of the messages at hand.
    records: u64,
    newest_ms: u64,
}

impl Reporter {
    pub(super) fn open(
        shared: &Arc<Shared>,
        peer: SocketAddr,
        transport: Transport,
        is_doubted: Arc<AtomicBool>,
    ) -> Self {
        let now_ms = shared.seen.epoch.ms(Instant::now());
        let protocol = transport.name();
        if matches!(transport, Transport::Udp | Transport::Netflow | Transport::Grpc) {
            // Anybody can make up as many as they like; of gRPC, the connection was told.
            tracing::debug!(%peer, protocol, "session opened");
        } else {
            tracing::info!(%peer, protocol, "session opened");
        }
        shared.metrics.sessions.inc();
        Self {
            live: shared.seen.roster.open(peer, transport, now_ms),
            shared: Arc::clone(shared),
            domains: Vec::new(),
            judged: Vec::new(),
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            last: 0,
            named: Vec::new(),
            is_doubted,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.live.peer
    }

    /// Whether a record came.
    pub(super) fn has_told(&self) -> bool {
        self.live.has_told()
    }

    /// Counts a message that came at `now`, and passes on what it told for `domain`.
    pub(super) fn tell(
        &mut self,
        message: SessionCounters,
        domain: u32,
        mut records: Vec<FlowRecord>,
        room: Reserved<'_>,
        now: Instant,
    ) {
        self.check(message, domain, &mut records, now);
        room.fill(self.live.peer.ip(), domain, records);
    }

    /// Counts messages of which the last came at `now`, and leaves of the records that they told
    /// for `domain` those that are to be passed on.
    pub(super) fn check(
        &mut self,
        mut messages: SessionCounters,
        domain: u32,
        records: &mut Vec<FlowRecord>,
        now: Instant,
    ) {
        let now_ms = self.shared.seen.epoch.ms(now);
        if !records.is_empty() {
            messages.refused = self.judge(records, domain, now_ms);
        }
        self.live.count(now_ms, &messages);
    }

    /// Says where records are from, judges whom they speak for, and drops those that are not
    /// believed. Returns how many that were.
    fn judge(&mut self, records: &mut Vec<FlowRecord>, domain: u32, now_ms: u64) -> u64 {
        let origin = Origin { exporter: Some(self.live.peer.ip()), domain };
        if self.live.transport == Transport::Netflow {
            for record in records {
                record.origin = origin;
            }
            return 0;
        }
        let came = records.len();
        let refuses = self.shared.options.claims == Claims::Refuse;
        records.retain_mut(|record| {
            record.origin = origin;
            let verdict = self.verdict(record, domain, now_ms);
            !refuses || !verdict.is_doubtful()
        });
        let dropped = (came - records.len()) as u64;
        self.shared.seen.counters.claims_refused.inc_by(dropped);
        self.told(domain, now_ms);
        dropped
    }

    fn verdict(&mut self, record: &FlowRecord, domain: u32, now_ms: u64) -> Verdict {
        if self.judged.len() + 2 > JUDGED {
            self.flush(now_ms);
            self.judged.clear();
            self.places.clear();
        }
        let (first, second) = claims::named(record);
        let mut at = self.known(first, domain, now_ms);
        if let Some(second) = second
            && self.judged[at].verdict != Verdict::Own
        {
            let other = self.known(second, domain, now_ms);
            if self.judged[other].verdict == Verdict::Own {
                at = other;
            }
        }
        let judged = &mut self.judged[at];
        if judged.records == 0 {
            self.named.push(at);
        }
        judged.records += 1;
        judged.newest_ms = judged.newest_ms.max(record.end_ms);
        judged.verdict
    }

    /// Where the Node is in `judged`; it is judged if that was long ago.
    fn known(&mut self, name: &Name, domain: u32, now_ms: u64) -> usize {
        let at = self.find(name, domain).unwrap_or_else(|| {
            let hash = self.hasher.hash_one((domain, name));
            let at = self.judged.len();
            self.judged.push(self.fresh(name, domain, now_ms));
            let Self { judged, places, hasher, .. } = self;
            let rehash = |&at: &usize| hasher.hash_one((judged[at].domain, &judged[at].name));
            places.insert_unique(hash, at, rehash);
            at
        });
        self.last = at;
        if now_ms >= self.judged[at].until_ms {
            let fresh = self.fresh(name, domain, now_ms);
            let Judged { records, newest_ms, .. } = self.judged[at];
            self.judged[at] = Judged { records, newest_ms, ..fresh };
        }
        at
    }

    fn find(&self, name: &Name, domain: u32) -> Option<usize> {
        let is_it = |at: usize| {
            self.judged.get(at).is_some_and(|it| it.domain == domain && it.name == *name)
        };
        if is_it(self.last) {
            return Some(self.last);
        }
        let hash = self.hasher.hash_one((domain, name));
        self.places.find(hash, |&at| is_it(at)).copied()
    }

    fn fresh(&self, name: &Name, domain: u32, now_ms: u64) -> Judged {
        let verdict = match &self.shared.seen.cluster {
            None => Verdict::Unknown,
            Some(cluster) => {
                claims::judge(&cluster.load(), self.live.peer.ip(), name, domain, now_ms)
            }
        };
        let is_somebody = !name.is_empty() && verdict != Verdict::NoSuchNode;
        let is_followed =
            is_somebody && (self.shared.options.claims == Claims::Count || !verdict.is_doubtful());
        let heard = is_followed.then(|| self.shared.seen.senders.node(name, now_ms));
        if is_somebody {
            self.live.names_node(name);
        }
        let until_ms = now_ms + JUDGED_FOR_MS;
        Judged { name: name.clone(), domain, verdict, until_ms, heard, records: 0, newest_ms: 0 }
    }

    /// Counts what was judged of some messages, once all their records are through.
    fn told(&mut self, domain: u32, now_ms: u64) {
        let session = self.live.id;
        let mut twice = self.voice(domain).and_then(|voice| {
            let other = voice.heard(session)?;
            Some((other, Arc::clone(voice)))
        });
        for &at in &self.named {
            if let Some(heard) = &self.judged[at].heard
                && let Some(other) = heard.voice.heard(session)
            {
                twice = twice.or_else(|| Some((other, Arc::clone(&heard.voice))));
            }
        }
        if let Some((other, voice)) = twice {
            self.shared.seen.counters.double_exports.inc();
            if self.shared.seen.senders.may_warn_of(&voice, now_ms) {
                self.warn_of_twice(domain, other);
            }
        }
        self.flush(now_ms);
    }

    /// The voice of `domain`, of the first few that a session speaks for.
    fn voice(&mut self, domain: u32) -> Option<&Arc<Voice>> {
        let at = self.domains.iter().position(|(known, _)| *known == domain);
        if at.is_none() && self.domains.len() < TOLD {
            self.live.speaks_for_domain(domain);
            self.domains.push((domain, self.shared.seen.senders.domain(domain)));
        }
        let at = at.or_else(|| self.domains.len().checked_sub(1))?;
        self.domains.get(at).filter(|(known, _)| *known == domain).map(|(_, voice)| voice)
    }

    /// Hands on what was counted for each Node.
    fn flush(&mut self, now_ms: u64) {
        let mut named = std::mem::take(&mut self.named);
        for at in named.drain(..) {
            let judged = &mut self.judged[at];
            let (records, verdict) = (std::mem::take(&mut judged.records), judged.verdict);
            let newest_ms = std::mem::take(&mut judged.newest_ms);
            if let Some(heard) = &judged.heard {
                heard.told(records, now_ms, now_ms.saturating_sub(newest_ms));
            }
            self.shared.seen.counters.judged(verdict, records);
            if verdict.is_doubtful() {
                self.doubt(at, now_ms);
            }
        }
        self.named = named;
    }

    fn doubt(&self, at: usize, now_ms: u64) {
        // Whoever can have as many connections as they like fills no log.
        let is_due = || self.shared.seen.refusals.is_due(now_ms);
        if self.is_doubted.load(Ordering::Relaxed) || !is_due() {
            return;
        }
        self.is_doubted.store(true, Ordering::Relaxed);
        let Judged { name: node, domain, verdict, .. } = &self.judged[at];
        let taken = self.shared.options.claims != Claims::Refuse;
        let (peer, verdict) = (self.live.peer, verdict.name());
        tracing::warn!(%peer, %node, domain, verdict, taken, "session speaks for whom it is not");
    }

    fn warn_of_twice(&self, domain: u32, other: u64) {
        let node = self.named.last().map_or("", |&at| self.judged[at].name.as_str());
        let peer = self.live.peer;
        let other = self.shared.seen.roster.peer(other).map(tracing::field::display);
        tracing::warn!(
            node, domain, %peer, other,
            "a Node exports through two sessions at once: its flows are told twice"
        );
    }
}

impl Drop for Reporter {
    /// Also where the session's own code has panicked.
    fn drop(&mut self) {
        self.shared.metrics.sessions.dec();
        self.shared.seen.roster.close(&self.live);
        for (domain, voice) in self.domains.drain(..) {
            self.shared.seen.senders.leave(domain, voice);
        }
    }
}
