//! The observer as the daemon makes it, and destinations to tell.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use exporter::{
    conntrack::{Entry, Kind, NetlinkOptions, NetlinkSource},
    deny::{self, Table},
    destination::Filter,
    enrich::Enricher,
    export::Batch,
    meter::{Limits, Meter, Timeouts},
    metrics::{DestinationMetrics, Metrics},
    observe::{Observer, Orders, Target},
    zones::{Part, Zones},
};
use tokio::sync::{mpsc, watch};

use crate::{least, node};

pub(crate) const NODE: &str = "worker-a";
/// Batches that wait for a collector, as in the daemon.
const QUEUE: usize = 16;

pub(crate) type Watcher = Observer<NetlinkSource>;

/// Antrea's zones, and with them the host's for the clients from outside.
const PARTS: [Part; 1] = [Part::Antrea];

/// Those by number.
pub(crate) fn zones() -> Vec<u16> {
    Zones::of(&PARTS).read()
}

/// The kernel, as the observer listens to it.
pub(crate) fn source() -> NetlinkSource {
    let netlink = NetlinkOptions { zones: zones(), ..NetlinkOptions::default() };
    NetlinkSource::open(netlink).expect("a source")
}

/// A destination that is told all, and what it is told.
pub(crate) fn destination(
    number: u64,
    active: Duration,
) -> (Target, mpsc::Sender<Batch>, mpsc::Receiver<Batch>) {
    let (queue, batches) = mpsc::channel(QUEUE);
    let target = Target {
        name: format!("d{number}"),
        number,
        timeouts: Timeouts::new(active, 3 * active),
        filter: Filter::default(),
        queue: queue.downgrade(),
        spent: Arc::default(),
        metrics: Arc::new(DestinationMetrics::default()),
    };
    (target, queue, batches)
}

/// An observer that tells these destinations.
pub(crate) fn observer(targets: &[Target], poll_interval: Duration, now: u64) -> Watcher {
    let metrics: Arc<Metrics> = Arc::default();
    let (zones, source) = (Zones::of(&PARTS), source());
    let meter = Meter::new(Limits { connections: 2_000_000 });
    let enricher = Enricher::new(node::cluster(), NODE);
    let (_, denials) = deny::channel(deny::CAPACITY, Arc::clone(&metrics.denied));
    let table = Table::new(Table::LIMIT, Duration::from_secs(15), Arc::clone(&metrics.denied));
    let orders =
        Orders { poll_interval, targets: targets.into(), name_wait: Duration::from_secs(5) };
    Observer::new(source, meter, enricher, zones, poll_interval, metrics)
        .with_denied(denials, table)
        .obeying(watch::channel(orders).1, now)
}

/// Has the observer know every connection there is, in another order than a dump's.
pub(crate) fn begin(observer: &mut Watcher, now: u64) -> io::Result<()> {
    let mut begun = Vec::new();
    least::parse(&mut observer.source, &zones(), |entry| {
        begun.push(Entry { kind: Kind::New, ..*entry });
    })?;
    // Ids are hashes.
    begun.sort_unstable_by_key(|entry| entry.id);
    for entry in &begun {
        observer.meter.observe(entry, now);
    }
    Ok(())
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    nanoseconds(since_1970)
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
