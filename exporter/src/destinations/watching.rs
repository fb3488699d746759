//! The API server's `FlowExporterDestination`s, followed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s::client::Connection;
use k8s::watch::{Clock, News, Options, Progress, Seen, Watches, WatchingEnded};
use tokio::sync::watch;

use super::counters::Counters;
use super::crd::KIND;
use super::desired::{Desired, Picture, Refused};
use super::translate::Defaults;
use crate::destination::Spec;

/// A larger object is left out and counted. One with all fields is below 2 KiB, but annotations
/// may repeat it.
const OBJECT_LIMIT: usize = 256 << 10;
const PAGE_SIZE: u32 = 32;
const PAGE_LIMIT: usize = 16 << 20;
/// How often it is looked how the watch is doing.
const LOOK: Duration = Duration::from_secs(1);

/// Destinations of custom resources, for whoever runs them.
#[derive(Debug, Clone)]
pub struct CustomResources {
    /// All that are wanted now, in the order of their names.
    pub specs: watch::Receiver<Arc<[Spec]>>,
    /// Resources that are not in force as they are now.
    pub refused: watch::Receiver<Arc<[Refused]>>,
    /// How the watch is doing, and which rules it lacks.
    pub progress: Progress,
}

/// Follows the custom resources for as long as it runs.
#[derive(Debug)]
pub struct Watching {
    watches: Watches,
    desired: Desired,
    specs: watch::Sender<Arc<[Spec]>>,
    refused: watch::Sender<Arc<[Refused]>>,
    told: Picture,
    counters: Arc<Counters>,
}

impl Watching {
    /// What there is to watch with; `clock` tells milliseconds since 1970.
    pub fn options() -> Options {
        Options {
            kinds: vec![KIND],
            object_limit: OBJECT_LIMIT,
            page_size: PAGE_SIZE,
            page_limit: PAGE_LIMIT,
            ..Options::default()
        }
    }

    /// Nothing is asked before it runs. `options` are [`Self::options`].
    pub fn new(
        connection: Arc<Connection>,
        options: Options,
        defaults: Defaults,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> (Self, CustomResources) {
        let watches = Watches::new(connection, options, clock);
        let (specs, refused) = (watch::Sender::default(), watch::Sender::default());
        let resources = CustomResources {
            specs: specs.subscribe(),
            refused: refused.subscribe(),
            progress: watches.progress(),
        };
        let (desired, told) = (Desired::new(defaults), Picture::default());
        (Self { watches, desired, specs, refused, told, counters }, resources)
    }

    /// Follows until the future is dropped.
    pub async fn run(self) -> Result<Infallible, WatchingEnded> {
        let Self { watches, mut desired, specs, refused, mut told, counters } = self;
        let progress = watches.progress();
        let taken = Arc::clone(&counters);
        let watching = watches.run(move |news| {
            if let News::Changes(changes) = news {
                changes.drain(..).for_each(|Seen { change, .. }| desired.apply(change));
                let picture = desired.picture();
                log(&told, &picture);
                taken.pictured(&picture);
                publish(&specs, &picture.specs);
                publish(&refused, &picture.refused);
                told = picture;
            }
        });
        let mut watching = std::pin::pin!(watching);
        // A watch that is denied has no news to tell.
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                ended = &mut watching => return ended,
                _ = looks.tick() => counters.watched(&progress),
            }
        }
    }
}

/// Whoever listens is woken by news alone.
fn publish<T: PartialEq>(to: &watch::Sender<Arc<[T]>>, new: &Arc<[T]>) {
    to.send_if_modified(|old| {
        let is_new = *old != *new;
        *old = Arc::clone(new);
        is_new
    });
}

fn log(old: &Picture, new: &Picture) {
    for it in new.refused.iter().filter(|it| !old.refused.contains(it)) {
        let (name, why, former_runs) = (&it.name, &it.why, it.former_runs);
        tracing::warn!(name, %why, former_runs, "FlowExporterDestination is refused");
    }
    for spec in new.specs.iter().filter(|spec| !old.specs.contains(spec)) {
        tracing::info!(name = spec.name, address = %spec.address, "FlowExporterDestination is taken");
    }
    for spec in old.specs.iter() {
        if !new.specs.iter().any(|it| it.name == spec.name) {
            tracing::info!(name = spec.name, "FlowExporterDestination is gone");
        }
    }
    if new.unknown > 0 && old.unknown == 0 {
        let limit = super::KNOWN;
        tracing::warn!(limit, "there are more FlowExporterDestinations than can be remembered");
    }
}
