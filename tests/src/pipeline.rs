//! Exporters, the wire, the aggregator and the store, stepped through time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::collect::Decoder;
use aggregator::correlate::{Correlator, Timeouts};
use anyhow::{Context, Result};
use exporter::conntrack::{Kind, Player, Recorded, Step};
use exporter::deny::{self, Denied, Reporter};
use exporter::destination::{Filter, STATIC};
use exporter::enrich::Enricher;
use exporter::export::{Batch, observation_domain};
use exporter::meter::{Limits, Meter};
use exporter::names::Policies;
use exporter::names::egress::Egresses;
use exporter::observe::{Observer, Orders, Target};
use exporter::zones::{Part, Zones};
use flow::{FlowRecord, Profile};
use k8s::Cluster;
use tokio::sync::{mpsc, watch};

use crate::connections::Connection;
use crate::wire::Wire;

const STEP_MS: u64 = 250;

/// What there is before anything happens.
#[derive(Debug)]
pub struct Setting<'a> {
    pub cluster: Arc<Cluster>,
    pub nodes: &'a [String],
    pub profile: Profile,
    /// Whether Pods' connections are in Antrea's zones rather than in zone 0.
    pub antrea: bool,
    pub timers: Timers,
    pub policies: Policies,
    pub egresses: Option<Egresses>,
}

/// Of the exporters, and how often the aggregator stores what goes on.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    pub poll: Duration,
    pub active: Duration,
    pub idle: Duration,
    pub aggregator: Duration,
}

/// What happens.
#[derive(Debug)]
pub struct Script<'a> {
    pub connections: &'a [Connection],
    /// Each with the Node that denied it.
    pub denied: &'a [(String, Denied)],
}

/// One Node: what its kernel plays, and the exporter that listens.
#[derive(Debug)]
struct Node {
    name: String,
    player: Player,
    reporter: Reporter,
    observer: Observer<Recorded>,
    batches: mpsc::Receiver<Batch>,
    wire: Wire,
    templates_sent: bool,
}

impl Node {
    fn new(name: &str, setting: &Setting<'_>) -> Self {
        let Timers { poll, active, idle, .. } = setting.timers;
        let zones = if setting.antrea { Zones::of(&[Part::Antrea]) } else { Zones::plain(&[0]) };
        let (player, source) = Recorded::new();
        let meter = Meter::new(Limits { connections: 100_000 });
        let mut enricher = Enricher::new(Arc::clone(&setting.cluster), name)
            .with_policies(setting.policies.clone());
        if let Some(egresses) = &setting.egresses {
            enricher = enricher.with_egresses(egresses.clone());
        }
        let (queue, batches) = mpsc::channel(1);
        let target = Target {
            name: STATIC.into(),
            number: 0,
            timeouts: exporter::meter::Timeouts::new(active, idle),
            filter: Filter::default(),
            queue: queue.downgrade(),
            spent: Arc::default(),
            metrics: Arc::default(),
        };
        let orders =
            Orders { poll_interval: poll, targets: [target].into(), name_wait: Duration::ZERO };
        let orders = watch::channel(orders).1;
        let counts = Arc::<deny::Counts>::default();
        let (reporter, denials) = deny::channel(deny::CAPACITY, Arc::clone(&counts));
        let table = deny::Table::new(deny::Table::LIMIT, idle, counts);
        let observer = Observer::new(source, meter, enricher, zones, poll, Arc::default())
            .obeying(orders, 0)
            .with_denied(denials, table);
        let wire = Wire::new(observation_domain(name), setting.profile);
        let (name, templates_sent) = (name.to_owned(), false);
        Self { name, player, reporter, observer, batches, wire, templates_sent }
    }
}

/// The whole of Fyke, with kernels that play a script.
#[derive(Debug)]
pub struct Pipeline {
    cluster: Arc<Cluster>,
    antrea: bool,
    nodes: Vec<Node>,
    decoder: Vec<Decoder>,
    correlator: Correlator,
}

impl Pipeline {
    pub fn new(setting: &Setting<'_>) -> Self {
        let timers = setting.timers;
        let nodes: Vec<_> = setting.nodes.iter().map(|name| Node::new(name, setting)).collect();
        let decoder = nodes.iter().map(|_| Decoder::default()).collect();
        let timeouts = Timeouts {
            active: timers.aggregator,
            inactive: 3 * timers.aggregator,
            clock_skew: Duration::from_secs(5),
        };
        let correlator = Correlator::new(timeouts, 100_000);
        let (cluster, antrea) = (Arc::clone(&setting.cluster), setting.antrea);
        Self { cluster, antrea, nodes, decoder, correlator }
    }

    /// Plays a script from `from_ms` on until everything is told, and keeps the records in a store
    /// at `data`.
    pub fn run(&mut self, script: &Script<'_>, data: &Path, from_ms: u64) -> Result<()> {
        let connections = script.connections.iter().map(|connection| connection.end_ms);
        let denied = script.denied.iter().map(|(_, denied)| denied.time_ns / 1_000_000);
        let last = connections.chain(denied).max().unwrap_or(from_ms);
        let mut writer = store::Writer::open(data)?;
        let mut told = Vec::new();
        let mut now = from_ms;
        while now < last + 120_000 {
            let next = now + STEP_MS;
            for index in 0..self.nodes.len() {
                self.play(index, script.connections, now..next)?;
                self.deny(index, script.denied, now..next)?;
                let records = self.export(index, next)?;
                for (domain, record) in records {
                    self.correlator.receive(&record, domain, next);
                }
            }
            self.correlator.expire(next, &mut told);
            writer.append(&told, next)?;
            told.clear();
            now = next;
        }
        writer.flush()?;
        Ok(())
    }

    /// What the Node's kernel tells between two moments.
    fn play(&self, index: usize, all: &[Connection], within: std::ops::Range<u64>) -> Result<()> {
        let node = self.nodes.get(index).context("a node")?;
        let entry =
            |connection: &Connection, kind, now| {
                let entry = connection.entry(&self.cluster, &node.name, kind, now);
                entry.map(|entry| {
                    if self.antrea { connection.antreas_entries(&entry) } else { vec![entry] }
                })
            };
        let at = within.end;
        let alive = all.iter().filter(|c| c.is_alive(at));
        let table = alive.filter_map(|c| entry(c, Kind::Dump, at)).flatten().collect();
        node.player.play(Step::Table(table));
        for connection in all {
            let begins = within.contains(&connection.start_ms);
            let ends = within.contains(&connection.end_ms) && !connection.end_unheard;
            for (happens, kind) in [(begins, Kind::New), (ends, Kind::Destroy)] {
                for entry in entry(connection, kind, at).filter(|_| happens).into_iter().flatten() {
                    node.player.play(Step::Event(entry));
                }
            }
        }
        Ok(())
    }

    /// What the Node's Open vSwitch tells between two moments.
    fn deny(
        &self,
        index: usize,
        all: &[(String, Denied)],
        within: std::ops::Range<u64>,
    ) -> Result<()> {
        let node = self.nodes.get(index).context("a node")?;
        for (at, denied) in all {
            if *at == node.name && within.contains(&(denied.time_ns / 1_000_000)) {
                node.reporter.tell(denied.clone());
            }
        }
        Ok(())
    }

    /// One turn of the Node's exporter, over the wire.
    fn export(&mut self, index: usize, now_ms: u64) -> Result<Vec<(u32, FlowRecord)>> {
        let node = self.nodes.get_mut(index).context("a node")?;
        let decoder = self.decoder.get_mut(index).context("a decoder")?;
        let now = now_ms * 1_000_000;
        // A dump takes several turns.
        for _ in 0..4 {
            node.observer.observe(now)?;
        }
        let mut due = Vec::new();
        loop {
            let more = node.observer.hand_out(now);
            match node.batches.try_recv() {
                Ok(batch) => due.extend(batch),
                Err(_) if !more => break,
                Err(_) => {}
            }
        }
        let mut received = Vec::new();
        if !node.templates_sent {
            decode(decoder, &node.wire.templates(0)?, &mut received)?;
            node.templates_sent = true;
        }
        let messages = node.wire.records(&due, u32::try_from(now_ms / 1000)?)?;
        decode(decoder, &messages, &mut received)?;
        Ok(received)
    }
}

fn decode(
    decoder: &mut Decoder,
    messages: &[u8],
    received: &mut Vec<(u32, FlowRecord)>,
) -> Result<()> {
    let mut file = ipfix::file::Messages::new(messages);
    while let Some(message) = file.next_message()? {
        let mut records = Vec::new();
        let summary = decoder.decode(message, Instant::now(), &mut records)?;
        anyhow::ensure!(summary.lost_records == 0, "sequence numbers skip");
        received.extend(records.into_iter().map(|record| (summary.header.domain, record)));
    }
    Ok(())
}
