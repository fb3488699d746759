//! A configuration that changes while the exporter runs.
//!
//! Files are compared every few seconds: a mounted `ConfigMap` is exchanged behind a symbolic
//! link, some file systems tell nobody, and two files are quickly read. SIGHUP hurries that.
//! Either all of a new configuration is taken over or nothing of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use ipfix::transport::{Destination, Transport as Carrier};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Args;
use crate::export::{Collector, Protocol};
use crate::meter::Timeouts;
use crate::metrics::Metrics;
use crate::observe::Orders;
use crate::settings::{self, Loaded, Settings, Texts, Transport};
use crate::tls::{self, TlsError};

const PERIOD: Duration = Duration::from_secs(5);

/// The settings that can change, for the stages they concern.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) orders: watch::Sender<Orders>,
    pub(crate) collector: watch::Sender<Collector>,
}

/// Follows the files and applies what changes.
#[derive(Debug)]
pub(crate) struct Reload {
    args: Args,
    texts: Texts,
    /// What is in the files could not be applied, for which they need not be to blame.
    try_again: bool,
    /// With the values in force, so those of the start where these cannot change.
    running: Settings,
    live: Option<Live>,
    hangup: Signal,
    metrics: Arc<Metrics>,
}

/// Why a configuration cannot be used that has no mistake in itself.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("destination is incomplete")]
    Incomplete,
    #[error("TLS to the collector is not possible")]
    Tls(#[from] TlsError),
}

/// SIGHUPs that come from now on are kept until asked for; one that comes earlier ends the
/// process. Needs a runtime around it.
pub(crate) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

pub(crate) fn orders(settings: &Settings) -> Orders {
    Orders {
        timeouts: Timeouts::new(settings.active_timeout.value, settings.idle_timeout.value),
        poll_interval: settings.poll_interval.value,
        filter: settings.protocols.value.unwrap_or_default(),
    }
}

pub(crate) fn destination(settings: &Settings) -> Result<Collector, ApplyError> {
    let (protocol, carrier) = match settings.collector.transport().ok_or(ApplyError::Incomplete)? {
        Transport::Tcp => (Protocol::Ipfix, Carrier::Tcp),
        Transport::Udp => (Protocol::Ipfix, Carrier::Udp),
        Transport::Tls(protection) => (Protocol::Ipfix, Carrier::Tls(tls::client(&protection)?)),
        Transport::Grpc(protection) => (Protocol::Grpc, Carrier::Tls(tls::client(&protection)?)),
    };
    Ok(Collector { to: Destination::new(settings.collector.target(), carrier), protocol })
}

impl Live {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ApplyError> {
        let orders = watch::Sender::new(orders(settings));
        Ok(Self { orders, collector: watch::Sender::new(destination(settings)?) })
    }
}

impl Reload {
    /// Follows what [`Args::load`] has read. `live` is what there is to change; nothing if the
    /// exporter rests.
    pub(crate) const fn new(
        args: Args,
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
        settings::log(&loaded.findings);
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

    fn apply(&mut self, new: Settings) -> Result<(), ApplyError> {
        if let Some(live) = &self.live {
            if new.collector.is_another(&self.running.collector) {
                live.collector.send_replace(destination(&new)?);
            }
            let orders = orders(&new);
            live.orders.send_if_modified(|old| {
                let is_new = *old != orders;
                *old = orders;
                is_new
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

#[cfg(test)]
mod tests;
