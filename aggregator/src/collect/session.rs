//! One Transport Session: what its messages tell is passed on and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use daemon::Chain;
use flow::Plan;
use ipfix::decode::{Session, Summary};
use ipfix::transport::collect::{Collector, CollectorSession, Peer, Refused, Rejected, SessionEnd};

use super::{Decoder, Malformed, Room};
use crate::metrics::{EndReason, Metrics, Unusable};

/// What all sessions have in common.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) room: Room,
    pub(super) metrics: Arc<Metrics>,
}

/// One Transport Session.
#[derive(Debug)]
pub(super) struct Collected {
    peer: SocketAddr,
    decoder: Decoder,
    room: Room,
    metrics: Arc<Metrics>,
}

impl Collector for Sessions {
    type Plan = Plan;
    type Session = Collected;

    fn open(&self, peer: &Peer, session: Session<Plan>) -> Collected {
        let peer = peer.address;
        tracing::info!(%peer, "session opened");
        self.metrics.sessions.inc();
        let (room, metrics) = (self.room.clone(), Arc::clone(&self.metrics));
        Collected { peer, decoder: Decoder::new(session), room, metrics }
    }

    fn refused(&self, peer: SocketAddr, why: &Refused) {
        self.metrics.session_ended(EndReason::of_refused(why));
        tracing::warn!(%peer, error = %Chain(why), "session refused");
    }

    fn listener_failed(&self, error: &io::Error) {
        tracing::warn!(%error, "a session cannot be accepted");
    }
}

impl CollectorSession for Collected {
    async fn message(&mut self, message: &[u8], now: Instant) -> Result<Summary, Rejected> {
        let room = self.room.reserve(message.len()).await.ok_or(Rejected::Unwanted)?;
        let told = self.decoder.decode(message, now);
        let unusable = self.decoder.take_unusable();
        self.metrics.records_unusable(Unusable::NoAddresses, unusable);
        match told {
            Ok((summary, records)) => {
                self.count(&summary);
                room.fill(self.peer.ip(), summary.header.domain, records);
                Ok(summary)
            }
            Err(Malformed { domain, records, source }) => {
                self.metrics.records_received.inc_by(unusable + records.len() as u64);
                room.fill(self.peer.ip(), domain, records);
                Err(source.into())
            }
        }
    }

    fn ended(self, end: &SessionEnd) {
        let Self { peer, decoder, metrics, .. } = self;
        metrics.sessions.dec();
        let reason = EndReason::of(end);
        metrics.session_ended(reason);
        let (cut, resets) = decoder.names();
        metrics.names_cut.inc_by(cut);
        metrics.names_resets.inc_by(resets);
        let reason = reason.label();
        if end.is_orderly() {
            tracing::info!(%peer, reason, "session closed");
        } else {
            tracing::warn!(%peer, reason, error = %Chain(end), "session closed");
        }
    }
}

impl Collected {
    fn count(&self, summary: &Summary) {
        let metrics = &self.metrics;
        metrics.messages.inc();
        metrics.records_received.inc_by(u64::from(summary.records));
        if summary.lost_records > 0 {
            metrics.records_lost.inc_by(u64::from(summary.lost_records));
            tracing::warn!(
                peer = %self.peer,
                domain = summary.header.domain,
                records = summary.lost_records,
                "sequence numbers skip: records were lost on the way"
            );
        }
        metrics.sets_without_template.inc_by(u64::from(summary.sets_without_template));
        metrics.sets_reserved.inc_by(u64::from(summary.sets_reserved));
        metrics.out_of_order.inc_by(u64::from(summary.out_of_order));
        metrics.templates_refused.inc_by(u64::from(summary.templates_refused));
    }
}
