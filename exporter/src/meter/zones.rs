//! Zones, and dumps of them.

use super::connection::State;
use super::list::TOMBSTONES;
use super::trail::Trail;
use super::{Meter, Spread};

/// A zone that is dumped from time to time.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) number: u16,
    /// The dump under way, by its place among all dumps.
    pub(super) dump: Option<u32>,
    pub(super) trail: Trail,
    /// Connections alive now, without those that were denied.
    live: u64,
}

impl Meter {
    /// A dump of `zone` begins. One that was under way there is forgotten.
    pub fn dump_started(&mut self, zone: u16) {
        self.dump_number = self.dump_number.wrapping_add(1);
        if self.zones.iter().all(|zone| zone.dump.is_none()) {
            self.spread = Spread::default();
        }
        let number = self.dump_number;
        let zone = self.zone(zone);
        zone.dump = Some(number);
        zone.trail.restart();
    }

    fn zone(&mut self, number: u16) -> &mut Zone {
        let at = self.zones.iter().position(|it| it.number == number).unwrap_or_else(|| {
            self.zones.push(Zone { number, dump: None, trail: Trail::default(), live: 0 });
            self.zones.len() - 1
        });
        &mut self.zones[at]
    }

    /// How many connections of a zone are alive, without those that were denied.
    pub fn live_in(&self, zone: u16) -> u64 {
        self.zones.iter().find(|it| it.number == zone).map_or(0, |it| it.live)
    }

    /// One connection more is alive, or one less.
    pub(super) fn count_live(&mut self, slot: u32, more: bool) {
        let connection = self.store.get(slot);
        let (zone, is_denied) = (connection.key.zone, connection.denied.is_some());
        let step = |count: &mut u64| if more { *count += 1 } else { *count -= 1 };
        step(&mut self.stats.live);
        step(if is_denied { &mut self.stats.denied } else { &mut self.zone(zone).live });
    }

    /// The dump of `zone` has ended; `complete` if it showed every connection there is.
    ///
    /// All events that the source had when the dump ended must have been observed before, lest
    /// a connection be taken for vanished whose `DESTROY` event is still unread.
    pub fn dump_finished(&mut self, zone: u16, complete: bool) {
        let known = self.zones.iter_mut().find(|it| it.number == zone);
        let Some(number) = known.and_then(|known| known.dump.take()) else { return };
        self.release_tombstones(zone);
        if !complete {
            return;
        }
        for slot in self.store.slots() {
            let connection = self.store.get(slot);
            let unseen = connection.seen.wrapping_sub(number).cast_signed() < 0;
            // No dump shows what was denied.
            let is_dumped = connection.key.zone == zone && connection.denied.is_none();
            if unseen && is_dumped && connection.state == State::Live {
                self.stats.vanished += 1;
                self.close(slot, State::Vanished);
            }
        }
    }

    fn release_tombstones(&mut self, zone: u16) {
        let mut next = self.lists.front(TOMBSTONES);
        while let Some(slot) = next {
            next = self.lists.after(slot);
            if self.store.get(slot).key.zone == zone {
                self.lists.unlink(slot);
                self.store.release(slot, &mut self.lists);
            }
        }
    }
}
