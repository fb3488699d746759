//! Slots that wait to be told in a track, in the order they came to.
//!
//! A slot that no longer waits keeps its place until its turn comes, or until there are too many
//! such places. Whether it does is for the connection to say: see
//! [`super::connection::Connection::waiting`].

use std::collections::VecDeque;

use super::connection::{Connection, State};
use super::set::Id;
use super::store::Store;

/// Places that a queue may have beyond two for each slot.
const SPARE: usize = 1024;
/// Of an empty queue no more memory is kept than that of so many places.
const KEPT: usize = 65_536;

#[derive(Debug)]
pub(super) struct Queue {
    places: VecDeque<u32>,
    track: Id,
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Living,
    Closed,
}

impl Queue {
    pub(super) const fn new(track: Id, of: Of) -> Self {
        Self { places: VecDeque::new(), track, of }
    }

    /// Appends a connection that waits from now on.
    pub(super) fn push(&mut self, slot: u32, store: &Store) {
        if self.places.len() >= 2 * store.slots().len() + SPARE {
            self.tidy(store);
        }
        self.places.push_back(slot);
    }

    /// Puts a connection that has been taken out back in front.
    pub(super) fn put_back(&mut self, slot: u32) {
        self.places.push_front(slot);
    }

    /// Takes out the connection that has waited for longest.
    pub(super) fn pop(&mut self, store: &Store) -> Option<u32> {
        while let Some(slot) = self.places.pop_front() {
            if self.wants(store.get(slot)) {
                return Some(slot);
            }
        }
        if self.places.capacity() > KEPT {
            self.places = VecDeque::new();
        }
        None
    }

    pub(super) fn wants(&self, connection: &Connection) -> bool {
        let is_living = connection.state == State::Live;
        is_living == (self.of == Of::Living) && connection.waiting.contains(self.track)
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Leaves one place to each connection that waits.
    #[cold]
    fn tidy(&mut self, store: &Store) {
        let mut places = std::mem::take(&mut self.places);
        let mut is_new = vec![true; store.slots().len()];
        places.retain(|&slot| {
            self.wants(store.get(slot)) && std::mem::take(&mut is_new[slot as usize])
        });
        self.places = places;
    }
}
