//! What answers are worth, by the script and by what the tracker was told of it.

use std::net::IpAddr;

use k8s::{Cluster, Lookup, Pod, Reason};

use crate::MARGINS;
use crate::questions::Question;
use crate::script::{BEGIN, Script, Tenancy};
use crate::watch::Watch;

/// The tracker cannot tell the times within this of one another.
const BLUR: u64 = MARGINS.skew_ms + 200;

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Right,
    /// Nobody had it, and nobody was named.
    RightlyNobody,
    /// Nobody had it, and the one who had it last, or next, was named.
    NobodyNeighbour,
    /// It was too recent to name anybody; the guess was right.
    GuessedRight,
    /// It was too recent to name anybody, nobody had it, and the guess was who had it last.
    GuessedNeighbour,
    /// It was too recent to name anybody, and a change that nobody could know yet made the guess
    /// wrong.
    GuessedOvertaken,
    /// Somebody had it, and there is a reason not to know.
    Unresolved(Reason),
    Unexplained(Reason),
    Wrong,
}

pub(crate) struct Judge<'a> {
    pub script: &'a Script,
    pub watch: &'a Watch<'a>,
    pub now: u64,
}

impl Verdict {
    /// Whether nobody was named for good.
    pub(crate) fn is_unresolved(self) -> bool {
        matches!(self, Self::Unresolved(_))
    }

    /// Whether nobody was named yet, but guessed.
    pub(crate) fn is_guessed(self) -> bool {
        matches!(self, Self::GuessedRight | Self::GuessedNeighbour | Self::GuessedOvertaken)
    }
}

impl Judge<'_> {
    pub(crate) fn judge(&self, question: &Question, cluster: &Cluster) -> Verdict {
        let tenancies = &self.script.tenancies[&question.slot];
        let truth = tenancies.iter().find(|t| (t.from..t.to).contains(&question.at));
        let found = cluster.pod(question.address, question.shown);
        if let Some((alone, times)) = cluster.pod_alone(question.address)
            && times.contains(&question.shown)
        {
            assert_eq!(found, Lookup::Found(alone));
        }
        match (found, truth) {
            (Lookup::Found(pod), Some(truth)) if index(pod) == truth.pod => Verdict::Right,
            (Lookup::Found(pod), None) if is_neighbour(pod, tenancies, question.at) => {
                Verdict::NobodyNeighbour
            }
            (Lookup::Likely(_), _) if !self.is_recent(question.at) => {
                Verdict::Unexplained(Reason::TooRecent)
            }
            (Lookup::Likely(pod), Some(truth)) if index(pod) == truth.pod => Verdict::GuessedRight,
            (Lookup::Likely(pod), None) if is_neighbour(pod, tenancies, question.at) => {
                Verdict::GuessedNeighbour
            }
            (Lookup::Likely(pod), _) if self.is_overtaken(pod, question) => {
                Verdict::GuessedOvertaken
            }
            (Lookup::Found(_) | Lookup::Likely(_), _) => Verdict::Wrong,
            (Lookup::Missing(_), None) => Verdict::RightlyNobody,
            (Lookup::Missing(reason), Some(truth)) => {
                if self.is_explained(reason, question, truth) {
                    Verdict::Unresolved(reason)
                } else {
                    Verdict::Unexplained(reason)
                }
            }
        }
    }

    /// Whether the tracker could know by now that the Pod has the address.
    fn is_told(&self, pod: usize, address: IpAddr) -> bool {
        self.watch.told.contains_key(&(pod, address))
    }

    /// Whether the one that is named is followed by one that the tracker could not know.
    fn is_overtaken(&self, named: &Pod, question: &Question) -> bool {
        let tenancies = &self.script.tenancies[&question.slot];
        let began = |t: &&Tenancy| t.from <= question.at;
        let after = tenancies.iter().filter(began).rev().take_while(|t| t.pod != index(named));
        after.into_iter().any(|t| !self.is_told(t.pod, question.address))
    }

    /// Shows what the judge knows about a question.
    pub(crate) fn explain(&self, question: &Question, cluster: &Cluster) {
        let answer = cluster.pod(question.address, question.shown);
        let since = |at: u64| at.checked_signed_diff(BEGIN).unwrap_or(i64::MAX);
        println!(
            "at {} (shown as {}), asked at {}: {answer:?}",
            since(question.at),
            since(question.shown),
            since(self.now)
        );
        for tenancy in &self.script.tenancies[&question.slot] {
            let told = self.watch.told.get(&(tenancy.pod, question.address));
            println!(
                "  Pod {} from {} to {}, created {}, told {:?}",
                tenancy.pod,
                since(tenancy.from),
                since(tenancy.to),
                since(self.script.created[tenancy.pod]),
                told.map(|told| (since(told.begun), told.ended.map(since))),
            );
            for event in self.script.events.iter().filter(|event| event.pod == tenancy.pod) {
                let pod = event.object.as_ref();
                println!(
                    "    {} {:?}",
                    since(event.at),
                    pod.map(|pod| (
                        pod.phase,
                        &pod.addresses,
                        since(pod.started_ms),
                        since(pod.network_ready_ms),
                        since(pod.ended_ms)
                    ))
                );
            }
        }
    }

    fn is_explained(&self, reason: Reason, question: &Question, truth: &Tenancy) -> bool {
        let at = question.at;
        if !self.is_told(truth.pod, question.address) {
            return true;
        }
        let blur = BLUR;
        match reason {
            Reason::TooRecent => self.is_recent(at),
            Reason::Ambiguous => {
                let tenancies = &self.script.tenancies[&question.slot];
                let mut others = tenancies.iter().filter(|other| other.pod != truth.pod);
                others.any(|other| self.could_have(other, question.address, at, blur))
                    && self.could_have(truth, question.address, at, blur)
            }
            Reason::Unwatched => {
                let mut gaps = self.watch.gaps.iter();
                gaps.any(|&(from, to)| at + blur >= from && at <= to + MARGINS.linger_ms + blur)
            }
            // It cannot be told from one that was forgotten.
            Reason::Forgotten => at < self.now - MARGINS.keep_ms + MARGINS.linger_ms + blur,
            Reason::Unknown | Reason::NotListed | Reason::Node | Reason::Vacant => false,
        }
    }

    /// Whether news of the time could still be on its way.
    fn is_recent(&self, at: u64) -> bool {
        at + BLUR > self.watch.healthy.min(self.now) - MARGINS.settle_ms
    }

    /// Whether, by what the tracker was told, the other could have had the address.
    fn could_have(&self, other: &Tenancy, address: IpAddr, at: u64, blur: u64) -> bool {
        let Some(told) = self.watch.told.get(&(other.pod, address)) else { return false };
        let end = told.ended.map_or(u64::MAX, |ended| ended + MARGINS.linger_ms + blur);
        at + blur >= self.script.created[other.pod] && at < end
    }
}

fn index(pod: &Pod) -> usize {
    pod.uid.strip_prefix("uid-").and_then(|number| number.parse().ok()).expect("a uid of ours")
}

/// Whether the Pod had it last before, or first after.
fn is_neighbour(pod: &Pod, tenancies: &[Tenancy], at: u64) -> bool {
    let before = tenancies.iter().filter(|t| t.to <= at).max_by_key(|t| t.to);
    let after = tenancies.iter().filter(|t| t.from > at).min_by_key(|t| t.from);
    [before, after].into_iter().flatten().any(|t| t.pod == index(pod))
}
