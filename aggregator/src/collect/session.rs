//! One Transport Session of IPFIX: what its messages tell is passed on and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use daemon::Chain;
use flow::Plan;
use ipfix::decode::{Session, Summary};
use ipfix::transport::collect::{
    Collector, CollectorSession, Peer, Protocol, Refused, Rejected, SessionEnd,
};

use super::live::{SessionCounters, Transport};
use super::reporter::Reporter;
use super::{Decoder, Malformed, Shared};
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
}

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
        Collected { shared: Arc::clone(&self.0), decoder, reporter }
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
        let Self { shared, decoder, reporter } = self;
        let room = shared.room.reserve(message.len()).await.ok_or(Rejected::Unwanted)?;
        let told = decoder.decode(message, now);
        let unusable = decoder.take_unusable();
        let unknown = decoder.take_unknown_fields();
        let (domain, records, result) = match told {
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
        reporter.tell(counted, domain, records, room, now);
        result.map_err(Rejected::from)
    }

    fn ended(self, end: &SessionEnd) {
        let Self { shared, decoder, reporter } = self;
        let metrics = &shared.metrics;
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
