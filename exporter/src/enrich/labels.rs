//! Labels of the Pods that a record names.

use std::sync::Arc;

use flow::{FlowRecord, Name};
use k8s::Limits;

use super::{Enricher, Seat};
use crate::meter::Due;

/// One Pod's labels, shared with the snapshot.
type Labels = Arc<[(Name, Name)]>;

/// Labels of the source and of the destination: of Pods of this Node that are known for certain,
/// with all their labels.
#[derive(Debug, Clone, Default)]
pub struct PodLabels(pub [Option<Labels>; 2]);

impl Enricher {
    /// As [`Enricher::record`], with the labels of the Pods it names, as they are known now.
    pub fn record_with_labels(&self, due: &Due<'_>) -> Option<(FlowRecord, PodLabels)> {
        let cluster = self.cluster.load();
        let seats = self.seats(&cluster, due);
        let record = self.record_of(&cluster, due, seats)?;
        Some((record, PodLabels([seats.source, seats.destination].map(labels))))
    }
}

fn labels(seat: Seat<'_>) -> Option<Arc<[(Name, Name)]>> {
    let pod = seat.pod.owner().filter(|_| seat.place.is_local)?;
    // With as many as are kept there may have been more.
    let are_all = pod.labels.len() < Limits::default().labels;
    are_all.then(|| Arc::clone(&pod.labels))
}
