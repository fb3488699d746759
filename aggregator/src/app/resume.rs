//! What is known of flows from before this process.

use std::path::Path;

use daemon::{Ended, now_ns};
use tokio::task::{JoinError, spawn_blocking};

use super::StartError;
use crate::correlate::{Correlator, Timeouts};
use crate::settings::Settings;

/// How far back the store is read after a restart: no flow lives on unreported for so long.
const HORIZON_MS: u64 = 3_600_000;

/// A correlator that knows what is stored. A large store takes a while to read, during which a
/// signal must be heard.
pub(super) async fn correlator(settings: &Settings) -> Result<Correlator, StartError> {
    let it = &settings.aggregation;
    let timeouts = Timeouts {
        active: it.active.value,
        inactive: it.inactive.value,
        clock_skew: it.clock_skew.value,
    };
    let mut correlator = Correlator::new(timeouts, it.flows.value);
    let Some(data) = settings.storage.data.value.clone() else { return Ok(correlator) };
    let learning = spawn_blocking(move || learn(&mut correlator, &data).map(|()| correlator));
    let ended = |cause: JoinError| Ended { task: "reading the store", cause: Some(cause.into()) };
    Ok(learning.await.map_err(ended)??)
}

/// Lets the correlator know what is stored of flows that may still be going on.
fn learn(correlator: &mut Correlator, data: &Path) -> Result<(), store::StoreError> {
    let since = (now_ns() / 1_000_000).saturating_sub(HORIZON_MS);
    let reader = match store::Reader::open(data) {
        Ok(reader) => reader,
        Err(store::StoreError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let scan = reader.told(since, |record| correlator.learn(record))?;
    if let Some(skipped) = scan.first_skipped {
        tracing::warn!(
            files = scan.skipped,
            first = %skipped.path.display(),
            reason = %skipped.reason,
            "stored files cannot be read: what they told of flows may be told again"
        );
    }
    Ok(())
}
