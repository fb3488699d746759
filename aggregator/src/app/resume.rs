//! What is known of flows from before this process.

use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

use daemon::{Ended, Supervisor, now_ns};
use sinks::Spool;
use tokio::task::{JoinError, spawn_blocking};

use super::StartError;
use crate::correlate::Timeouts;
use crate::fan_out::FanOut;
use crate::settings::Settings;
use crate::shards::Shards;

/// How far back the store is read after a restart: no flow lives on unreported for so long.
const HORIZON_MS: u64 = 3_600_000;

/// Correlators that know what was told before, and the way to the outputs. A large store takes a
/// while to read, during which a signal must be heard.
pub(super) async fn open(settings: &Settings) -> Result<(Shards, FanOut), StartError> {
    let it = &settings.aggregation;
    let timeouts = Timeouts {
        active: it.active.value,
        inactive: it.inactive.value,
        clock_skew: it.clock_skew.value,
    };
    let cores = available_parallelism().map_or(1, NonZero::get);
    let mut shards = Shards::new(timeouts, it.flows.value, cores);
    let (data, spool) = (settings.storage.data.value.clone(), settings.storage.spool());
    let opening = spawn_blocking(move || {
        if let Some(data) = &data {
            learn(&mut shards, data)?;
        }
        let Some(spool) = spool else { return Ok((shards, FanOut::default())) };
        let spool = Spool::open(&spool)?;
        // Told, and perhaps not stored yet.
        spool.visit(|record| shards.learn(record))?;
        Ok((shards, FanOut::with_spool(spool)))
    });
    let ended = |cause: JoinError| Ended { task: "reading the store", cause: Some(cause.into()) };
    opening.await.map_err(ended)?
}

/// Watches the spool's threads, if there is one: a process without them would lose all it takes.
pub(super) fn supervised(fan_out: &FanOut) -> Supervisor {
    let mut supervisor = Supervisor::default();
    if let Some(spool) = fan_out.spool().cloned() {
        supervisor.spawn_fallible("spool", async move { Err(spool.panicked().await.into()) });
    }
    supervisor
}

/// Lets the correlators know what is stored of flows that may still be going on.
fn learn(shards: &mut Shards, data: &Path) -> Result<(), StartError> {
    let since = (now_ns() / 1_000_000).saturating_sub(HORIZON_MS);
    let reader = match store::Reader::open(data) {
        Ok(reader) => reader,
        Err(store::StoreError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let scan = reader.told(since, |record| shards.learn(record))?;
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
