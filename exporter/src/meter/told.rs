//! How far connections have been told in each track, and when they are due next.
//!
//! 20 bytes per connection and track. What has been told is never far behind what there is: of
//! each counter the lower 32 bits say how far, unless that is 2 Gi packets or octets or more. Then
//! it is written out at the side, which takes about 60 bytes until it is told. A counter must be
//! looked at whenever it passes a multiple of 2 Gi: what was near before has come less than 4 Gi
//! since then.

use hashbrown::HashMap;

use super::column::CHUNK;
use super::connection::STRIDE;
use super::moment::Moment;
use super::set::{Id, Set};
use crate::conntrack::Counters;

#[derive(Debug, Default)]
pub(super) struct Told {
    tracks: Set,
    slots: usize,
    /// In pieces of [`CHUNK`] slots, each slot's cells side by side.
    cells: Vec<Vec<Cell>>,
    /// Counters that are far behind.
    far: HashMap<(u32, Id), Counters>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// The lower bits of what has been told.
    packets: u32,
    octets: u32,
    reverse_packets: u32,
    reverse_octets: u32,
    deadline: Moment,
}

const _: () = assert!(size_of::<Cell>() == 20);

impl Told {
    pub(super) const fn tracks(&self) -> Set {
        self.tracks
    }

    pub(super) fn insert(&mut self, track: Id) {
        let mut tracks = self.tracks;
        tracks.insert(track);
        self.arrange(tracks);
    }

    pub(super) fn remove(&mut self, track: Id) {
        let mut tracks = self.tracks;
        tracks.remove(track);
        self.arrange(tracks);
        self.far.retain(|&(_, id), _| id != track);
    }

    /// Makes room for a cell per slot in each of `tracks`.
    fn arrange(&mut self, tracks: Set) {
        let old = std::mem::replace(&mut self.tracks, tracks);
        for (number, cells) in self.cells.iter_mut().enumerate() {
            let slots = CHUNK.min(self.slots - number * CHUNK);
            let mut arranged = Vec::with_capacity(CHUNK * tracks.len());
            for slot in 0..slots {
                let cell = |id| {
                    let known = old.contains(id);
                    if known { cells[slot * old.len() + old.rank(id)] } else { Cell::default() }
                };
                arranged.extend(tracks.iter().map(cell));
            }
            *cells = arranged;
        }
    }

    /// Makes room for a slot, which is at most the next one.
    pub(super) fn reach(&mut self, slot: u32) {
        if (slot as usize) < self.slots {
            return;
        }
        let width = self.tracks.len();
        if self.slots.is_multiple_of(CHUNK) {
            self.cells.push(Vec::with_capacity(CHUNK * width));
        }
        self.slots += 1;
        if let Some(last) = self.cells.last_mut() {
            last.extend(std::iter::repeat_n(Cell::default(), width));
        }
    }

    /// What has been told in a track of a connection that has come to `totals`.
    #[inline]
    pub(super) fn get(&self, track: Id, slot: u32, totals: Counters) -> Counters {
        if !self.far.is_empty()
            && let Some(told) = self.far.get(&(slot, track))
        {
            return *told;
        }
        let cell = self.cell(track, slot);
        let behind = |total, told| u64::from(low(total).wrapping_sub(told));
        totals.zip(cell.told(), |total, told| total.saturating_sub(behind(total, low(told))))
    }

    /// Takes note that `told` has been told of `totals`.
    #[inline]
    pub(super) fn set(&mut self, track: Id, slot: u32, told: Counters, totals: Counters) {
        let cell = self.cell_mut(track, slot);
        cell.packets = low(told.packets);
        cell.octets = low(told.octets);
        cell.reverse_packets = low(told.reverse_packets);
        cell.reverse_octets = low(told.reverse_octets);
        if told != totals && totals.zip(told, u64::saturating_sub).is_any(|it| it >= STRIDE) {
            self.far.insert((slot, track), told);
        } else if !self.far.is_empty() {
            self.far.remove(&(slot, track));
        }
    }

    /// Looks again at a connection that has gone from `before` to `totals`.
    #[cold]
    pub(super) fn stride(&mut self, slot: u32, before: Counters, totals: Counters) {
        for track in self.tracks.iter() {
            let told = self.get(track, slot, before);
            self.set(track, slot, told, totals);
        }
    }

    pub(super) fn deadline(&self, track: Id, slot: u32, now: u64) -> u64 {
        self.cell(track, slot).deadline.time(now)
    }

    pub(super) fn set_deadline(&mut self, track: Id, slot: u32, deadline: Moment) {
        self.cell_mut(track, slot).deadline = deadline;
    }

    fn cell(&self, track: Id, slot: u32) -> &Cell {
        let (chunk, at) = self.place(track, slot);
        &self.cells[chunk][at]
    }

    fn cell_mut(&mut self, track: Id, slot: u32) -> &mut Cell {
        let (chunk, at) = self.place(track, slot);
        &mut self.cells[chunk][at]
    }

    const fn place(&self, track: Id, slot: u32) -> (usize, usize) {
        let slot = slot as usize;
        (slot / CHUNK, slot % CHUNK * self.tracks.len() + self.tracks.rank(track))
    }
}

impl Cell {
    fn told(&self) -> Counters {
        Counters {
            packets: self.packets.into(),
            octets: self.octets.into(),
            reverse_packets: self.reverse_packets.into(),
            reverse_octets: self.reverse_octets.into(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is wanted")]
const fn low(counter: u64) -> u32 {
    counter as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Id = Id(3);
    const SECOND: Id = Id(9);

    fn octets(octets: u64) -> Counters {
        Counters { octets, ..Counters::default() }
    }

    /// The connection has come to `totals`, as the meter would say.
    fn go(told: &mut Told, before: u64, totals: u64) {
        if before / STRIDE != totals / STRIDE {
            told.stride(7, octets(before), octets(totals));
        }
    }

    #[test]
    fn what_is_far_behind_is_written_out_until_it_is_told() {
        let mut told = Told::default();
        told.insert(SECOND);
        (0..8).for_each(|slot| told.reach(slot));
        told.set(SECOND, 7, octets(5), octets(5));
        told.insert(FIRST);
        let mut before = 5;
        for totals in [6, STRIDE - 1, STRIDE + 4, 2 * STRIDE + 4, 99 * STRIDE, u64::MAX] {
            go(&mut told, before, totals);
            before = totals;
            assert_eq!(told.get(SECOND, 7, octets(totals)), octets(5));
            assert_eq!(told.get(FIRST, 7, octets(totals)), octets(0));
            told.set(FIRST, 7, octets(totals), octets(totals));
            assert_eq!(told.get(FIRST, 7, octets(totals)), octets(totals));
            told.set(FIRST, 7, octets(0), octets(totals));
        }
        assert_eq!(told.far.len(), 2);
        told.set(SECOND, 7, octets(before), octets(before));
        told.remove(FIRST);
        assert!(told.far.is_empty());
        assert_eq!(told.get(SECOND, 7, octets(before)), octets(before));
    }
}
