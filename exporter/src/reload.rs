//! A configuration that changes while the exporter runs.
//!
//! Files are compared every few seconds: a mounted `ConfigMap` is exchanged behind a symbolic
//! link, some file systems tell nobody, and two files are quickly read. SIGHUP hurries that.
//! Either all of a new configuration is taken over or nothing of it.

use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use daemon::configuration::{PERIOD, log};
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Given;
use crate::destination::Spec;
use crate::destinations::Way;
use crate::export::RouteError;
use crate::metrics::Metrics;
use crate::observe::Orders;
use crate::settings::{Loaded, Settings, Texts};

/// The settings that can change, for the stages they concern.
#[derive(Debug)]
pub(crate) struct Live {
    /// Destinations in there are told by [`crate::senders`] alone.
    pub(crate) orders: watch::Sender<Orders>,
    pub(crate) configured: watch::Sender<Arc<[Spec]>>,
}

/// Follows the files and applies what changes.
#[derive(Debug)]
pub(crate) struct Reload {
    args: Given,
    texts: Texts,
    /// What is in the files could not be applied, for which they need not be to blame.
    try_again: bool,
    /// With the values in force, so those of the start where these cannot change.
    running: Settings,
    live: Option<Live>,
    hangup: Signal,
    metrics: Arc<Metrics>,
}

/// One that goes on would have been told by then.
fn name_wait(settings: &Settings) -> Duration {
    settings.naming.wait.value.min(settings.active_timeout.value)
}

impl Live {
    pub(crate) fn new(settings: &Settings) -> Result<Self, RouteError> {
        let specs = usable(settings)?;
        let orders = Orders {
            poll_interval: settings.poll_interval.value,
            targets: [].into(),
            name_wait: name_wait(settings),
        };
        Ok(Self { orders: watch::Sender::new(orders), configured: watch::Sender::new(specs) })
    }
}

/// The destinations of a configuration, all of which can be used.
fn usable(settings: &Settings) -> Result<Arc<[Spec]>, RouteError> {
    let specs = settings.specs();
    for spec in &specs {
        Way::check(spec).map_err(|error| RouteError(spec.name.clone(), error))?;
    }
    Ok(specs.into())
}

impl Reload {
    /// Follows what [`Given::load`] has read. `live` is what there is to change; nothing if the
    /// exporter rests.
    pub(crate) const fn new(
        args: Given,
        texts: Texts,
        running: Settings,
        live: Option<Live>,
        hangup: Signal,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { args, texts, try_again: false, running, live, hangup, metrics }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = ticks.tick() => false,
            };
            let args = self.args.clone();
            // A file may be on a file system that takes its time.
            let Ok(loaded) = tokio::task::spawn_blocking(move || args.load()).await else { return };
            self.follow(loaded, asked);
        }
    }

    fn follow(&mut self, loaded: Loaded, asked: bool) {
        if asked || self.try_again || loaded.texts != self.texts {
            self.change(loaded);
        }
    }

    fn change(&mut self, loaded: Loaded) {
        self.texts = loaded.texts;
        self.try_again = false;
        log(&loaded.findings);
        let Some(settings) = loaded.settings else {
            return self.refuse(&"it has mistakes");
        };
        match self.apply(settings) {
            Ok(()) => {
                self.metrics.reloads.inc();
                tracing::info!("configuration is taken over");
            }
            Err(error) => {
                self.try_again = true;
                self.refuse(&Chain(&error));
            }
        }
    }

    fn refuse(&self, why: &dyn std::fmt::Display) {
        self.metrics.reloads_refused.inc();
        tracing::error!(%why, "configuration is refused, and the one before stays in force");
    }

    fn apply(&mut self, new: Settings) -> Result<(), RouteError> {
        if let Some(live) = &self.live {
            let specs = usable(&new)?;
            live.configured.send_if_modified(|old| replace(old, specs));
            let poll_interval = new.poll_interval.value;
            let name_wait = name_wait(&new);
            live.orders.send_if_modified(|old| {
                replace(&mut old.poll_interval, poll_interval)
                    | replace(&mut old.name_wait, name_wait)
            });
        }
        let waiting = self.running.take_over(new);
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "these take effect when the exporter is started anew");
        }
        Ok(())
    }
}

/// Returns whether that changed anything.
fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let is_new = *old != new;
    *old = new;
    is_new
}

#[cfg(test)]
mod tests;
