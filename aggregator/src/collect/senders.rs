//! Who has been heard: Nodes by name, Observation Domains by number, and by how many sessions each
//! at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow::Name;
use hashbrown::HashMap;
use k8s::Cluster;

use super::pace::Pace;

/// Nodes that are remembered. Beyond, the one that has been silent the longest is forgotten.
const NODES: usize = 16_384;
/// So often two sessions have to take turns before that is worth a warning: one that ends may
/// overlap with the one that follows it.
const TURNS: u64 = 3;
/// A Node is not warned of again for this long, in milliseconds.
const WARN_AGAIN_MS: u64 = 3_600_000;

/// What was heard of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    pub name: Name,
    /// Whether the cluster has it, as far as that is known.
    pub in_cluster: bool,
    /// Records that named it.
    pub records: u64,
    /// When the last of these came, in milliseconds since 1970; `None` if none has since this
    /// process began.
    pub last_record_ms: Option<u64>,
    /// How long ago that is, or how long this has been known of the Node, in milliseconds.
    pub silent_ms: u64,
    /// How far in the past the newest interval of the last message ended when it came, in
    /// milliseconds. An exporter that cannot keep up lags; so does one whose clock is slow.
    pub lag_ms: u64,
}

/// One who speaks, in whatever sessions.
#[derive(Debug, Default)]
pub(super) struct Voice {
    /// The session it was heard in last; 0 is none.
    session: AtomicU64,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    /// The session before.
    before: u64,
    taken: u64,
    warned_ms: Option<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Voice {
    /// Is heard in `session`. One that follows another is as it should be; one that goes on after
    /// another has begun is not: then that other one is returned.
    pub(super) fn heard(&self, session: u64) -> Option<u64> {
        if self.session.load(Ordering::Relaxed) == session {
            return None;
        }
        let mut turns = lock(&self.turns);
        let other = self.session.swap(session, Ordering::Relaxed);
        let is_back = turns.before == session;
        turns.before = other;
        turns.taken += u64::from(is_back);
        is_back.then_some(other)
    }
}

/// A Node that records have named.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) name: Name,
    pub(super) voice: Arc<Voice>,
    records: AtomicU64,
    last_ms: AtomicU64,
    lag_ms: AtomicU64,
}

impl Heard {
    /// Tells of `records` that came in one message.
    pub(super) fn told(&self, records: u64, now_ms: u64, lag_ms: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.last_ms.store(now_ms, Ordering::Relaxed);
        self.lag_ms.store(lag_ms, Ordering::Relaxed);
    }

    fn last_ms(&self) -> u64 {
        self.last_ms.load(Ordering::Relaxed)
    }
}

/// All who have been heard.
#[derive(Debug, Default)]
pub(super) struct Senders {
    nodes: Mutex<HashMap<Name, Arc<Heard>>>,
    /// Of sessions that are open.
    domains: Mutex<HashMap<u32, Arc<Voice>>>,
    /// For warnings of whom is heard twice.
    pace: Pace,
    /// Since when there is anything to hear, in milliseconds since 1970; 0 before.
    since_ms: AtomicU64,
}

/// Makes room for an eighth: whoever makes names up does not have all of them looked through for
/// each.
fn forget_quietest(nodes: &mut HashMap<Name, Arc<Heard>>) {
    let mut heard: Vec<u64> = nodes.values().map(|heard| heard.last_ms()).collect();
    let mut left = (heard.len() / 8).max(1);
    let (_, &mut quietest, _) = heard.select_nth_unstable(left - 1);
    nodes.retain(|_, heard| {
        let goes = left > 0 && heard.last_ms() <= quietest;
        left -= usize::from(goes);
        !goes
    });
}

impl Senders {
    pub(super) fn node(&self, name: &Name, now_ms: u64) -> Arc<Heard> {
        let mut nodes = lock(&self.nodes);
        if let Some(heard) = nodes.get(name) {
            return Arc::clone(heard);
        }
        if nodes.len() >= NODES {
            forget_quietest(&mut nodes);
        }
        // Of a session's names it would keep all the memory.
        let name = Name::from(name.as_str());
        let heard = Arc::new(Heard {
            name: name.clone(),
            voice: Arc::default(),
            records: AtomicU64::new(0),
            last_ms: AtomicU64::new(now_ms),
            lag_ms: AtomicU64::new(0),
        });
        nodes.insert(name, Arc::clone(&heard));
        heard
    }

    pub(super) fn domain(&self, domain: u32) -> Arc<Voice> {
        Arc::clone(lock(&self.domains).entry(domain).or_default())
    }

    /// Gives back a session's own of `domain`, which is forgotten with the last.
    pub(super) fn leave(&self, domain: u32, voice: Arc<Voice>) {
        let mut domains = lock(&self.domains);
        drop(voice);
        if domains.get(&domain).is_some_and(|voice| Arc::strong_count(voice) == 1) {
            domains.remove(&domain);
        }
    }

    /// Whether the log is to be told now that somebody is heard in two sessions.
    pub(super) fn may_warn_of(&self, voice: &Voice, now_ms: u64) -> bool {
        let mut turns = lock(&voice.turns);
        let is_long_ago =
            turns.warned_ms.is_none_or(|last| now_ms >= last.saturating_add(WARN_AGAIN_MS));
        let may = turns.taken >= TURNS && is_long_ago && self.pace.is_due(now_ms);
        if may {
            turns.warned_ms = Some(now_ms);
        }
        may
    }

    pub(super) fn report(&self, cluster: Option<&Cluster>, now_ms: u64) -> Vec<NodeReport> {
        let first = self.since_ms.compare_exchange(0, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        let since = first.map_or_else(|since| since, |_| now_ms);
        let known = cluster.filter(|cluster| cluster.knows_nodes());
        let nodes = lock(&self.nodes);
        let mut reports: Vec<_> = nodes
            .values()
            .map(|heard| NodeReport {
                name: heard.name.clone(),
                in_cluster: known.is_none_or(|cluster| cluster.node(&heard.name).is_some()),
                records: heard.records.load(Ordering::Relaxed),
                last_record_ms: Some(heard.last_ms()),
                silent_ms: now_ms.saturating_sub(heard.last_ms()),
                lag_ms: heard.lag_ms.load(Ordering::Relaxed),
            })
            .collect();
        let silent = known.into_iter().flat_map(Cluster::nodes);
        let silent = silent.filter(|node| !nodes.contains_key(&node.name));
        reports.extend(silent.map(|node| NodeReport {
            name: node.name.clone(),
            in_cluster: true,
            records: 0,
            last_record_ms: None,
            silent_ms: now_ms.saturating_sub(since),
            lag_ms: 0,
        }));
        reports.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_follows_another_is_no_second_one() {
        let voice = Voice::default();
        for session in [1, 1, 2, 2, 3, 3] {
            assert_eq!(voice.heard(session), None);
        }
    }

    #[test]
    fn two_sessions_that_take_turns_are_noticed() {
        let voice = Voice::default();
        let heard = [1, 2, 1, 2, 2, 1].map(|session| voice.heard(session));
        assert_eq!(heard, [None, None, Some(2), Some(1), None, Some(2)]);
    }

    #[test]
    fn the_log_is_told_of_each_once_an_hour_and_of_one_at_a_time() {
        let senders = Senders::default();
        let [first, second, brief] = [(); 3].map(|()| Voice::default());
        for (voice, turns) in [(&first, 5), (&second, 5), (&brief, 3)] {
            for turn in 0..turns {
                voice.heard(turn % 2 + 1);
            }
        }
        let may = |voice, now| senders.may_warn_of(voice, now);
        assert!(!may(&brief, 0), "two turns may be those of a session that ends");
        assert!(may(&first, 0) && !may(&first, 0) && !may(&second, 999));
        assert!(may(&second, 1_000));
        assert!(!may(&first, WARN_AGAIN_MS - 1) && may(&first, WARN_AGAIN_MS));
    }

    #[test]
    fn a_domain_is_forgotten_with_its_last_session() {
        let senders = Senders::default();
        let (first, second) = (senders.domain(7), senders.domain(7));
        assert!(Arc::ptr_eq(&first, &second));
        senders.leave(7, first);
        assert_eq!(lock(&senders.domains).len(), 1);
        senders.leave(7, second);
        assert!(lock(&senders.domains).is_empty());
    }

    #[test]
    fn made_up_nodes_push_out_those_that_have_been_silent_the_longest() {
        let senders = Senders::default();
        let first = senders.node(&"node-0".into(), 0);
        for number in 1..=NODES {
            let name = format!("node-{number}");
            senders.node(&name.as_str().into(), number as u64);
        }
        let nodes = lock(&senders.nodes);
        assert_eq!(nodes.len(), NODES - NODES / 8 + 1);
        let silent = format!("node-{}", NODES / 8 - 1);
        let heard = format!("node-{}", NODES / 8);
        assert!(!nodes.contains_key(&first.name));
        assert!(!nodes.contains_key(&Name::from(silent.as_str())));
        assert!(nodes.contains_key(&Name::from(heard.as_str())));
    }

    #[test]
    fn nodes_that_are_silent_are_told_with_those_that_are_not() {
        let yaml = "nodes: [{name: a}, {name: b}]";
        let cluster = Cluster::from_yaml(yaml).unwrap();
        let senders = Senders::default();
        senders.report(Some(&cluster), 1_000);
        for name in ["b", "gone"] {
            senders.node(&name.into(), 2_000).told(5, 2_000, 70);
        }
        let report = senders.report(Some(&cluster), 9_000);
        let told: Vec<_> = report
            .iter()
            .map(|it| (it.name.as_str(), it.in_cluster, it.last_record_ms, it.silent_ms, it.lag_ms))
            .collect();
        let expected = [
            ("a", true, None, 8_000, 0),
            ("b", true, Some(2_000), 7_000, 70),
            ("gone", false, Some(2_000), 7_000, 70),
        ];
        assert_eq!(told, expected);
    }
}
