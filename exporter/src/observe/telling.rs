//! Records out, to everybody who has room.

use std::sync::Arc;

use flow::FlowRecord;

use super::denials::Denials;
use super::{BATCH, Observer, Outlet};
use crate::clients::Clients;
use crate::conntrack::ConnectionSource;
use crate::deny::{Rules, judge};
use crate::enrich::{Enricher, PodLabels};
use crate::export::Spares;
use crate::meter::{Due, Meter, Offer, Set};
use crate::metrics::Metrics;

impl<S: ConnectionSource> Observer<S> {
    /// Hands records of what is due to every destination that has room for a batch: first what it
    /// is owed, then what is new. What has ended and lacks names waits for them. Returns whether
    /// there may be more.
    pub fn hand_out(&mut self, now: u64) -> bool {
        let Self { meter, enricher, intake, outlets, spares, metrics, waiting, denials, .. } = self;
        for outlet in outlets.iter() {
            spares.fetch(&outlet.target.spent);
        }
        let clients = &intake.clients;
        let maker = Maker::new(enricher, clients, denials.as_ref(), metrics, outlets, spares);
        let waits = |due: &Due<'_>| {
            maker.with_client(due, |due| waiting.holds(due, now, |due| enricher.is_settled(due)))
        };
        let may_be_more = tell(meter, outlets, &maker, |meter, ready, report| {
            meter.due(now, BATCH, ready, waits, report)
        });
        if !may_be_more {
            // What is soon to come takes no more.
            spares.keep(BATCH);
        }
        may_be_more
    }

    /// As [`Observer::hand_out`], for everything that has not been told. Returns whether there was
    /// anything.
    pub(super) fn flush(&mut self) -> bool {
        let mut told = 0;
        let Self { meter, enricher, intake, outlets, spares, metrics, denials, .. } = self;
        let clients = &intake.clients;
        let maker = Maker::new(enricher, clients, denials.as_ref(), metrics, outlets, spares);
        let may_be_more = tell(meter, outlets, &maker, |meter, ready, report| {
            told = meter.flush(BATCH, ready, report);
            told
        });
        may_be_more || told > 0
    }
}

/// A record, and what filters ask besides.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) record: Arc<FlowRecord>,
    /// None, unless some destination's filter asks for them.
    pub(super) labels: PodLabels,
}

/// What makes records of connections.
struct Maker<'a> {
    enricher: &'a Enricher,
    clients: &'a Clients,
    rules: Option<&'a Rules>,
    metrics: &'a Metrics,
    spares: &'a Spares,
    wants_labels: bool,
}

impl<'a> Maker<'a> {
    fn new(
        enricher: &'a Enricher,
        clients: &'a Clients,
        denials: Option<&'a Denials>,
        metrics: &'a Metrics,
        outlets: &[Outlet],
        spares: &'a Spares,
    ) -> Self {
        let wants_labels = outlets.iter().any(|it| it.target.filter.pod_labels.is_some());
        let rules = denials.map(Denials::rules);
        Self { enricher, clients, rules, metrics, spares, wants_labels }
    }

    /// Shows `look` a connection as its client outside of the cluster has it, if it has one.
    fn with_client<T>(&self, due: &Due<'_>, look: impl FnOnce(&Due<'_>) -> T) -> T {
        match self.clients.find(due).map(|client| client.connection(due)) {
            Some((original, reply)) => {
                look(&Due { original: &original, reply: &reply, ..due.clone() })
            }
            None => look(due),
        }
    }

    fn make(&self, due: &Due<'_>) -> Option<Made> {
        let (mut record, labels) = self.with_client(due, |seen| {
            if !std::ptr::eq(seen, due) {
                self.metrics.source.clients_found.inc();
            }
            if self.wants_labels {
                self.enricher.record_with_labels(seen).unzip()
            } else {
                (self.enricher.record(seen), None)
            }
        });
        if let (Some(record), Some(verdict), Some(rules)) = (&mut record, &due.denied, self.rules) {
            judge(record, verdict, rules);
        }
        #[cfg(feature = "faults")]
        let record = crate::faults::spoil(record);
        if record.is_none() {
            self.metrics.records_not_exportable.inc();
        }
        let labels = labels.unwrap_or_default();
        record.map(|record| Made { record: self.spares.share(record), labels })
    }
}

/// Tells what is owed, and then what is due. Returns whether there may be more.
fn tell(
    meter: &mut Meter,
    outlets: &mut [Outlet],
    maker: &Maker<'_>,
    due: impl FnOnce(&mut Meter, Set, &mut dyn FnMut(&Due<'_>, Offer) -> Set) -> usize,
) -> bool {
    let mut ready = Set::EMPTY;
    let mut most = 0;
    for outlet in outlets.iter_mut().filter(|outlet| outlet.has_room()) {
        let paid = meter.pay(outlet.id, BATCH, |due| match maker.make(due) {
            Some(made) => outlet.take(&made),
            None => outlet.has_none(),
        });
        most = most.max(paid);
        if meter.lag(outlet.id).owed == 0 {
            ready.insert(outlet.id);
        }
    }
    let told = due(meter, ready, &mut |due, offer| {
        let Some(made) = maker.make(due) else {
            let concerned = |it: &&Outlet| offer.to.contains(it.id) || offer.late.contains(it.id);
            outlets.iter().filter(concerned).for_each(Outlet::has_none);
            return Set::EMPTY;
        };
        let mut owed = Set::EMPTY;
        for outlet in outlets.iter_mut() {
            if offer.to.contains(outlet.id) {
                outlet.take(&made);
            } else if offer.late.contains(outlet.id) && outlet.wants(&made) {
                owed.insert(outlet.id);
            }
        }
        owed
    });
    outlets.iter_mut().for_each(Outlet::send);
    most.max(told) == BATCH
}
