//! What became of the records that each sink was given. For every sink, what was given is what was
//! delivered, what waits and what was dropped, by reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use sinks::spool::SpoolCounters;
use sinks::{Deed, DeliveryCounters, Spool};

use super::FanOut;

mod store; // what is done with the files of the embedded store

/// The counters of every outlet, read when they are asked for.
#[derive(Debug)]
pub struct SinkMetrics(pub FanOut);

type Of = fn(&DeliveryCounters) -> &AtomicU64;

/// A counter's name, what it counts, and where it is.
type Row = (&'static str, &'static str, Of);

const COUNTERS: [Row; 4] = [
    ("fyke_sink_given", "Records meant for the sink", |it| &it.given),
    ("fyke_sink_delivered", "Records the sink acknowledged", |it| &it.delivered),
    ("fyke_sink_replayed", "Records read back from the spool", |it| &it.replayed),
    ("fyke_sink_retries", "Attempts repeated because the sink was away", |it| &it.retries),
];

/// The values of the `reason` label.
const DROPPED: [(&str, Of); 5] = [
    ("queue_full", |it| &it.queue_full),
    ("spool_full", |it| &it.spool_full),
    ("unreadable", |it| &it.unreadable),
    ("refused", |it| &it.refused),
    ("abandoned", |it| &it.abandoned),
];

impl Collector for SinkMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sinks: Vec<_> = self.0.counters().collect();
        for (name, help, of) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (sink, counters) in &sinks {
                let value = ConstCounter::new(of(counters).load(Ordering::Relaxed));
                value.encode(family.encode_family(&[("sink", *sink)])?)?;
            }
        }
        let help = "Records lost to the sink, by reason";
        let mut family =
            encoder.encode_descriptor("fyke_sink_dropped", help, None, MetricType::Counter)?;
        for (sink, counters) in &sinks {
            for (reason, of) in DROPPED {
                let value = ConstCounter::new(of(counters).load(Ordering::Relaxed));
                value.encode(family.encode_family(&[("sink", *sink), ("reason", reason)])?)?;
            }
        }
        let help = "Records that wait for the sink, or that it has not acknowledged yet";
        let mut family =
            encoder.encode_descriptor("fyke_sink_waiting", help, None, MetricType::Gauge)?;
        for (sink, counters) in &sinks {
            let value = ConstGauge::new(i64::try_from(counters.waiting()).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&[("sink", *sink)])?)?;
        }
        self.deeds(&mut encoder)?;
        if let Some(counters) = self.0.store() {
            store::encode(counters, &mut encoder)?;
        }
        match self.0.spool() {
            Some(spool) => encode_spool(spool, encoder),
            None => Ok(()),
        }
    }
}

impl SinkMetrics {
    /// A family for whatever some sink does.
    fn deeds(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let done = self.0.done();
        // Deeds of one name follow each other.
        for deeds in Deed::ALL.chunk_by(|one, next| described(*one) == described(*next)) {
            let counts = deeds.iter().flat_map(|deed| {
                let of = |(sink, done): &(_, BTreeMap<_, _>)| Some((*sink, *done.get(deed)?));
                done.iter().filter_map(of).map(|(sink, count)| (sink, deed.reason(), count))
            });
            let mut counts = counts.peekable();
            let Some((name, help)) = deeds.first().map(|deed| described(*deed)) else { continue };
            if counts.peek().is_none() {
                continue;
            }
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (sink, reason, count) in counts {
                let labels: &[_] = match reason {
                    None => &[("sink", sink)],
                    Some(reason) => &[("sink", sink), ("reason", reason)],
                };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
const fn described(deed: Deed) -> (&'static str, &'static str) {
    match deed {
        Deed::Sessions => ("fyke_sink_sessions", "Connections made to where the sink sends"),
        Deed::SessionsLost => ("fyke_sink_sessions_lost", "Connections that the sink did not end"),
        Deed::ConnectFailures => ("fyke_sink_connect_failures", "Attempts to connect that failed"),
        Deed::Messages => ("fyke_sink_messages", "Messages of IPFIX written whole"),
        Deed::MessagesUnsendable => (
            "fyke_sink_messages_unsendable",
            "Messages of IPFIX that no datagram holds; their records count as delivered",
        ),
        Deed::TemplateRefreshes => {
            ("fyke_sink_template_refreshes", "Times templates were sent again within a session")
        }
        Deed::RecordsWritten => {
            ("fyke_sink_records_written", "Records written whole to a connection, or inserted")
        }
        Deed::RecordsInDoubt => (
            "fyke_sink_records_in_doubt",
            "Records written last before a connection was lost: nobody knows if they were read; or \
             that were repeated and may be stored twice",
        ),
        Deed::RecordsUnfit => (
            "fyke_sink_records_unfit",
            "Records that no message, datagram, line or table can hold; dropped as refused",
        ),
        Deed::RecordsFiltered => ("fyke_sink_records_filtered", "Records that no filter matches"),
        Deed::WriteFailures => (
            "fyke_sink_write_failures",
            "Times the file could not be opened, written to or put aside",
        ),
        Deed::FilesReopened => (
            "fyke_sink_files_reopened",
            "Times the file had been moved or removed by somebody and was opened anew",
        ),
        Deed::FilesRotated => ("fyke_sink_files_rotated", "Files put aside"),
        Deed::FilesCompressed => ("fyke_sink_files_compressed", "Files compressed"),
        Deed::FilesRemoved => ("fyke_sink_files_removed", "Files thrown away"),
        Deed::TidyFailures => (
            "fyke_sink_tidy_failures",
            "Times files that were put aside could not be compressed or thrown away",
        ),
        Deed::Inserts => ("fyke_sink_inserts", "Blocks of records that were inserted"),
        Deed::RowsShort => (
            "fyke_sink_records_short",
            "Records inserted into a table that lacks columns of Antrea's",
        ),
        Deed::NoteFailures => (
            "fyke_sink_note_failures",
            "Times could not be noted which records are on their way: a crash may repeat them",
        ),
        Deed::InsertsFailed(_) => {
            ("fyke_sink_inserts_failed", "Attempts to insert that failed, by reason")
        }
        Deed::ObjectsStored => ("fyke_sink_objects", "Objects stored"),
        Deed::BytesStored => ("fyke_sink_object_bytes", "Length of the objects stored, in bytes"),
        Deed::PartsStored => {
            ("fyke_sink_object_parts", "Parts stored of objects that take several")
        }
        Deed::ObjectsUnnoted => (
            "fyke_sink_objects_unnoted",
            "Objects not noted beside the spool; a process killed meanwhile may store them twice",
        ),
        Deed::Failed(_) => ("fyke_sink_failures", "Attempts that failed, by reason"),
    }
}

type SpoolRow = (&'static str, &'static str, fn(&SpoolCounters) -> &AtomicU64);

const SPOOL: [SpoolRow; 9] = [
    ("fyke_spool_records_written", "Records written to the spool", |it| &it.records),
    ("fyke_spool_bytes_written", "Bytes written to the spool", |it| &it.bytes),
    ("fyke_spool_records_unwritten", "Records that went to the sinks alone", |it| {
        &it.records_unwritten
    }),
    ("fyke_spool_write_failures", "Blocks that could not be written", |it| &it.write_failures),
    ("fyke_spool_sync_failures", "Times that the disk did not confirm what was written", |it| {
        &it.sync_failures
    }),
    ("fyke_spool_tidy_failures", "Cursors not noted, and files not removed", |it| {
        &it.tidy_failures
    }),
    ("fyke_spool_blocks_damaged", "Damaged blocks that a sink came upon", |it| &it.blocks_damaged),
    ("fyke_spool_bytes_skipped", "Bytes that belong to no block", |it| &it.bytes_skipped),
    ("fyke_spool_segments_dropped", "Segments dropped to stay within the limit", |it| {
        &it.segments_dropped
    }),
];

fn encode_spool(spool: &Spool, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    for (name, help, of) in SPOOL {
        let value = ConstCounter::new(of(spool.counters()).load(Ordering::Relaxed));
        value.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
    }
    for (name, help, value) in [
        ("fyke_spool_bytes", "Size of the spool on disk", spool.bytes()),
        ("fyke_spool_records", "Records between the oldest kept and the newest", spool.records()),
    ] {
        let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    Ok(())
}
