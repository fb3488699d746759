//! What is done with the files of the embedded store, and what there is in it.

use std::fmt::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use ::store::{MaintenanceCounters, Tier, Usage};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

type Counted = (&'static str, &'static str, fn(&MaintenanceCounters) -> &AtomicU64);

const COUNTERS: [Counted; 7] = [
    ("fyke_store_merges", "Times that small files became one", |it| &it.merges),
    ("fyke_store_files_merged", "Small files that became part of another", |it| &it.files_merged),
    ("fyke_store_roll_ups", "Files of sums that were made", |it| &it.roll_ups),
    ("fyke_store_files_quarantined", "Damaged files that were set aside", |it| {
        &it.files_quarantined
    }),
    ("fyke_store_rows_quarantined", "Rows of those files, by their names", |it| {
        &it.rows_quarantined
    }),
    ("fyke_store_files_left", "Times that a file could not be merged or summed up", |it| {
        &it.files_left
    }),
    ("fyke_store_failures", "Times that looking after the files ended early", |it| &it.failures),
];

type Sized = (&'static str, &'static str, fn(&Usage) -> u64);

const USAGE: [Sized; 3] = [
    ("fyke_store_files", "Files of the store, by tier", |it| it.files),
    ("fyke_store_rows", "Rows in them", |it| it.rows),
    ("fyke_store_bytes", "Their size on disk", |it| it.bytes),
];

pub(super) fn encode(
    counters: &MaintenanceCounters,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), Error> {
    for (name, help, of) in COUNTERS {
        let value = ConstCounter::new(of(counters).load(Ordering::Relaxed));
        value.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
    }
    let help = "Rows dropped from a tier, as too old or for lack of room";
    let mut family =
        encoder.encode_descriptor("fyke_store_rows_dropped", help, None, MetricType::Counter)?;
    for tier in Tier::ALL {
        let dropped = counters.dropped(tier);
        for (reason, count) in [("age", &dropped.by_age), ("size", &dropped.by_size)] {
            let value = ConstCounter::new(count.load(Ordering::Relaxed));
            let labels = [("tier", tier.name()), ("reason", reason)];
            value.encode(family.encode_family(&labels)?)?;
        }
    }
    for (name, help, of) in USAGE {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (tier, usage) in Tier::ALL.into_iter().zip(counters.usage()) {
            let value = ConstGauge::new(i64::try_from(of(&usage)).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&[("tier", tier.name())])?)?;
        }
    }
    Ok(())
}
