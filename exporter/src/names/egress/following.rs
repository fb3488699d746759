//! The API server's Egresses, followed.

use std::sync::Arc;

use k8s::client::Connection;
use k8s::watch::{Clock, News, Options, Progress, Seen, Watches, WatchingEnded};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::resource::KIND;
use super::table::{Egresses, Known};

const PAGE_SIZE: u32 = 128;
const PAGE_LIMIT: usize = 16 << 20;

/// How many there are.
#[derive(Debug, Clone, Default)]
struct Sizes {
    known: Gauge,
    refused: Gauge,
}

/// Egresses that are followed.
#[derive(Debug)]
pub struct Following {
    pub egresses: Egresses,
    pub progress: Progress,
    sizes: Sizes,
}

impl Following {
    /// What is known, and what is to run for it. `clock` tells milliseconds since 1970.
    pub fn begin(
        connection: Arc<Connection>,
        clock: Clock,
    ) -> (Self, impl Future<Output = WatchingEnded> + Send + 'static) {
        let options = Options {
            kinds: vec![KIND],
            page_size: PAGE_SIZE,
            page_limit: PAGE_LIMIT,
            ..Options::default()
        };
        let watches = Watches::new(connection, options, clock);
        let following = Self {
            egresses: Egresses::default(),
            progress: watches.progress(),
            sizes: Sizes::default(),
        };
        let (egresses, sizes) = (following.egresses.clone(), following.sizes.clone());
        let mut known = Known::default();
        let take = move |news: News<'_>| {
            if let News::Changes(changes) = news {
                changes.drain(..).for_each(|Seen { change, .. }| known.apply(change));
                egresses.publish(&known);
                sizes.known.set(i64::try_from(known.len()).unwrap_or(i64::MAX));
                sizes.refused.set(i64::try_from(known.refused()).unwrap_or(i64::MAX));
            }
        };
        let watching = async move {
            match watches.run(take).await {
                Err(ended) => ended,
            }
        };
        (following, watching)
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register("egresses", "Egresses that are known", self.sizes.known.clone());
        let help = "News of Egresses there is no room for, since the last list: none is told then";
        registry.register("egresses_refused", help, self.sizes.refused.clone());
    }
}
