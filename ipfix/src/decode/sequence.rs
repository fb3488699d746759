//! Sequence numbers: how a receiver learns of what it has not received.
//!
//! Each message says how many Data Records its Observation Domain sent before it (RFC 7011,
//! section 3.1). On TCP a difference means that the exporter discarded records; on UDP that the
//! network did, or that messages overtook each other.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::Summary;

/// How many of the last messages of a domain a message is compared with, to see if it came twice.
const REMEMBERED: usize = 32;

/// Half of all sequence numbers: what is nearer ahead is a gap, what is nearer behind is late.
const HALF: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Sequences {
    domains: HashMap<u32, Expected>,
    max_domains: usize,
    recent: HashMap<u32, Recent>,
    /// Seeded at random, so that no peer can make one message pass for another.
    hasher: DefaultHashBuilder,
}

/// The hashes of the last messages of a domain.
#[derive(Debug)]
struct Recent {
    hashes: [u64; REMEMBERED],
    /// Where the next one goes.
    next: usize,
}

/// What the next message of a domain should begin with.
#[derive(Debug, Clone, Copy)]
struct Expected {
    /// The number after the newest message; unknown if that had records nobody could count.
    next: Option<u32>,
    /// The number after the last late message. If the next message follows on that, the exporter
    /// has begun to count anew.
    after_late: Option<u32>,
}

impl Sequences {
    pub(super) fn new(max_domains: usize) -> Self {
        Self {
            domains: HashMap::new(),
            max_domains,
            recent: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Returns true if one of the last messages of `domain` was this very one. If not, the next may
    /// be.
    ///
    /// A message says when it was sent and what was sent before it, so only one that says nothing
    /// new can be like another within a second.
    pub(super) fn came_twice(&mut self, domain: u32, message: &[u8]) -> bool {
        let hash = self.hasher.hash_one(message);
        let Some(recent) = self.recent.get_mut(&domain) else {
            if self.recent.len() < self.max_domains {
                let mut hashes = [0; REMEMBERED];
                hashes[0] = hash;
                self.recent.insert(domain, Recent { hashes, next: 1 });
            }
            return false;
        };
        if recent.hashes.contains(&hash) {
            return true;
        }
        if let Some(place) = recent.hashes.get_mut(recent.next) {
            *place = hash;
        }
        recent.next = (recent.next + 1) % REMEMBERED;
        false
    }

    /// Compares the summary of a message, complete but for this, with the messages before it.
    pub(super) fn follow(&mut self, summary: &mut Summary) {
        let domain = summary.header.domain;
        let sequence_number = summary.header.sequence_number;
        // A Data Set without a Template has an unknown number of records.
        let after = summary.is_complete().then(|| sequence_number.wrapping_add(summary.records));

        let Some(expected) = self.domains.get_mut(&domain) else {
            if self.domains.len() < self.max_domains {
                self.domains.insert(domain, Expected { next: after, after_late: None });
            }
            return;
        };
        let ahead = expected.next.map_or(0, |next| sequence_number.wrapping_sub(next));
        let counts_anew = expected.after_late == Some(sequence_number);
        if ahead >= HALF && !counts_anew {
            summary.out_of_order = true;
            expected.after_late = after;
            return;
        }
        summary.lost_records = if counts_anew { 0 } else { ahead };
        *expected = Expected { next: after, after_late: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageHeader;

    /// Sends messages as (sequence number, records) and compares what each is said to have lost;
    /// `None` stands for a message out of order.
    #[track_caller]
    fn check(messages: &[(u32, u32)], expected: &[Option<u32>]) {
        let mut sequences = Sequences::new(1);
        let got: Vec<Option<u32>> = messages
            .iter()
            .map(|&(sequence_number, records)| {
                let summary = follow(&mut sequences, 7, sequence_number, records, 0);
                (!summary.out_of_order).then_some(summary.lost_records)
            })
            .collect();
        assert_eq!(got, expected);
    }

    fn follow(
        sequences: &mut Sequences,
        domain: u32,
        sequence_number: u32,
        records: u32,
        sets_without_template: u32,
    ) -> Summary {
        let header = MessageHeader { length: 16, export_time: 0, sequence_number, domain };
        let mut summary = Summary { records, sets_without_template, ..Summary::new(header) };
        sequences.follow(&mut summary);
        summary
    }

    #[test]
    fn the_first_message_sets_the_base() {
        check(&[(1000, 5), (1005, 1)], &[Some(0), Some(0)]);
    }

    #[test]
    fn a_gap_is_what_was_lost() {
        check(&[(0, 5), (8, 2), (10, 1)], &[Some(0), Some(3), Some(0)]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        check(&[(u32::MAX, 2), (1, 1), (4, 1)], &[Some(0), Some(0), Some(2)]);
    }

    #[test]
    fn a_late_message_is_noted_and_changes_nothing_else() {
        check(&[(0, 5), (10, 5), (5, 5), (15, 5)], &[Some(0), Some(5), None, Some(0)]);
    }

    #[test]
    fn a_message_received_twice_is_out_of_order() {
        check(&[(0, 5), (5, 5), (5, 5), (10, 5)], &[Some(0), Some(0), None, Some(0)]);
    }

    #[test]
    fn an_exporter_that_counts_anew_is_followed_from_its_second_message() {
        check(&[(100, 5), (0, 5), (5, 5), (10, 5)], &[Some(0), None, Some(0), Some(0)]);
    }

    #[test]
    fn records_that_cannot_be_counted_make_the_next_message_a_new_base() {
        let mut sequences = Sequences::new(1);
        follow(&mut sequences, 7, 0, 0, 1);
        assert_eq!(follow(&mut sequences, 7, 50, 1, 0).lost_records, 0);
        assert_eq!(follow(&mut sequences, 7, 52, 1, 0).lost_records, 1);
    }

    #[test]
    fn domains_beyond_the_limit_are_not_followed() {
        let mut sequences = Sequences::new(1);
        follow(&mut sequences, 1, 0, 1, 0);
        follow(&mut sequences, 2, 0, 1, 0);
        assert_eq!(follow(&mut sequences, 1, 9, 1, 0).lost_records, 8);
        assert_eq!(follow(&mut sequences, 2, 9, 1, 0).lost_records, 0);
    }
}
