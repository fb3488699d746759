use std::sync::Arc;

use tokio::sync::mpsc::{Sender, WeakSender};

use super::BATCH;
use super::telling::Made;
use crate::destination::Filter;
use crate::export::{Batch, Spent};
use crate::meter::{Id, Timeouts};
use crate::metrics::DestinationMetrics;

/// A destination, as an observer has to know it.
#[derive(Debug, Clone)]
pub struct Target {
    pub name: String,
    /// Another one of the same name has another number.
    pub number: u64,
    pub timeouts: Timeouts,
    pub filter: Filter,
    /// To its Exporting Process, into which nobody else sends. It ends with the observer, however
    /// many know of it.
    pub queue: WeakSender<Batch>,
    /// What it has been told, from its Exporting Process.
    pub spent: Arc<Spent>,
    pub metrics: Arc<DestinationMetrics>,
}

/// A destination, as the meter knows it too.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) id: Id,
    pub(super) target: Target,
    queue: Sender<Batch>,
    batch: Batch,
}

impl Outlet {
    pub(super) const fn new(id: Id, target: Target, queue: Sender<Batch>) -> Self {
        Self { id, target, queue, batch: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.target.name
    }

    pub(super) fn metrics(&self) -> &DestinationMetrics {
        &self.target.metrics
    }

    /// Whether its Exporting Process has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.is_gone() && self.queue.capacity() > 0
    }

    pub(super) fn wants(&self, made: &Made) -> bool {
        let wants = self.target.filter.allows(&made.record, &made.labels);
        if !wants {
            self.target.metrics.records_filtered.inc();
        }
        wants
    }

    /// Something was due of which there is no record.
    pub(super) fn has_none(&self) {
        self.target.metrics.records_unmade.inc();
    }

    /// Adds a record to the batch, if it is wanted.
    pub(super) fn take(&mut self, made: &Made) {
        if self.wants(made) {
            if self.batch.is_empty() {
                self.batch.reserve(BATCH);
            }
            self.batch.push(Arc::clone(&made.record));
        }
    }

    /// Sends the batch, for which there was room when it was begun.
    pub(super) fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let records = self.batch.len();
        // Before somebody can take them out.
        self.target.metrics.queue(records);
        if let Err(error) = self.queue.try_send(std::mem::take(&mut self.batch)) {
            // The Exporting Process has ended in the meantime.
            self.target.metrics.unqueue(records);
            let records = u64::try_from(error.into_inner().len()).unwrap_or(u64::MAX);
            self.target.metrics.abandon(records);
            let destination = &self.target.name;
            tracing::error!(destination, records, "destination has gone: records are lost");
        }
    }
}
