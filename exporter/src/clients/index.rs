use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::ClientTally;
use crate::conntrack::{Entry, Kind, Tuple};

/// Connections in turn with the same ends that are remembered.
const IN_TURN: usize = 4;

/// A connection of zone 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    id: u32,
    pub(super) original: Tuple,
    /// What is seen of the client behind the host's rules.
    pub(super) seen: (IpAddr, u16),
    pub(super) start_ns: u64,
    start_known: bool,
    pub(super) ended_ns: Option<u64>,
    /// Its end was told, not only concluded.
    is_destroyed: bool,
    last_dump: u32,
}

impl Client {
    fn new(entry: &Entry, dump: u32, now: u64) -> Self {
        Self {
            id: entry.id,
            original: entry.original,
            seen: (entry.reply.destination(), entry.reply.destination_port()),
            start_ns: entry.start_ns.unwrap_or(now),
            start_known: entry.start_ns.is_some(),
            ended_ns: None,
            is_destroyed: false,
            last_dump: dump,
        }
    }

    /// The kernel gives the id of a connection that has ended to the next: see the meter.
    fn is_of(&self, entry: &Entry) -> bool {
        let same_start = match entry.start_ns {
            Some(start) => !self.start_known || start == self.start_ns,
            None => !self.is_destroyed,
        };
        self.id == entry.id && self.original == entry.original && same_start
    }
}

/// Connections by the packets that leave zone 0, ended ones among them.
#[derive(Debug)]
pub(super) struct Index {
    /// Seeded, since clients choose most of the key.
    by_packet: HashMap<Tuple, Vec<Client>, RandomState>,
    /// When which one has ended, in this order. One that goes on after all is passed over.
    ended: VecDeque<(u64, Tuple, u32)>,
    limit: usize,
    pub(super) tally: ClientTally,
}

impl Index {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_packet: HashMap::default(),
            ended: VecDeque::new(),
            limit,
            tally: ClientTally::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_packet.is_empty()
    }

    pub(super) fn get(&self, key: &Tuple) -> &[Client] {
        self.by_packet.get(key).map_or(&[], Vec::as_slice)
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.by_packet.values().map(Vec::capacity).sum()
    }

    /// Remembers the connection, or that it goes on.
    pub(super) fn update(&mut self, key: Tuple, entry: &Entry, dump: u32, now: u64) {
        let known = self.by_packet.get_mut(&key);
        if let Some(client) = known.and_then(|all| all.iter_mut().find(|it| it.is_of(entry))) {
            client.last_dump = dump;
            if let Some(start) = entry.start_ns {
                (client.start_ns, client.start_known) = (start, true);
            }
            // A dump entry that its end has overtaken does not bring it back.
            if client.ended_ns.is_some() && !client.is_destroyed {
                client.ended_ns = None;
                self.tally.live += 1;
            }
            return;
        }
        if !self.make_room() {
            self.tally.refused += 1;
            return;
        }
        // Few ends are used again while they are remembered, so there is no room for more.
        let all = self.by_packet.entry(key).or_insert_with(|| Vec::with_capacity(1));
        if all.len() >= IN_TURN {
            let oldest = all.remove(0);
            self.tally.known -= 1;
            self.tally.live -= u64::from(oldest.ended_ns.is_none());
            self.tally.forgotten_early += 1;
        }
        all.push(Client::new(entry, dump, now));
        self.tally.known += 1;
        self.tally.live += 1;
    }

    /// Takes note of an end at `ended_ns` that is told at `now`.
    pub(super) fn end(&mut self, key: Tuple, entry: &Entry, ended_ns: u64, now: u64) {
        debug_assert_eq!(entry.kind, Kind::Destroy);
        let Some(all) = self.by_packet.get_mut(&key) else { return };
        let Some(client) = all.iter_mut().find(|it| it.is_of(entry)) else { return };
        client.is_destroyed = true;
        if client.ended_ns.replace(ended_ns).is_none() {
            self.tally.live -= 1;
            self.note_end(now, key, entry.id);
        }
    }

    /// Everything has ended that the dump of this number did not show.
    pub(super) fn end_unseen(&mut self, dump: u32, now: u64) {
        let mut unseen = Vec::new();
        for (key, all) in &mut self.by_packet {
            for client in all.iter_mut() {
                let is_unseen = client.last_dump.wrapping_sub(dump).cast_signed() < 0;
                if is_unseen && client.ended_ns.is_none() {
                    client.ended_ns = Some(now);
                    self.tally.live -= 1;
                    unseen.push((*key, client.id));
                }
            }
        }
        for (key, id) in unseen {
            self.note_end(now, key, id);
        }
    }

    /// Forgets what ended before `before`.
    pub(super) fn forget_before(&mut self, before: u64) {
        while self.ended.front().is_some_and(|&(at, ..)| at < before) {
            self.forget_oldest();
        }
    }

    /// One that ends, goes on and ends again is noted more than once, but not without end.
    fn note_end(&mut self, now: u64, key: Tuple, id: u32) {
        if self.ended.len() >= self.limit.saturating_mul(2) {
            self.tally.forgotten_early += u64::from(self.forget_oldest());
        }
        self.ended.push_back((now, key, id));
    }

    fn make_room(&mut self) -> bool {
        while self.tally.known >= self.limit as u64 && !self.ended.is_empty() {
            self.tally.forgotten_early += u64::from(self.forget_oldest());
        }
        self.tally.known < self.limit as u64
    }

    /// Returns whether there was one to forget.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, id)) = self.ended.pop_front() else { return false };
        let Some(all) = self.by_packet.get_mut(&key) else { return false };
        let Some(at) = all.iter().position(|it| it.id == id && it.ended_ns.is_some()) else {
            return false;
        };
        all.remove(at);
        if all.is_empty() {
            self.by_packet.remove(&key);
        }
        self.tally.known -= 1;
        true
    }
}
