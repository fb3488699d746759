//! One session: its templates, its numbers, and what it tells.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::{FlowRecord, Interner};
use netflow_parser::variable_versions::ttl::TtlConfig;
use netflow_parser::variable_versions::v9::{FlowSetBody, V9};
use netflow_parser::{ConfigError, NetflowPacket, NetflowParser, V9FlowRecord};

use super::records::{Clocks, Layout, of_v5};
use super::sequence::Sequence;
use crate::collect::Shared;
use crate::collect::live::{SessionCounters, Transport};
use crate::collect::reporter::Reporter;
use crate::collect::room::Reserved;
use crate::metrics::{EndReason, Unusable};

/// Templates of one source, and fields of one template.
const TEMPLATES: usize = 64;
const FIELDS: usize = 128;
/// Bytes of one record.
const RECORD: usize = 4_096;
/// Values that are made of one message.
const VALUES: usize = 65_536;
/// Records of one Set: as many as fit, were they of two addresses alone.
const RECORDS: usize = 8_192;
/// Bytes that an error remembers of its message.
const SAMPLE: usize = 16;
/// Routers send templates again every few minutes.
const TEMPLATE_LIFETIME: Duration = Duration::from_mins(30);
/// Layouts that are kept.
const LAYOUTS: usize = 16;
/// Names that are shared. Routers name interfaces and users, if anything.
const NAMES: usize = 4_096;

/// One session.
pub(super) struct Source {
    shared: Arc<Shared>,
    parser: NetflowParser,
    reporter: Reporter,
    sequence: Sequence,
    layouts: Vec<Layout>,
    names: Interner,
    heard: Instant,
}

/// The parser did not survive a message.
#[derive(Debug)]
pub(super) struct Panicked;

/// What one message told.
#[derive(Debug, Default)]
struct Told {
    domain: u32,
    records: Vec<FlowRecord>,
    counted: SessionCounters,
    without_template: u64,
    unknown_fields: u64,
}

impl Source {
    pub(super) fn open(shared: &Arc<Shared>, peer: SocketAddr, now: Instant) -> Option<Self> {
        let parser = match parser() {
            Ok(parser) => parser,
            Err(error) => {
                tracing::warn!(%peer, ?error, "NetFlow cannot be read");
                return None;
            }
        };
        Some(Self {
            shared: Arc::clone(shared),
            parser,
            reporter: Reporter::open(shared, peer, Transport::Netflow, Arc::default()),
            sequence: Sequence::default(),
            layouts: Vec::new(),
            names: Interner::within(NAMES, shared.room.names()),
            heard: now,
        })
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) fn has_told(&self) -> bool {
        self.reporter.has_told()
    }

    /// Reads a datagram, and passes on what it tells. After an error the session is of no use.
    pub(super) fn take(
        &mut self,
        datagram: &[u8],
        room: Reserved<'_>,
        now: Instant,
    ) -> Result<(), Panicked> {
        self.heard = now;
        let reading = AssertUnwindSafe(|| self.read(datagram));
        let mut told = catch_unwind(reading).map_err(|_| Panicked)?;
        told.counted.messages = 1;
        told.counted.octets = datagram.len() as u64;
        self.count(&told);
        let Told { domain, records, counted, .. } = told;
        self.reporter.tell(counted, domain, records, room, now);
        Ok(())
    }

    pub(super) fn end(self, reason: EndReason) {
        let metrics = &self.shared.metrics;
        metrics.session_ended(reason);
        metrics.names(&self.names);
        tracing::debug!(peer = %self.reporter.peer(), reason = reason.label(), "session closed");
    }

    fn read(&mut self, datagram: &[u8]) -> Told {
        let mut told = Told::default();
        let parsed = self.parser.parse_bytes(datagram);
        told.counted.errors = u64::from(parsed.error.is_some());
        // Whoever appends a second message to the first is no router.
        for packet in parsed.packets.into_iter().take(1) {
            match packet {
                NetflowPacket::V5(message) => {
                    told.records = of_v5(&message);
                    let records = told.records.len();
                    told.counted.records = records as u64;
                    let number = message.header.flow_sequence;
                    let records = u32::try_from(records).unwrap_or(u32::MAX);
                    told.counted.lost = self.sequence.follow(number, records);
                }
                NetflowPacket::V9(message) => self.read_v9(&message, &mut told),
                _ => told.counted.errors += 1,
            }
        }
        told
    }

    fn read_v9(&mut self, message: &V9, told: &mut Told) {
        let header = &message.header;
        told.domain = header.source_id;
        told.counted.lost = self.sequence.follow(header.sequence_number, 1);
        let unix_ms = u64::from(header.unix_secs) * 1_000;
        let clocks = Clocks { unix_ms, up_ms: header.sys_up_time };
        for set in &message.flowsets {
            match &set.body {
                FlowSetBody::Template(set) => told.counted.templates += set.templates.len() as u64,
                FlowSetBody::Data(data) => {
                    data.fields.iter().for_each(|record| self.record(record, clocks, told));
                }
                FlowSetBody::NoTemplate(_) => told.without_template += 1,
                _ => {}
            }
        }
        told.counted.errors += told.without_template;
    }

    fn record(&mut self, record: &V9FlowRecord, clocks: Clocks, told: &mut Told) {
        let at = match self.layouts.iter().position(|layout| layout.is_of(record)) {
            Some(at) => at,
            None => self.learn(record, told),
        };
        told.counted.records += 1;
        match self.layouts[at].read(record, clocks, &mut self.names) {
            Some(flow) => told.records.push(flow),
            None => told.counted.unusable += 1,
        }
    }

    /// Works out how records like this are read, in the place of the oldest of many.
    fn learn(&mut self, record: &V9FlowRecord, told: &mut Told) -> usize {
        if self.layouts.len() >= LAYOUTS {
            self.layouts.remove(0);
        }
        let layout = Layout::of(record);
        told.unknown_fields += layout.unknown_fields() as u64;
        self.layouts.push(layout);
        self.layouts.len() - 1
    }

    fn count(&self, told: &Told) {
        let Told { counted, without_template, unknown_fields, .. } = told;
        let metrics = &self.shared.metrics;
        metrics.messages.inc();
        metrics.records_received.inc_by(counted.records);
        metrics.records_lost.inc_by(counted.lost);
        metrics.sets_without_template.inc_by(*without_template);
        self.shared.seen.counters.fields_unknown.inc_by(*unknown_fields);
        if counted.unusable > 0 {
            metrics.records_unusable(Unusable::NoAddresses, counted.unusable);
        }
    }
}

fn parser() -> Result<NetflowParser, ConfigError> {
    NetflowParser::builder()
        .with_allowed_versions(&[5, 9])
        .with_v9_cache_size(TEMPLATES)
        .with_v9_max_field_count(FIELDS)
        .with_v9_max_template_total_size(RECORD)
        .with_v9_ttl(TtlConfig::new(TEMPLATE_LIFETIME))
        .with_v9_max_decoded_field_values_per_message(VALUES)
        .with_v9_max_records_per_flowset(RECORDS)
        .with_max_error_sample_size(SAMPLE)
        .build()
}
