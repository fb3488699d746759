//! What there is once for each slot, in memory that never moves.

/// Allocated in pieces of this many, so that growing neither copies nor leaves slack.
pub(super) const CHUNK: usize = 1024;

#[derive(Debug)]
pub(super) struct Column<T>(Vec<Vec<T>>);

impl<T> Column<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn get(&self, slot: u32) -> &T {
        let slot = slot as usize;
        &self.0[slot / CHUNK][slot % CHUNK]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut T {
        let slot = slot as usize;
        &mut self.0[slot / CHUNK][slot % CHUNK]
    }

    /// Adds the next slot's. Returns whether that took a new piece of memory.
    pub(super) fn push(&mut self, value: T) -> bool {
        let is_full = self.len().is_multiple_of(CHUNK);
        if is_full {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.0.last_mut() {
            chunk.push(value);
        }
        is_full
    }
}
