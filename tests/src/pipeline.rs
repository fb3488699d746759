//! Exporters, the wire, the aggregator and the store, stepped through time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::collect::Decoder;
use aggregator::correlate::{Correlator, Timeouts};
use anyhow::{Context, Result};
use exporter::conntrack::{Kind, Player, Recorded, Step};
use exporter::destination::{Filter, STATIC};
use exporter::enrich::Enricher;
use exporter::export::{Batch, observation_domain};
use exporter::meter::{Limits, Meter};
use exporter::observe::{Observer, Orders, Target};
use exporter::zones::{Part, Zones};
use flow::{FlowRecord, Profile};
use k8s::Cluster;
use tokio::sync::{mpsc, watch};

use crate::connections::Connection;
use crate::wire::Wire;

const STEP_MS: u64 = 250;
const SECOND: Duration = Duration::from_secs(1);

/// One Node: what its kernel plays, and the exporter that listens.
#[derive(Debug)]
struct Node {
    name: String,
    player: Player,
    observer: Observer<Recorded>,
    batches: mpsc::Receiver<Batch>,
    wire: Wire,
    templates_sent: bool,
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
    /// `antrea`: whether Pods' connections are in Antrea's zones rather than in zone 0.
    pub fn new(cluster: Cluster, nodes: &[String], profile: Profile, antrea: bool) -> Result<Self> {
        let cluster = Arc::new(cluster);
        let zones = if antrea { Zones::of(&[Part::Antrea]) } else { Zones::plain(&[0]) };
        let node = |name: &String| {
            let (player, source) = Recorded::new();
            let timeouts = exporter::meter::Timeouts::new(5 * SECOND, 15 * SECOND);
            let meter = Meter::new(Limits { connections: 100_000 });
            let enricher = Enricher::new(Arc::clone(&cluster), name);
            let metrics = Arc::default();
            let (queue, batches) = mpsc::channel(1);
            let target = Target {
                name: STATIC.into(),
                number: 0,
                timeouts,
                filter: Filter::default(),
                queue: queue.downgrade(),
                metrics: Arc::default(),
            };
            let orders = Orders {
                poll_interval: 2 * SECOND,
                targets: [target].into(),
                name_wait: Duration::ZERO,
            };
            let orders = watch::channel(orders).1;
            let observer =
                Observer::new(source, meter, enricher, zones.clone(), 2 * SECOND, metrics)
                    .obeying(orders, 0);
            let wire = Wire::new(observation_domain(name), profile);
            Node { name: name.clone(), player, observer, batches, wire, templates_sent: false }
        };
        let nodes: Vec<_> = nodes.iter().map(node).collect();
        let decoder = nodes.iter().map(|_| Decoder::default()).collect();
        let timeouts =
            Timeouts { active: 10 * SECOND, inactive: 30 * SECOND, clock_skew: 5 * SECOND };
        let correlator = Correlator::new(timeouts, 100_000);
        Ok(Self { cluster, antrea, nodes, decoder, correlator })
    }

    /// Plays `connections` from `from_ms` on until everything is told, and keeps the records in
    /// a store at `data`.
    pub fn run(&mut self, connections: &[Connection], data: &Path, from_ms: u64) -> Result<()> {
        let last = connections.iter().map(|c| c.end_ms).max().unwrap_or(from_ms);
        let mut writer = store::Writer::open(data)?;
        let mut told = Vec::new();
        let mut now = from_ms;
        while now < last + 120_000 {
            let next = now + STEP_MS;
            for index in 0..self.nodes.len() {
                self.play(index, connections, now..next)?;
                let records = self.export(index, next)?;
                for (domain, record) in records {
                    self.correlator.receive(record, domain, next);
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
        let (summary, records) = decoder.decode(message, Instant::now())?;
        anyhow::ensure!(summary.lost_records == 0, "sequence numbers skip");
        received.extend(records.into_iter().map(|record| (summary.header.domain, record)));
    }
    Ok(())
}
