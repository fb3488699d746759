//! What the kernel had no room for, in its queues or on its way to us.

use std::fs;
use std::io;

use hashbrown::HashMap;

/// The kernel's own account of its queues.
const ACCOUNT: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";

/// Follows the kernel's counters of lost packets.
#[derive(Debug, Default)]
pub struct Overruns {
    /// By queue: who listens, and how many were lost then.
    seen: HashMap<u16, (u64, u64)>,
}

impl Overruns {
    /// How many packets were lost by `queues` since the last time. Packets that a full queue let
    /// through, because it is to fail open, are not among them: nobody denied them.
    pub fn look(&mut self, queues: &[u16]) -> io::Result<u64> {
        Ok(self.count(queues, &fs::read_to_string(ACCOUNT)?))
    }

    fn count(&mut self, queues: &[u16], account: &str) -> u64 {
        let rows = account.lines().filter_map(row);
        let ours = rows.filter(|(queue, ..)| queues.contains(queue));
        ours.map(|(queue, port, lost)| {
            let before = self.seen.insert(queue, (port, lost));
            // Counters begin anew with each listener.
            let before = before.filter(|(same, _)| *same == port).map_or(0, |(_, lost)| lost);
            lost.saturating_sub(before)
        })
        .sum()
    }
}

/// Queue, listener, and packets dropped for want of room in the queue or in the socket. The row
/// is: queue, port id, waiting, copy mode, copy range, queue dropped, user dropped, last id, 1.
fn row(line: &str) -> Option<(u16, u64, u64)> {
    let fields: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [queue, port, _, _, _, queue_dropped, user_dropped, ..] = fields[..] else { return None };
    Some((u16::try_from(queue).ok()?, port, queue_dropped.saturating_add(user_dropped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_once() {
        let mut overruns = Overruns::default();
        let account = |port, queue, user| {
            format!("    7 {port:>6}     0 2   256 {queue:>5} {user:>5}     1000  1\n")
                + "    8  99999     0 2   256    40     0        9  1\nnonsense\n"
        };
        assert_eq!(overruns.count(&[7], &account(1234, 0, 0)), 0);
        assert_eq!(overruns.count(&[7], &account(1234, 5, 2)), 7);
        assert_eq!(overruns.count(&[7], &account(1234, 5, 2)), 0);
        // Another listener.
        assert_eq!(overruns.count(&[7], &account(77, 1, 0)), 1);
        assert_eq!(overruns.count(&[7, 8], &account(77, 1, 0)), 40);
        assert_eq!(overruns.count(&[7], ""), 0);
    }
}
