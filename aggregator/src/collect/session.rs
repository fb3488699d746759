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
use super::{Decoder, Malformed, Reported, Shared};
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

/// Records of messages that came one after the other. Many exporters tell one record per message:
/// what is done for each batch would cost more than its record.
#[derive(Debug, Default)]
struct Gathered {
    domain: u32,
    records: Vec<FlowRecord>,
    room: Option<OwnedSemaphorePermit>,
}

/// Records that are passed on at once at least, if so many have come.
const GATHERED: usize = 256;

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
        let reporter = Reporter::open(&self.0, peer.address, transport);
        let decoder = Decoder::new(session, self.0.room.names());
        let gathered = Gathered::default();
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
        let room = self.room(message.len()).await.ok_or(Rejected::Unwanted)?;
        let Self { shared, decoder, reporter, .. } = self;
        let told = decoder.decode(message, now);
        let unusable = decoder.take_unusable();
        let unknown = decoder.take_unknown_fields();
        let (domain, mut records, result) = match told {
            Ok((summary, records)) => (summary.header.domain, records, Ok(summary)),
            Err(Malformed { domain, records, source }) => (domain, records, Err(source)),
        };
        let came = match &result {
            Ok(summary) => u64::from(summary.records) + u64::from(summary.records_resumed),
            Err(_) => unusable + records.len() as u64,
        };
        let mut counted = SessionCounters {
            messages: 1,
            octets: message.len() as u64,
            records: came,
            unusable,
            errors: u64::from(result.is_err()),
            ..SessionCounters::default()
        };
        if let Ok(summary) = &result {
            count(shared, reporter.peer(), summary, now, &mut counted);
        }
        shared.metrics.records_received.inc_by(came);
        if unusable > 0 {
            shared.metrics.records_unusable(Unusable::NoAddresses, unusable);
        }
        if unknown > 0 {
            shared.seen.counters.fields_unknown.inc_by(unknown);
        }
        reporter.check(counted, domain, &mut records, now);
        self.gather(domain, records, room).await.ok_or(Rejected::Unwanted)?;
        result.map_err(Rejected::from)
    }

    async fn caught_up(&mut self) {
        // Where nobody is left to take it, the next message is told so.
        self.pass_on().await.unwrap_or_default();
    }

    fn ended(self, end: &SessionEnd) {
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
    async fn room(&mut self, length: usize) -> Option<OwnedSemaphorePermit> {
        if let Some(room) = self.shared.room.records_now(length) {
            return Some(room);
        }
        self.pass_on().await?;
        self.shared.room.records(length).await
    }

    /// Adds what a message told to what others have, in `room` for it.
    async fn gather(
        &mut self,
        domain: u32,
        mut records: Vec<FlowRecord>,
        mut room: OwnedSemaphorePermit,
    ) -> Option<()> {
        if records.is_empty() {
            return Some(());
        }
        if domain != self.gathered.domain {
            self.pass_on().await?;
        }
        let room = room.split(records.len()).unwrap_or(room);
        let gathered = &mut self.gathered;
        gathered.domain = domain;
        match &mut gathered.room {
            Some(known) => known.merge(room),
            none => *none = Some(room),
        }
        if gathered.records.is_empty() {
            gathered.records = records;
        } else {
            gathered.records.append(&mut records);
        }
        if gathered.records.len() >= GATHERED { self.pass_on().await } else { Some(()) }
    }

    /// Passes on what was gathered. Returns nothing if there is nobody left to take it.
    async fn pass_on(&mut self) -> Option<()> {
        if self.gathered.records.is_empty() {
            return Some(());
        }
        let place = self.shared.room.place().await?;
        let Gathered { domain, mut records, room } = std::mem::take(&mut self.gathered);
        // What waits is bounded by its number, not by what growing has set aside.
        records.shrink_to_fit();
        if let Some(room) = room {
            place.send(Reported { peer: self.reporter.peer().ip(), domain, records, _room: room });
        }
        Some(())
    }
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
        counted.lost = summary.lost_records.into();
        metrics.records_lost.inc_by(counted.lost);
        if shared.seen.losses.is_due(shared.seen.epoch.ms(now)) {
            tracing::warn!(
                %peer,
                domain = summary.header.domain,
                records = summary.lost_records,
                "sequence numbers skip: records were lost on the way"
            );
        }
    }
    counted.templates = summary.templates.into();
    let unread = [
        (&metrics.sets_without_template, summary.sets_without_template + summary.sets_given_up),
        (&metrics.sets_reserved, summary.sets_reserved),
        (&metrics.templates_refused, summary.templates_refused),
    ];
    for (counter, number) in unread {
        counter.inc_by(number.into());
        counted.errors += u64::from(number);
    }
    metrics.out_of_order.inc_by(summary.out_of_order.into());
}
