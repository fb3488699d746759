//! What was lost on the way, by sequence numbers: version 5 counts records, version 9 messages.

/// A skip beyond this is an exporter that began anew.
const FARTHEST: u32 = 1 << 20;

/// The numbers of one session.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: Option<u32>,
}

impl Sequence {
    /// Takes the `number` of a message that counts for `counted`. Returns how much is missing in
    /// front of it.
    pub(super) fn follow(&mut self, number: u32, counted: u32) -> u64 {
        let missing = self.next.map_or(0, |next| number.wrapping_sub(next));
        let is_late = missing > u32::MAX - FARTHEST;
        if !is_late {
            self.next = Some(number.wrapping_add(counted));
        }
        if missing <= FARTHEST { missing.into() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_is_missing_also_where_numbers_begin_anew() {
        let mut sequence = Sequence::default();
        let follow = |(number, counted)| sequence.follow(number, counted);
        let messages = [(7, 3), (10, 30), (45, 1), (46, 1)];
        assert_eq!(messages.map(follow), [0, 0, 5, 0]);
        let mut sequence = Sequence::default();
        let follow = |(number, counted)| sequence.follow(number, counted);
        let messages = [(u32::MAX, 2), (1, 1), (4, 1)];
        assert_eq!(messages.map(follow), [0, 0, 2]);
    }

    #[test]
    fn what_is_late_and_who_begins_anew_lost_nothing() {
        let mut sequence = Sequence::default();
        let follow = |(number, counted)| sequence.follow(number, counted);
        let messages = [(5_000_000, 1), (4_999_990, 1), (5_000_001, 1), (0, 1), (1, 1)];
        assert_eq!(messages.map(follow), [0, 0, 0, 0, 0]);
    }
}
