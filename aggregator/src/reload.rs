//! A configuration that changes while the aggregator runs.
//!
//! The file is compared every few seconds: a mounted `ConfigMap` is exchanged behind a symbolic
//! link, and some file systems tell nobody. SIGHUP hurries that. Either all of a new configuration
//! is taken over that can be, or nothing of it.

use std::fmt::Display;

use config::Severity;
use daemon::Chain;
use daemon::admin::Readiness;
use daemon::configuration::{PERIOD, log};
use flow::Uid;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use sinks::OptionsError;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::app::Running;
use crate::args::Given;
use crate::settings::{Loaded, Settings, Text};

/// What `/healthz` calls this.
const PART: &str = "configuration";

/// Follows the file.
#[derive(Debug)]
pub(crate) struct Reload {
    args: Given,
    text: Text,
    /// With the values in force, so those of the start where these cannot change.
    running: Settings,
    hangup: Signal,
    ticks: Interval,
    readiness: Readiness,
    counts: Counts,
}

/// Configurations that were read while running, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    taken: Counter,
    refused: Counter,
}

impl Reload {
    /// Follows what [`Given::load`] has read.
    pub(crate) fn new(
        args: Given,
        text: Text,
        running: Settings,
        hangup: Signal,
        readiness: Readiness,
    ) -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let counts = Counts::default();
        Self { args, text, running, hangup, ticks, readiness, counts }
    }

    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until the file is not what it was. Returns what it is then.
    ///
    /// # Cancel safety
    ///
    /// What is not returned is found again, at the latest by the next look.
    pub(crate) async fn changed(&mut self) -> Loaded {
        loop {
            let asked = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = self.ticks.tick() => false,
            };
            let args = self.args.clone();
            // A file may be on a file system that takes its time.
            let Ok(loaded) = spawn_blocking(move || args.load()).await else { continue };
            if loaded.text != self.text {
                return loaded;
            }
            if asked {
                tracing::info!("the configuration's file is what it was");
            }
        }
    }

    /// Takes over what was read, or says why not.
    pub(crate) fn follow(&mut self, loaded: Loaded, uuid: Option<Uid>, outputs: &mut Running) {
        self.text = loaded.text;
        log(&loaded.findings);
        let Some(new) = loaded.settings else {
            return self.refuse(&format!("it has mistakes: {}", loaded.findings));
        };
        if let Err(error) = new.check_build() {
            return self.refuse(&error);
        }
        let mut running = self.running.clone();
        let waiting = running.take_over(new);
        // What is good in the mode that it asks for need not be so in the one that runs.
        let mistakes = running.mistakes();
        if mistakes.any(Severity::Error) {
            return self.refuse(&format!("in the mode that runs it has mistakes: {mistakes}"));
        }
        if let Err(error) = follow(&running, uuid, outputs) {
            return self.refuse(&Chain(&error));
        }
        outputs.want(running.wanted());
        self.running = running;
        self.counts.taken.inc();
        self.readiness.remark(PART, None);
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "these take effect when the aggregator is started anew");
            let what = format!("these wait for the next start: {keys}");
            self.readiness.remark(PART, Some(what));
        }
        tracing::info!("configuration is taken over");
    }

    /// Has the outputs be what the configuration in force says, of the cluster `uuid`.
    pub(crate) fn outputs(
        &mut self,
        uuid: Option<Uid>,
        outputs: &mut Running,
    ) -> Result<(), OptionsError> {
        follow(&self.running, uuid, outputs)
    }

    fn refuse(&self, why: &dyn Display) {
        self.counts.refused.inc();
        let what = format!("is refused, and the one before stays in force: {why}");
        self.readiness.remark(PART, Some(what.replace('\n', "; ")));
        tracing::error!(%why, "configuration is refused, and the one before stays in force");
    }
}

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("fyke_aggregator");
        let taken = "Configurations that were taken over while running";
        registry.register("reloads", taken, self.taken.clone());
        let refused = "Configurations that were refused while running";
        registry.register("reloads_refused", refused, self.refused.clone());
    }
}

fn follow(
    settings: &Settings,
    uuid: Option<Uid>,
    outputs: &mut Running,
) -> Result<(), OptionsError> {
    outputs.follow(settings.outputs(uuid, settings.aggregation.mode.value))
}
