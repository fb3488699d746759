//! What each id has meant, and when.
//!
//! The Agent gives an id to a rule when it enforces it, and to another one some time after the
//! rule has gone ([`REUSE_MS`]). A Node's rules are looked at more often than that, so whatever id
//! was there at each look has meant one rule all the time. An Agent that starts begins with its
//! ids anew: what they meant before ends there, and what they mean now counts from when its flows
//! are in place ([`READY_MS`]).

use std::collections::{HashMap, VecDeque};

use flow::{Name, PolicyRule, Shared};

use crate::deny::Direction;

/// How long an id rests before the Agent gives it again, at least. Antrea adds to this 3 intervals
/// at which its own Flow Exporter polls, if it has that turned on.
pub(super) const REUSE_MS: u64 = 5_000;
/// How long an Agent that has started may take until no flow of the one before is left.
pub(super) const READY_MS: u64 = 30_000;
/// Rules that are remembered, those gone included.
const LIMIT: usize = 65_536;
/// How long no policy is asked about an id that none of them had: at first, and at most. The Agent
/// may show flows of a policy before the policy; one it shows of none costs it a dump per policy.
const REST_MS: [u64; 2] = [5_000, 600_000];

/// Why nobody can say which rule an id meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unnamed {
    /// The Agent has not been asked yet, or does not answer.
    NoAgent,
    /// It has no rule with that id, now.
    UnknownId,
    /// The connection began before the id was known to mean what it does now.
    BeforeKnown,
    /// The connection began while the Agent was starting.
    NotReady,
    /// The rule is there, and it is not known yet which it is.
    Unresolved,
    /// Two policies claim it.
    Contested,
}

impl Unnamed {
    pub const ALL: [Self; 6] = [
        Self::NoAgent,
        Self::UnknownId,
        Self::BeforeKnown,
        Self::NotReady,
        Self::Unresolved,
        Self::Contested,
    ];

    /// As a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoAgent => "no_agent",
            Self::UnknownId => "unknown_id",
            Self::BeforeKnown => "before_known",
            Self::NotReady => "not_ready",
            Self::Unresolved => "unresolved",
            Self::Contested => "contested",
        }
    }

    /// Whether the next look at the Agent's rules may tell.
    pub const fn may_be_known_soon(self) -> bool {
        matches!(self, Self::UnknownId | Self::Unresolved)
    }
}

/// The time in which an id meant one rule. Milliseconds since 1970.
#[derive(Debug)]
struct Meant {
    direction: Direction,
    from: u64,
    /// `None` while it lasts.
    until: Option<u64>,
    rule: Result<Shared<PolicyRule>, Unnamed>,
    search: Search,
}

/// How the rule of an id is looked for.
#[derive(Debug, Clone, Copy)]
struct Search {
    /// In which look it began, or began anew.
    since: u64,
    /// No policy is asked before then, in milliseconds since 1970.
    from: u64,
    /// How long it rests if no policy has it this time either.
    rest: u64,
}

/// The ids of one Node.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// In the order of time.
    ids: HashMap<u32, VecDeque<Meant>>,
    /// Ids that have lost a meaning, the first first; as often as they have.
    gone: VecDeque<u32>,
    kept: usize,
    /// When the last look was begun; none since the Agent was last lost.
    looked: Option<u64>,
    /// How many looks there have been.
    looks: u64,
    /// An Agent's ids count from then on.
    ready: u64,
    /// Meanings that were forgotten to make room, and ids that found none.
    pub(super) forgotten: u64,
    pub(super) refused: u64,
}

impl Book {
    /// An Agent has started at `began_ms`, or was found that had. Ids of the one before end there.
    pub(super) fn agent_began(&mut self, began_ms: u64) {
        self.end_all(began_ms);
        self.looked = None;
        self.ready = began_ms.saturating_add(READY_MS);
    }

    /// A look at all rules, begun at `asked_ms` and done at `told_ms`, has shown these ids.
    pub(super) fn look(&mut self, shown: &[(u32, Direction)], asked_ms: u64, told_ms: u64) {
        if let Some(last) = self.looked
            && told_ms.saturating_sub(last) >= REUSE_MS
        {
            // Ids may have gone and come back as others.
            self.end_all(last);
            self.looked = None;
        }
        let mut there: HashMap<u32, Direction> = shown.iter().copied().collect();
        let mut gone = Vec::new();
        for (&id, meant) in &mut self.ids {
            let Some(last) = meant.back_mut().filter(|last| last.until.is_none()) else { continue };
            if there.get(&id) == Some(&last.direction) {
                there.remove(&id);
            } else {
                last.until = Some(told_ms);
                gone.push(id);
            }
        }
        self.gone.extend(gone);
        // An id that was not there at the last look means this since then at the earliest. At a
        // first look it has meant it for as long as it would have rested before.
        let from = self.looked.unwrap_or_else(|| asked_ms.saturating_sub(REUSE_MS));
        let from = from.max(self.ready);
        self.looks += 1;
        let search = Search { since: self.looks, from: asked_ms, rest: REST_MS[0] };
        for (id, direction) in there {
            if !self.has_room() {
                self.refused += 1;
                continue;
            }
            self.kept += 1;
            let meant =
                Meant { direction, from, until: None, rule: Err(Unnamed::Unresolved), search };
            self.ids.entry(id).or_default().push_back(meant);
        }
        self.looked = Some(asked_ms);
    }

    /// A policy has the id, and had when the last look was taken.
    pub(super) fn resolve(&mut self, id: u32, direction: Direction, rule: PolicyRule) {
        let meant = self.ids.get_mut(&id).and_then(|meant| meant.back_mut());
        let Some(meant) = meant.filter(|it| it.until.is_none() && it.direction == direction) else {
            return;
        };
        meant.rule = match &meant.rule {
            Ok(known) if policy(known) != policy(&rule) => Err(Unnamed::Contested),
            Err(Unnamed::Contested) => Err(Unnamed::Contested),
            _ => Ok(rule.into()),
        };
    }

    /// How many looks there have been.
    pub(super) const fn looks(&self) -> u64 {
        self.looks
    }

    /// Whether policies should be asked at `now` about ids whose rule is not known.
    pub(super) fn is_searching(&self, now: u64) -> bool {
        let is_open = |it: &Meant| it.is_unresolved() && it.search.from <= now;
        self.ids.values().any(|meant| meant.back().is_some_and(is_open))
    }

    /// Each policy there is at `now` has been asked in the look `first` or later. What is not
    /// known since then rests, each time for twice as long.
    pub(super) fn have_asked_all(&mut self, first: u64, now: u64) {
        let Self { ids, looks, .. } = self;
        for meant in ids.values_mut().filter_map(VecDeque::back_mut) {
            let Search { since, from, rest } = &meant.search;
            if meant.is_unresolved() && *since <= first && *from <= now {
                meant.search = Search {
                    since: *looks + 1,
                    from: now.saturating_add(*rest),
                    rest: rest.saturating_mul(2).min(REST_MS[1]),
                };
            }
        }
    }

    /// Whether a look before its time may tell what [`Self::find`] did not.
    pub(super) fn is_worth_a_look(&self, id: u32, why: Unnamed, began_ms: u64) -> bool {
        let looked = self.looked.unwrap_or(0);
        match why {
            // What decided about it was there by then.
            Unnamed::UnknownId => began_ms >= looked,
            Unnamed::Unresolved => {
                let meant = self.ids.get(&id).and_then(VecDeque::back);
                meant.is_some_and(|meant| meant.is_unresolved() && meant.search.from <= looked)
            }
            _ => false,
        }
    }

    /// The rule that decided about a connection that began at `began_ms` and has this id on it.
    pub(super) fn find(
        &self,
        id: u32,
        direction: Direction,
        began_ms: u64,
    ) -> Result<&Shared<PolicyRule>, Unnamed> {
        if self.ids.is_empty() && self.looked.is_none() {
            return Err(Unnamed::NoAgent);
        }
        let Some(meant) = self.ids.get(&id) else { return Err(self.unknown(began_ms)) };
        let then = |it: &&Meant| it.from <= began_ms && it.until.is_none_or(|end| began_ms <= end);
        match meant.iter().rev().find(then) {
            Some(meant) if meant.direction == direction => meant.rule.as_ref().map_err(|why| *why),
            Some(_) => Err(Unnamed::UnknownId),
            None if meant.iter().all(|meant| began_ms < meant.from) => Err(self.before(began_ms)),
            None => Err(self.unknown(began_ms)),
        }
    }

    fn before(&self, began_ms: u64) -> Unnamed {
        let is_starting = (self.ready.saturating_sub(READY_MS)..self.ready).contains(&began_ms);
        if is_starting { Unnamed::NotReady } else { Unnamed::BeforeKnown }
    }

    fn unknown(&self, began_ms: u64) -> Unnamed {
        if began_ms < self.ready { self.before(began_ms) } else { Unnamed::UnknownId }
    }

    fn end_all(&mut self, at: u64) {
        for (&id, meant) in &mut self.ids {
            if let Some(last) = meant.back_mut().filter(|last| last.until.is_none()) {
                last.until = Some(at);
                self.gone.push_back(id);
            }
        }
    }

    fn has_room(&mut self) -> bool {
        while self.kept >= LIMIT {
            let Some(id) = self.gone.pop_front() else { return false };
            let Some(meant) = self.ids.get_mut(&id) else { continue };
            if meant.pop_front().is_some() {
                self.kept -= 1;
                self.forgotten += 1;
            }
            if meant.is_empty() {
                self.ids.remove(&id);
            }
        }
        true
    }
}

impl Meant {
    fn is_unresolved(&self) -> bool {
        self.until.is_none() && matches!(self.rule, Err(Unnamed::Unresolved))
    }
}

/// Which policy a rule is of. Other attributes of it may change.
fn policy(rule: &PolicyRule) -> (u8, &Name, &Name) {
    (rule.policy_type, &rule.namespace, &rule.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000;
    const T: u64 = 1_700_000_000 * S;

    fn rule(name: &str) -> PolicyRule {
        PolicyRule { name: name.into(), ..PolicyRule::default() }
    }

    /// Looks once, and knows of each id shown whose it is.
    fn look(book: &mut Book, at: u64, shown: &[(u32, &str)]) {
        let ids: Vec<_> = shown.iter().map(|&(id, _)| (id, Direction::Ingress)).collect();
        book.look(&ids, at, at + 100);
        for &(id, name) in shown {
            book.resolve(id, Direction::Ingress, rule(name));
        }
    }

    fn found(book: &Book, id: u32, at: u64) -> Result<String, Unnamed> {
        book.find(id, Direction::Ingress, at).map(|rule| rule.name.to_string())
    }

    /// An Agent that has been up for long.
    fn book() -> Book {
        let mut book = Book::default();
        assert_eq!(found(&book, 1, T), Err(Unnamed::NoAgent));
        book.agent_began(T - 3_600 * S);
        book
    }

    #[test]
    fn an_id_means_what_it_meant_when_the_connection_began() {
        let mut book = book();
        look(&mut book, T, &[(1, "old")]);
        for second in 3..30 {
            look(&mut book, T + second * S, &[]);
        }
        look(&mut book, T + 30 * S, &[(1, "new")]);
        assert_eq!(found(&book, 1, T - 4 * S), Ok("old".into()));
        assert_eq!(found(&book, 1, T + 3 * S), Ok("old".into()));
        assert_eq!(found(&book, 1, T + 20 * S), Err(Unnamed::UnknownId));
        assert_eq!(found(&book, 1, T + 29 * S), Ok("new".into()));
        // Long before it was first seen, it may have been another's.
        assert_eq!(found(&book, 1, T - 9 * S), Err(Unnamed::BeforeKnown));
        assert_eq!(found(&book, 2, T), Err(Unnamed::UnknownId));
    }

    #[test]
    fn an_agent_that_starts_again_gives_ids_anew() {
        let mut book = book();
        look(&mut book, T, &[(1, "old")]);
        book.agent_began(T + 4 * S);
        look(&mut book, T + 6 * S, &[(1, "new")]);
        assert_eq!(found(&book, 1, T + 2 * S), Ok("old".into()));
        assert_eq!(found(&book, 1, T + 10 * S), Err(Unnamed::NotReady));
        for second in 7..60 {
            look(&mut book, T + second * S, &[(1, "new")]);
        }
        assert_eq!(found(&book, 1, T + 10 * S), Err(Unnamed::NotReady));
        assert_eq!(found(&book, 1, T + 35 * S), Ok("new".into()));
        assert_eq!(found(&book, 1, T + 2 * S), Ok("old".into()), "for good");
    }

    #[test]
    fn what_was_not_looked_at_for_too_long_is_not_taken_for_the_same() {
        let mut book = book();
        look(&mut book, T, &[(1, "old")]);
        look(&mut book, T + 60 * S, &[(1, "new")]);
        assert_eq!(found(&book, 1, T), Ok("old".into()));
        assert_eq!(found(&book, 1, T + 30 * S), Err(Unnamed::UnknownId));
        assert_eq!(found(&book, 1, T + 56 * S), Ok("new".into()));
    }

    #[test]
    fn an_id_that_no_policy_has_rests_for_longer_and_longer() {
        let mut book = book();
        let show = |book: &mut Book, at: u64, ids: &[u32]| {
            let ids: Vec<_> = ids.iter().map(|&id| (id, Direction::Ingress)).collect();
            book.look(&ids, at, at);
        };
        let (mut searched, mut resting) = (Vec::new(), false);
        for second in 0..2_400 {
            let now = T + second * S;
            show(&mut book, now, &[7]);
            assert_eq!(found(&book, 7, now), Err(Unnamed::Unresolved));
            if book.is_searching(now) {
                assert!(book.is_worth_a_look(7, Unnamed::Unresolved, now));
                searched.push(second);
                book.have_asked_all(book.looks(), now);
            } else {
                resting = true;
                assert!(!book.is_worth_a_look(7, Unnamed::Unresolved, now));
            }
        }
        assert_eq!(searched, [0, 5, 15, 35, 75, 155, 315, 635, 1235, 1835]);
        assert!(resting);

        // Another one is searched for at once, and whatever that tells of the first is taken.
        let now = T + 2_400 * S;
        show(&mut book, now, &[7, 8]);
        assert!(book.is_searching(now));
        book.resolve(8, Direction::Ingress, rule("new"));
        assert!(!book.is_searching(now));
        book.resolve(7, Direction::Ingress, rule("late"));
        assert_eq!(found(&book, 7, now), Ok("late".into()));
    }

    #[test]
    fn an_id_does_not_rest_before_every_policy_was_asked() {
        let mut book = book();
        let ids = [(7, Direction::Ingress)];
        book.look(&ids, T, T);
        book.look(&ids, T + S, T + S);
        // One was last asked before the id came.
        book.have_asked_all(0, T + S);
        assert!(book.is_searching(T + S));
        book.have_asked_all(1, T + S);
        assert!(!book.is_searching(T + S));
    }

    #[test]
    fn what_a_look_has_not_shown_is_not_worth_another() {
        let mut book = book();
        look(&mut book, T, &[(1, "one")]);
        assert!(!book.is_worth_a_look(2, Unnamed::UnknownId, T - S), "its rule has gone");
        assert!(book.is_worth_a_look(2, Unnamed::UnknownId, T + S), "its rule may be new");
        assert!(!book.is_worth_a_look(1, Unnamed::Contested, T + S));
    }

    #[test]
    fn two_policies_with_one_id_are_none() {
        let mut book = book();
        look(&mut book, T, &[(1, "one"), (2, "two")]);
        book.resolve(1, Direction::Ingress, rule("another"));
        book.resolve(1, Direction::Ingress, rule("one"));
        book.resolve(2, Direction::Egress, rule("wrong side"));
        assert_eq!(found(&book, 1, T), Err(Unnamed::Contested));
        assert_eq!(found(&book, 2, T), Ok("two".into()));
        assert!(book.find(2, Direction::Egress, T).is_err());
    }

    #[test]
    fn policies_of_one_name_in_two_namespaces_are_two() {
        let mut book = book();
        look(&mut book, T, &[(1, "default-deny")]);
        let namespaced =
            |namespace: &str| PolicyRule { namespace: namespace.into(), ..rule("default-deny") };
        book.look(&[(1, Direction::Ingress), (2, Direction::Ingress)], T + S, T + S);
        book.resolve(2, Direction::Ingress, namespaced("shop"));
        book.resolve(2, Direction::Ingress, namespaced("bank"));
        assert_eq!(found(&book, 2, T + S), Err(Unnamed::Contested));
        // What is told of one and the same may change.
        let dropping = PolicyRule { action: PolicyRule::DROP, ..rule("default-deny") };
        book.resolve(1, Direction::Ingress, dropping.clone());
        assert_eq!(book.find(1, Direction::Ingress, T), Ok(&dropping.into()));
    }

    #[test]
    fn the_first_to_have_gone_is_forgotten_first_and_the_rest_refused() {
        let mut book = book();
        let many = |from: usize, count: usize| -> Vec<_> {
            (from..from + count).map(|id| (u32::try_from(id).unwrap(), Direction::Egress)).collect()
        };
        book.look(&many(1, 10), T, T);
        book.look(&many(11, LIMIT - 10), T + 1, T + 1);
        assert_eq!((book.forgotten, book.refused, book.kept), (0, 0, LIMIT));
        book.look(&many(11, LIMIT + 5), T + 2, T + 2);
        assert_eq!((book.forgotten, book.refused, book.kept), (10, 5, LIMIT));
    }
}
