//! What happens, one step at a time.

use super::*;

#[derive(Debug, Clone)]
pub(super) enum Happening {
    Begin(u16),
    Traffic(usize, u64),
    /// Somebody has the kernel start a connection's counters again from zero.
    Zero(usize),
    End(usize),
    /// TCP is done with a connection, which the kernel remembers and is asked about.
    Over(usize),
    ReadEvents(usize),
    LoseEvents,
    StartDump,
    ReadChunk,
    AbandonDump,
    Take(usize),
    Pay(usize, usize),
    Wait(u64),
    Add(u64),
    Remove(usize),
    Retime(usize, u64),
    /// A destination that could take records no longer can, or the other way round.
    Stall(usize),
}

impl World {
    pub(super) fn happen(&mut self, happening: &Happening) {
        let alive = self.kernel.alive.len();
        match *happening {
            Happening::Begin(port) => self.kernel.begin(port),
            Happening::Traffic(index, packets) if alive > 0 => {
                let known = &mut self.kernel.alive[index % alive];
                known.packets += if known.entry.tcp_state.is_none() { packets } else { 0 };
            }
            Happening::Zero(index) if alive > 0 => {
                let known = &mut self.kernel.alive[index % alive];
                if known.entry.tcp_state.is_none() {
                    (known.packets, known.is_zeroed) = (0, true);
                }
            }
            Happening::End(index) if alive > 0 => self.kernel.end(index),
            Happening::Over(index) if alive > 0 => {
                let known = &mut self.kernel.alive[index % alive];
                known.entry.tcp_state = Some(tcp_state::TIME_WAIT);
                let entry = Entry { kind: Kind::Update, ..known.tell(Kind::Dump) };
                self.observe(&entry);
            }
            Happening::ReadEvents(count) => self.read_events(count),
            Happening::LoseEvents => self.kernel.lose_events(),
            Happening::StartDump => self.start_dump(),
            Happening::ReadChunk => self.read_chunk(),
            Happening::AbandonDump => {
                self.dump = None;
                self.meter.dump_finished(0, false);
            }
            Happening::Take(max) => self.take(max),
            Happening::Pay(index, max) => self.pay(index, max),
            Happening::Wait(seconds) => self.now += seconds * SECOND,
            Happening::Add(active) => self.add(active),
            Happening::Remove(index) if !self.ledgers.is_empty() => {
                let ledger = self.ledgers.swap_remove(index % self.ledgers.len());
                self.meter.remove(ledger.id);
            }
            Happening::Retime(index, active) if !self.ledgers.is_empty() => {
                let count = self.ledgers.len();
                let ledger = &self.ledgers[index % count];
                self.meter.set_timeouts(ledger.id, timeouts(active), self.now);
            }
            Happening::Stall(index) if !self.ledgers.is_empty() => {
                let count = self.ledgers.len();
                let ledger = &mut self.ledgers[index % count];
                ledger.is_stalled = !ledger.is_stalled;
            }
            Happening::Traffic(..)
            | Happening::Zero(_)
            | Happening::End(_)
            | Happening::Over(_)
            | Happening::Remove(_)
            | Happening::Retime(..)
            | Happening::Stall(_) => {}
        }
    }
}

/// A few, or more than 32 bits can count.
fn packets() -> impl Strategy<Value = u64> {
    let many = (1..20_u64, 0..3_u64).prop_map(|(halves, more)| (halves << 30) + more - 1);
    prop_oneof![3 => 1..100_u64, 1 => many]
}

pub(super) fn happening() -> impl Strategy<Value = Happening> {
    let any_index = 0..100_usize;
    prop_oneof![
        4 => (0..TUPLES).prop_map(Happening::Begin),
        4 => (any_index.clone(), packets()).prop_map(|(at, n)| Happening::Traffic(at, n)),
        1 => any_index.clone().prop_map(Happening::Zero),
        3 => any_index.clone().prop_map(Happening::End),
        2 => any_index.clone().prop_map(Happening::Over),
        4 => (0..5_usize).prop_map(Happening::ReadEvents),
        1 => Just(Happening::LoseEvents),
        2 => Just(Happening::StartDump),
        6 => Just(Happening::ReadChunk),
        1 => Just(Happening::AbandonDump),
        2 => (0..4_usize).prop_map(Happening::Take),
        2 => (0..8_u64).prop_map(Happening::Wait),
        2 => (any_index.clone(), 0..4_usize).prop_map(|(at, max)| Happening::Pay(at, max)),
        1 => (4..13_u64).prop_map(Happening::Add),
        1 => any_index.clone().prop_map(Happening::Remove),
        1 => (any_index.clone(), 4..13_u64).prop_map(|(at, active)| Happening::Retime(at, active)),
        2 => any_index.prop_map(Happening::Stall),
    ]
}
