use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Row, set, take_over};
use crate::clients::ClientTally;
use crate::conntrack::{SourceTally, TableFill};

/// What is counted between the kernel and the meter.
#[derive(Debug, Default)]
pub struct SourceMetrics {
    events: Counter,
    dump_entries: Counter,
    dumps: Counter,
    dumps_interrupted: Counter,
    pub dumps_overtaken: Counter,
    overruns: Counter,
    held_back: Counter,
    foreign_zone: Counter,
    malformed: Counter,
    incomplete: Counter,
    look_ups: Counter,
    look_ups_missed: Counter,
    pub look_ups_skipped: Counter,
    pub look_ups_failed: Counter,
    pub entries: Counter,
    pub entries_denied: Counter,
    pub entries_of_clients: Counter,
    pub not_allowed: Counter,
    pub label_generations: Counter,
    pub clients_found: Counter,
    clients_refused: Counter,
    clients_forgotten_early: Counter,
    clients_known: Gauge,
    clients_live: Gauge,
    table_count: Gauge,
    table_max: Gauge,
    settings_wrong: Gauge,
}

impl SourceMetrics {
    /// Takes over what the source has counted since the start.
    pub fn observed(&self, tally: &SourceTally) {
        for (counter, value) in [
            (&self.events, tally.events),
            (&self.dump_entries, tally.dump_entries),
            (&self.dumps, tally.dumps),
            (&self.dumps_interrupted, tally.dumps_interrupted),
            (&self.overruns, tally.overruns),
            (&self.held_back, tally.held_back),
            (&self.foreign_zone, tally.foreign_zone),
            (&self.malformed, tally.malformed),
            (&self.incomplete, tally.incomplete),
            (&self.look_ups, tally.look_ups),
            (&self.look_ups_missed, tally.look_ups_missed),
        ] {
            take_over(counter, value);
        }
    }

    /// Takes over how many clients from outside are known.
    pub fn clients(&self, tally: &ClientTally) {
        take_over(&self.clients_refused, tally.refused);
        take_over(&self.clients_forgotten_early, tally.forgotten_early);
        set(&self.clients_known, tally.known);
        set(&self.clients_live, tally.live);
    }

    pub fn table(&self, fill: TableFill) {
        set(&self.table_count, fill.count);
        set(&self.table_max, fill.max);
    }

    /// Takes over how many settings of the kernel are not as they should be.
    pub fn settings_wrong(&self, count: usize) {
        set(&self.settings_wrong, count as u64);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let rows = self.kernel_rows().into_iter().chain(self.rows());
        for (name, help, counter) in rows {
            registry.register(name, help, counter.clone());
        }
        let known = "Clients from outside that are remembered, ended ones included";
        let wrong = "Settings of conntrack that keep it from telling everything";
        let live = "Connections of clients from outside that go on";
        for (name, help, gauge) in [
            ("clients", known, &self.clients_known),
            ("clients_live", live, &self.clients_live),
            ("conntrack_entries", "Connections in the kernel's table", &self.table_count),
            ("conntrack_entries_max", "Connections that fit into it", &self.table_max),
            ("conntrack_settings_wrong", wrong, &self.settings_wrong),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn kernel_rows(&self) -> [Row<'_>; 10] {
        let interrupted = "Dumps that the kernel called incomplete";
        let overtaken = "Dumps of which it is not known what they lack, since events had no end";
        let overruns = "Times the kernel dropped events because we were too slow";
        let held_back = "Times the kernel kept events back because we were too slow";
        let incomplete = "Messages of the kernel that lack what every entry has";
        [
            ("conntrack_events", "Conntrack events received", &self.events),
            ("conntrack_dump_entries", "Entries read in dumps", &self.dump_entries),
            ("conntrack_dumps", "Dumps begun", &self.dumps),
            ("conntrack_dumps_interrupted", interrupted, &self.dumps_interrupted),
            ("conntrack_dumps_overtaken", overtaken, &self.dumps_overtaken),
            ("conntrack_overruns", overruns, &self.overruns),
            ("conntrack_held_back", held_back, &self.held_back),
            ("conntrack_foreign_zone", "Entries of zones nobody asked for", &self.foreign_zone),
            ("conntrack_malformed", "Messages that cannot be read", &self.malformed),
            ("conntrack_incomplete", incomplete, &self.incomplete),
        ]
    }

    fn rows(&self) -> [Row<'_>; 12] {
        let asked = "TCP connections over which nothing can follow, asked for their last counters";
        let missed = "Of those, connections that were gone already";
        let skipped = "Of such connections, those not asked for because too many were waiting";
        let failed = "Questions about one connection that the kernel did not answer";
        let denied = "Entries made of denied packets";
        let clients = "Entries of zone 0 that were searched for clients from outside";
        let not_allowed =
            "Entries of Antrea's zones that no policy has let pass yet; in each dump anew";
        let generations =
            "Times the labels of up to 8192 connections that are not allowed yet were given up";
        let found = "Records that tell a client from outside by what zone 0 knows";
        let refused = "Entries of clients from outside that found no room";
        let early = "Clients from outside that were forgotten before their time to make room";
        [
            ("conntrack_look_ups", asked, &self.look_ups),
            ("conntrack_look_ups_missed", missed, &self.look_ups_missed),
            ("conntrack_look_ups_skipped", skipped, &self.look_ups_skipped),
            ("conntrack_look_ups_failed", failed, &self.look_ups_failed),
            ("entries", "Entries of events, dumps and look-ups", &self.entries),
            ("entries_denied", denied, &self.entries_denied),
            ("entries_of_clients", clients, &self.entries_of_clients),
            ("entries_not_allowed", not_allowed, &self.not_allowed),
            ("label_generations_forgotten", generations, &self.label_generations),
            ("clients_found", found, &self.clients_found),
            ("clients_refused", refused, &self.clients_refused),
            ("clients_forgotten_early", early, &self.clients_forgotten_early),
        ]
    }
}
