//! When each flow is to be looked at.
//!
//! A wheel of slots, each a list of flows that is linked through the flows themselves: four bytes
//! per flow, and nothing to be moved when a flow's time changes. A flow stands in one slot, at or
//! before its time; looked at too early it is put into a later one. Flows beyond the wheel's turn
//! are looked at once per turn.

/// Links a flow to the next one of its slot.
pub(super) const NONE: u32 = u32::MAX;

const SLOT_MS: u64 = 128;
/// A turn takes 131 s, longer than the usual timeouts.
const SLOTS: usize = 1024;

#[derive(Debug)]
pub(super) struct Wheel {
    /// The first flow of each slot.
    slots: Box<[u32]>,
    /// The slot of the last look, as a number of slots since 1970.
    at: u64,
}

/// The flows that are to be looked at, taken out of the wheel.
#[derive(Debug)]
pub(super) struct Look {
    next: u64,
    last: u64,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { slots: vec![NONE; SLOTS].into(), at: 0 }
    }

    /// Puts a flow at its time. Returns the flow it is to be linked to.
    pub(super) fn insert(&mut self, flow: u32, at_ms: u64) -> u32 {
        let slot = (at_ms / SLOT_MS).clamp(self.at, self.at + SLOTS as u64 - 1);
        std::mem::replace(self.slot(slot), flow)
    }

    /// Begins to look at everything up to `now_ms`.
    pub(super) fn look(&mut self, now_ms: u64) -> Look {
        let last = now_ms / SLOT_MS;
        // After a turn, every slot has been looked at.
        let next = self.at.max(last.saturating_sub(SLOTS as u64 - 1));
        self.at = self.at.max(last);
        Look { next, last }
    }

    /// Takes the next slot's flows out: the first of them, by which the others are found.
    pub(super) fn next(&mut self, look: &mut Look) -> Option<u32> {
        while look.next <= look.last {
            let first = std::mem::replace(self.slot(look.next), NONE);
            look.next += 1;
            if first != NONE {
                return Some(first);
            }
        }
        None
    }

    fn slot(&mut self, slot: u64) -> &mut u32 {
        let index = usize::try_from(slot % SLOTS as u64).unwrap_or(0);
        &mut self.slots[index]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Looks at `now_ms` and returns who is due, putting back who is not.
    fn due(wheel: &mut Wheel, links: &mut [u32], times: &[u64], now_ms: u64) -> Vec<usize> {
        let mut due = Vec::new();
        let mut look = wheel.look(now_ms);
        while let Some(first) = wheel.next(&mut look) {
            let mut flow = first;
            while flow != NONE {
                let index = flow as usize;
                let next = links[index];
                if times[index] <= now_ms {
                    due.push(index);
                } else {
                    links[index] = wheel.insert(flow, times[index]);
                }
                flow = next;
            }
        }
        due.sort_unstable();
        due
    }

    proptest! {
        #[test]
        fn every_flow_is_found_at_the_first_look_at_or_after_its_time(
            times in prop::collection::vec(0_u64..1_000_000, 0..50),
            steps in prop::collection::vec(1_u64..300_000, 1..20),
            begin in prop::sample::select(vec![0_u64, 1_790_000_000_000]),
        ) {
            let times: Vec<_> = times.iter().map(|time| begin + time).collect();
            let mut wheel = Wheel::new();
            let mut links = vec![NONE; times.len()];
            for (flow, (time, link)) in (0..).zip(times.iter().zip(&mut links)) {
                *link = wheel.insert(flow, *time);
            }
            let mut before = None;
            let mut now = begin;
            for step in steps {
                let expected: Vec<_> = (0..times.len())
                    .filter(|flow| times[*flow] <= now && before.is_none_or(|it| times[*flow] > it))
                    .collect();
                prop_assert_eq!(due(&mut wheel, &mut links, &times, now), expected);
                before = Some(now);
                now += step;
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut wheel = Wheel::new();
        let mut links = [NONE; 2];
        assert_eq!(due(&mut wheel, &mut links, &[9_000_000, 0], 8_000_000), [0; 0]);
        links[0] = wheel.insert(0, 9_000_000);
        links[1] = wheel.insert(1, 5_000_000);
        assert_eq!(due(&mut wheel, &mut links, &[9_000_000, 5_000_000], 1_000_000), [0; 0]);
        assert_eq!(due(&mut wheel, &mut links, &[9_000_000, 5_000_000], 8_000_001), [1]);
        assert_eq!(due(&mut wheel, &mut links, &[9_000_000, 5_000_000], 9_000_000), [0]);
    }
}
