//! When to try to lead, and when to stop.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// No Lease, whatever it says, is waited for longer.
const LONGEST: Duration = Duration::from_hours(1);

/// One of those who would lead.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    duration: Duration,
    /// What was seen last that was new, and when.
    seen: Option<(LeaseSpec, Instant)>,
    leads_until: Option<Instant>,
}

impl Candidate {
    pub(super) fn new(identity: String, duration: Duration) -> Self {
        let duration = Duration::from_secs(duration.as_secs().max(1)).min(LONGEST);
        Self { identity, duration, seen: None, leads_until: None }
    }

    /// How often to ask.
    pub(super) fn period(&self) -> Duration {
        self.duration * 2 / 15
    }

    pub(super) const fn leads_until(&self) -> Option<Instant> {
        self.leads_until
    }

    /// Sees the Lease, and returns what it should become if it is the candidate's turn: it is free,
    /// its own, or has not been renewed for as long as it lasts.
    pub(super) fn sees(
        &mut self,
        lease: &LeaseSpec,
        now: Instant,
        wall: MicroTime,
    ) -> Option<LeaseSpec> {
        let since = match &self.seen {
            Some((seen, since)) if seen == lease => *since,
            _ => now,
        };
        self.seen = Some((lease.clone(), since));
        let holder = lease.holder_identity.as_deref().unwrap_or_default();
        let is_own = holder == self.identity;
        if !is_own {
            self.leads_until = None;
        }
        let is_over = now.duration_since(since) >= self.lasts(lease);
        (is_own || holder.is_empty() || is_over).then(|| self.held(lease, is_own, wall))
    }

    /// Has written what [`Self::sees`] returned; `begun` is when it began to.
    pub(super) fn wrote(&mut self, begun: Instant) {
        self.leads_until = Some(begun + self.duration * 2 / 3);
    }

    /// Stops leading if the Lease has not been renewed in time.
    pub(super) fn at(&mut self, now: Instant) {
        self.leads_until = self.leads_until.filter(|until| now < *until);
    }

    /// Stops leading, and returns what the Lease should become so that others need not wait.
    pub(super) fn releases(&mut self, lease: &LeaseSpec, wall: MicroTime) -> Option<LeaseSpec> {
        self.leads_until = None;
        let is_own = lease.holder_identity.as_deref() == Some(&self.identity);
        is_own.then(|| LeaseSpec {
            holder_identity: None,
            acquire_time: None,
            renew_time: Some(wall),
            ..lease.clone()
        })
    }

    /// A Lease may have been made by a candidate that is told to hold it for longer.
    fn lasts(&self, lease: &LeaseSpec) -> Duration {
        let told = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(told.unwrap_or_default()).clamp(self.duration, LONGEST)
    }

    fn held(&self, lease: &LeaseSpec, is_own: bool, wall: MicroTime) -> LeaseSpec {
        let mut held = lease.clone();
        if !is_own {
            held.holder_identity = Some(self.identity.clone());
            held.acquire_time = Some(wall.clone());
            held.lease_transitions = Some(lease.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        held.renew_time = Some(wall);
        held.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn wall(seconds: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(seconds).unwrap())
    }

    fn candidate(identity: &str) -> Candidate {
        Candidate::new(identity.to_owned(), 15 * SECOND)
    }

    #[test]
    fn a_free_lease_is_taken_and_an_own_one_renewed() {
        let (mut a, now) = (candidate("a"), Instant::now());
        let held = a.sees(&LeaseSpec::default(), now, wall(7)).unwrap();
        assert_eq!(held.holder_identity.as_deref(), Some("a"));
        assert_eq!((held.lease_duration_seconds, held.lease_transitions), (Some(15), Some(1)));
        assert_eq!(a.leads_until(), None, "it has not been written yet");
        a.wrote(now);
        assert_eq!(a.leads_until(), Some(now + 10 * SECOND));
        let renewed = a.sees(&held, now + SECOND, wall(8)).unwrap();
        assert_eq!((renewed.acquire_time, renewed.renew_time), (Some(wall(7)), Some(wall(8))));
        assert_eq!(renewed.lease_transitions, Some(1));
    }

    /// The wall clocks of the two are years apart.
    #[test]
    fn a_held_lease_is_taken_only_when_it_was_not_renewed_for_all_it_lasts() {
        let (mut a, mut b, now) = (candidate("a"), candidate("b"), Instant::now());
        let held = a.sees(&LeaseSpec::default(), now, wall(7)).unwrap();
        assert_eq!(b.sees(&held, now, wall(1_000_000_000)), None);
        let renewed = a.sees(&held, now + 10 * SECOND, wall(17)).unwrap();
        assert_eq!(b.sees(&renewed, now + 14 * SECOND, wall(1_000_000_014)), None);
        assert_eq!(b.sees(&renewed, now + 28 * SECOND, wall(1_000_000_028)), None);
        let taken = b.sees(&renewed, now + 29 * SECOND, wall(1_000_000_029)).unwrap();
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
        assert_eq!(taken.lease_transitions, Some(2));
        a.wrote(now + 10 * SECOND);
        a.sees(&taken, now + 11 * SECOND, wall(18));
        assert_eq!(a.leads_until(), None, "another one leads");
    }

    #[test]
    fn who_cannot_renew_stops_before_others_may_begin() {
        let (mut a, now) = (candidate("a"), Instant::now());
        a.wrote(now);
        a.at(now + 9 * SECOND);
        assert!(a.leads_until().is_some());
        a.at(now + 10 * SECOND);
        assert_eq!(a.leads_until(), None);
    }

    #[test]
    fn what_a_lease_says_of_its_duration_is_believed_within_reason() {
        let now = Instant::now();
        let waits = |seconds: i32| {
            let lease = LeaseSpec {
                holder_identity: Some("x".to_owned()),
                lease_duration_seconds: Some(seconds),
                ..LeaseSpec::default()
            };
            let mut candidate = candidate("a");
            candidate.sees(&lease, now, wall(0));
            (0..10_000)
                .find(|after| candidate.sees(&lease, now + *after * SECOND, wall(0)).is_some())
        };
        assert_eq!(
            [waits(-1), waits(1), waits(60), waits(i32::MAX)].map(Option::unwrap),
            [15, 15, 60, 3600]
        );
    }

    #[test]
    fn only_the_own_lease_is_released() {
        let (mut a, now) = (candidate("a"), Instant::now());
        let held = a.sees(&LeaseSpec::default(), now, wall(7)).unwrap();
        assert_eq!(candidate("b").releases(&held, wall(8)), None);
        let free = a.releases(&held, wall(8)).unwrap();
        assert!(candidate("b").sees(&free, now, wall(8)).is_some());
    }
}
