//! One Transport Session of IPFIX: what its messages tell is passed on and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use daemon::Chain;
use flow::{FlowRecord, Plan};
use ipfix::decode::{Session, Summary};
use ipfix::transport::collect::{
    Collector, CollectorSession, Peer, Protocol, Refused, Rejected, SessionEnd,
};
use tokio::sync::OwnedSemaphorePermit;

use super::live::{SessionCounters, Transport};
use super::reporter::Reporter;
use super::{Decoder, Reported, Shared};
use crate::metrics::{EndReason, Unusable};

/// What opens them.
#[derive(Debug)]
pub(super) struct Sessions(Arc<Shared>);

/// One Transport Session.
#[derive(Debug)]
pub(super) struct Collected {
    shared: Arc<Shared>,
    decoder: Decoder,
    reporter: Reporter,
    gathered: Gathered,
}

/// What messages told that came one after the other. Many exporters tell one record per message:
/// what is done for each batch would cost more than its record.
#[derive(Debug)]
struct Gathered {
    domain: u32,
    records: Vec<FlowRecord>,
    /// For these records, and for more to come.
    room: Option<OwnedSemaphorePermit>,
    /// What was counted of these messages, and is to be told.
    counted: SessionCounters,
    /// When the last of them came.
    now: Instant,
    /// Records that were passed on the last time.
    before: usize,
}

/// Records that are passed on at once at least, if so many have come. A message of the longest has
/// about as many, and what holds them is short enough for the allocator to keep.
const GATHERED: usize = 192;

impl Sessions {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Collector for Sessions {
    type Plan = Plan;
    type Session = Collected;

    fn open(&self, peer: &Peer, session: Session<Plan>) -> Collected {
        let transport = match peer.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Tls => Transport::Tls,
            Protocol::Udp => Transport::Udp,
        };
        let reporter = Reporter::open(&self.0, peer.address, transport, Arc::default());
        let decoder = Decoder::new(session, self.0.room.names());
        let gathered = Gathered::new();
        Collected { shared: Arc::clone(&self.0), decoder, reporter, gathered }
    }

    fn refused(&self, peer: SocketAddr, why: &Refused) {
        self.0.metrics.session_ended(EndReason::of_refused(why));
        // Over UDP each datagram of a stranger is one.
        if self.0.seen.refusals.is_due(self.0.seen.epoch.ms(Instant::now())) {
            tracing::warn!(%peer, error = %Chain(why), "session refused");
        }
    }

    fn listener_failed(&self, error: &io::Error) {
        tracing::warn!(%error, "a session cannot be accepted");
    }
}

impl CollectorSession for Collected {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        let domain = domain(message);
        if domain != self.gathered.domain {
            self.pass_on().await.ok_or(Rejected::Unwanted)?;
        }
        self.make_room(message.len()).await.ok_or(Rejected::Unwanted)?;
        let Self { shared, decoder, reporter, gathered } = self;
        gathered.domain = domain;
        gathered.now = now;
        let before = gathered.records.len();
        let told = decoder.decode(message, now, &mut gathered.records);
        let (unusable, unknown) = (decoder.take_unusable(), decoder.take_unknown_fields());
        if unknown > 0 {
            shared.seen.counters.fields_unknown.inc_by(unknown);
        }
        let counted = &mut gathered.counted;
        counted.messages += 1;
        counted.octets += message.len() as u64;
        counted.unusable += unusable;
        if let Ok(summary) = &told {
            counted.records += u64::from(summary.records) + u64::from(summary.records_resumed);
            count(shared, reporter.peer(), summary, now, counted);
        } else {
            counted.records += unusable + (gathered.records.len() - before) as u64;
            counted.errors += 1;
        }
        if gathered.records.len() >= GATHERED {
            self.pass_on().await.ok_or(Rejected::Unwanted)?;
        }
        told.map_err(Rejected::from)
    }

    async fn caught_up(&mut self) {
        // Where nobody is left to take it, the next message is told so.
        self.pass_on().await.unwrap_or_default();
    }

    fn ended(mut self, end: &SessionEnd) {
        self.judge();
        let Self { shared, decoder, reporter, gathered } = self;
        let metrics = &shared.metrics;
        if !gathered.records.is_empty() {
            // Cut off in the midst of a turn.
            let records = gathered.records.len();
            metrics.records_lost.inc_by(records as u64);
            tracing::warn!(peer = %reporter.peer(), records, "session cut off: records are lost");
        }
        let reason = EndReason::of(end);
        metrics.session_ended(reason);
        metrics.names(decoder.names());
        let (peer, reason) = (reporter.peer(), reason.label());
        if matches!(end, SessionEnd::Crowded) {
            tracing::debug!(%peer, reason, "session closed");
        } else if end.is_orderly() {
            tracing::info!(%peer, reason, "session closed");
        } else {
            tracing::warn!(%peer, reason, error = %Chain(end), "session closed");
        }
    }
}

impl Collected {
    /// Waits for room for what a message of `length` bytes may tell. What was gathered is passed on
    /// before, if it may be in the way.
    async fn make_room(&mut self, length: usize) -> Option<()> {
        let (room, gathered) = (&self.shared.room, &mut self.gathered);
        let most = room.most(length);
        let missing = most.saturating_sub(gathered.free());
        if missing == 0 {
            return Some(());
        }
        // For some messages more at once, if they are short.
        let now = room.records_now(missing.max(GATHERED)).or_else(|| room.records_now(missing));
        if let Some(more) = now {
            gathered.add(more);
            return Some(());
        }
        self.pass_on().await?;
        let more = self.shared.room.records(most).await?;
        self.gathered.add(more);
        Some(())
    }

    /// Passes on what was gathered. Returns nothing if there is nobody left to take it.
    async fn pass_on(&mut self) -> Option<()> {
        self.judge();
        if self.gathered.records.is_empty() {
            // Others may wait for it.
            self.gathered.room = None;
            return Some(());
        }
        let place = self.shared.room.place().await?;
        let domain = self.gathered.domain;
        let mut records = std::mem::take(&mut self.gathered.records);
        self.gathered.before = records.len();
        // What waits is bounded by its number, not by what growing has set aside.
        records.shrink_to_fit();
        if let Some(mut room) = self.gathered.room.take() {
            let room = room.split(records.len()).unwrap_or(room);
            place.send(Reported { peer: self.reporter.peer().ip(), domain, records, _room: room });
        }
        Some(())
    }

    /// Counts what was gathered, and drops what is not believed.
    fn judge(&mut self) {
        let Gathered { domain, records, counted, now, .. } = &mut self.gathered;
        let counted = std::mem::take(counted);
        if counted.messages == 0 {
            return;
        }
        let metrics = &self.shared.metrics;
        metrics.records_received.inc_by(counted.records);
        if counted.unusable > 0 {
            metrics.records_unusable(Unusable::NoAddresses, counted.unusable);
        }
        self.reporter.check(counted, *domain, records, *now);
    }
}

impl Gathered {
    fn new() -> Self {
        Self {
            domain: 0,
            records: Vec::new(),
            room: None,
            counted: SessionCounters::default(),
            now: Instant::now(),
            before: 0,
        }
    }

    /// How many records there is room for.
    fn free(&self) -> usize {
        let room = self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        room.saturating_sub(self.records.len())
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        if self.records.capacity() == 0 {
            // A little more than last time; whoever has sent long messages may send short ones.
            self.records.reserve_exact((self.before + self.before / 8).min(self.free()));
        }
    }
}

/// The Observation Domain of a message (RFC 7011, section 3.1).
fn domain(message: &[u8]) -> u32 {
    let domain = message.get(12..).and_then(|rest| rest.first_chunk());
    domain.map_or(0, |domain| u32::from_be_bytes(*domain))
}

/// Counts what a sound message told beside its records.
fn count(
    shared: &Shared,
    peer: SocketAddr,
    summary: &Summary,
    now: Instant,
    counted: &mut SessionCounters,
) {
    let metrics = &shared.metrics;
    metrics.messages.inc();
    if summary.lost_records > 0 {
        let lost = u64::from(summary.lost_records);
        counted.lost += lost;
        metrics.records_lost.inc_by(lost);
        if shared.seen.losses.is_due(shared.seen.epoch.ms(now)) {
            tracing::warn!(
                %peer,
                domain = summary.header.domain,
                records = summary.lost_records,
                "sequence numbers skip: records were lost on the way"
            );
        }
    }
    counted.templates += u64::from(summary.templates);
    let unread = [
        (&metrics.sets_without_template, summary.sets_without_template + summary.sets_given_up),
        (&metrics.sets_reserved, summary.sets_reserved),
        (&metrics.templates_refused, summary.templates_refused),
    ];
    for (counter, number) in unread {
        if number > 0 {
            counter.inc_by(number.into());
            counted.errors += u64::from(number);
        }
    }
    if summary.out_of_order {
        metrics.out_of_order.inc();
    }
}
