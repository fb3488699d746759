//! Whatever order packets, sweeps and timeouts come in, each packet is told once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::packet;
use super::*;
use crate::deny::Source;
use crate::meter::{EndReason, Limits, Meter, Timeouts};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;

#[derive(Debug, Clone, Copy)]
enum Happening {
    Packet(u16),
    /// A switch's packets also appear in the log of the Agent a second later.
    Wait(u64),
    Sweep,
    Take(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..4_u16).prop_map(Happening::Packet),
        3 => (0..9_000_u64).prop_map(Happening::Wait),
        1 => Just(Happening::Sweep),
        2 => (1..5_usize).prop_map(Happening::Take),
    ]
}

struct World {
    table: Table,
    meter: Meter,
    now: u64,
    /// Lines that the Agent is going to write, and when.
    lines: Vec<(u64, Denied)>,
    sent: BTreeMap<u16, u64>,
    told: BTreeMap<u16, u64>,
    /// By id: what was told, and the last total.
    flows: BTreeMap<u32, (u64, u64)>,
    reasons: Vec<EndReason>,
}

impl World {
    fn take(&mut self, denied: &Denied) {
        let Self { table, meter, now, .. } = self;
        table.take(denied, *now, &mut |entry| meter.observe(entry, *now));
    }

    fn wait(&mut self, milliseconds: u64) {
        let until = self.now + milliseconds * 1_000_000;
        let (due, later) =
            std::mem::take(&mut self.lines).into_iter().partition(|it| it.0 <= until);
        self.lines = later;
        let due: Vec<_> = due;
        for (at, line) in due {
            self.now = at;
            self.take(&line);
        }
        self.now = until;
    }

    fn note(
        &mut self,
        mut hand_out: impl FnMut(&mut Meter, &mut dyn FnMut(&crate::meter::Due<'_>)),
    ) {
        let Self { meter, told, flows, reasons, .. } = self;
        hand_out(meter, &mut |due| {
            assert!(due.denied.is_some() && due.deltas.packets > 0);
            assert_eq!((due.totals.reverse_packets, due.tcp_state), (0, None));
            assert_eq!(due.totals.octets, 60 * due.totals.packets);
            *told.entry(due.original.source_port()).or_default() += due.deltas.packets;
            let (sum, total) = flows.entry(due.id).or_default();
            *sum += due.deltas.packets;
            *total = due.totals.packets;
            assert_eq!(sum, total);
            reasons.push(due.reason);
        });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Packet(port) => {
                *self.sent.entry(port).or_default() += 1;
                let seen = packet(port, Source::Ovs, self.now);
                let at = self.now + SECOND;
                self.lines
                    .push((at, Denied { source: Source::AuditLog, time_ns: at, ..seen.clone() }));
                self.take(&seen);
            }
            Happening::Wait(milliseconds) => self.wait(milliseconds),
            Happening::Sweep => {
                let Self { table, meter, now, .. } = self;
                table.sweep(*now, &mut |entry| meter.observe(entry, *now));
            }
            Happening::Take(max) => {
                let now = self.now;
                self.note(|meter, report| {
                    meter.due(now, max, report);
                });
            }
        }
    }
}

proptest! {
    #[test]
    fn each_packet_is_told_once(
        happenings in prop::collection::vec(happening(), 1..200),
        active in 1..20_u64,
        idle in 1..20_u64,
    ) {
        let (active, idle) = (Duration::from_secs(active), Duration::from_secs(idle));
        let counts = Arc::new(Counts::default());
        let mut world = World {
            table: Table::new(100, idle, Arc::clone(&counts)),
            meter: Meter::new(Timeouts::new(active, idle), Limits { connections: 1000 }),
            now: START,
            lines: Vec::new(),
            sent: BTreeMap::new(),
            told: BTreeMap::new(),
            flows: BTreeMap::new(),
            reasons: Vec::new(),
        };
        for happening in happenings {
            world.happen(happening);
        }
        // Silence: everything is told by itself, and forgotten.
        for _ in 0..60 {
            world.wait(1000);
            world.happen(Happening::Sweep);
            world.happen(Happening::Take(1000));
        }
        prop_assert_eq!(&world.told, &world.sent);
        prop_assert!(world.table.is_empty() && world.table.ends.is_empty());
        prop_assert_eq!((world.table.owners.len(), world.meter.stats().stored), (0, 0));
        prop_assert!(!world.reasons.contains(&EndReason::Forced));
        let repeated = counts.losses(Source::AuditLog, Loss::SeenByAnother);
        prop_assert_eq!(repeated, world.sent.values().sum::<u64>());
    }
}
