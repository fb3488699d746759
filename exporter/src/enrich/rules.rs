//! Which policies decided about a connection, by the ids on it.

use flow::{PolicyRule, Shared};

use super::Enricher;
use crate::conntrack::Labels;
use crate::deny::{Action, Direction, RuleRef};
use crate::meter::Due;
use crate::names::{End, Unnamed};

/// Antrea's type of a K8s `NetworkPolicy`.
const K8S: u8 = 1;

impl Enricher {
    /// The rules that let a connection in and out: ingress, egress.
    pub(super) fn allowing(&self, due: &Due<'_>) -> [Shared<PolicyRule>; 2] {
        ids(due).map(|(direction, id)| {
            let Some(id) = id else { return Shared::NOTHING };
            let found = self.found(id, direction, due.start_ns / 1_000_000);
            let mut rule = found.unwrap_or_else(|| self.nameless.1.clone());
            // On a connection that is there an id means that it was let pass.
            if rule.action != PolicyRule::ALLOW {
                rule.action = PolicyRule::ALLOW;
            }
            rule
        })
    }

    /// The rule that denied packets in `direction` at `time_ms`.
    pub fn denying(
        &self,
        rule: &RuleRef,
        direction: Direction,
        action: Action,
        time_ms: u64,
    ) -> PolicyRule {
        let named = match rule {
            RuleRef::Named(rule) => rule.clone(),
            RuleRef::IsolationDrop => PolicyRule { policy_type: K8S, ..PolicyRule::default() },
            RuleRef::Id(id) => {
                let found = self.found(*id, direction, time_ms).unwrap_or_default();
                PolicyRule::clone(&found)
            }
            RuleRef::Unknown => PolicyRule::default(),
        };
        PolicyRule { action: action.number(), ..named }
    }

    /// The rule that an id on a packet or connection of `time_ms` means. What it means not is
    /// counted.
    fn found(&self, id: u32, direction: Direction, time_ms: u64) -> Option<Shared<PolicyRule>> {
        let policies = self.policies.as_ref();
        let found = policies
            .map_or(Err(Unnamed::NoAgent), |policies| policies.find(id, direction, time_ms));
        found.inspect_err(|why| self.counts.unresolved(end(direction), why.name())).ok()
    }

    /// Whether a rule that has no name now may have one soon.
    pub(super) fn rules_may_come(&self, due: &Due<'_>) -> bool {
        let Some(policies) = &self.policies else { return false };
        let time_ms = due.start_ns / 1_000_000;
        ids(due).into_iter().any(|(direction, id)| {
            let found = id.map(|id| policies.find(id, direction, time_ms));
            matches!(found, Some(Err(why)) if why.may_be_known_soon())
        })
    }
}

fn ids(due: &Due<'_>) -> [(Direction, Option<u32>); 2] {
    // In zone 0 somebody else may write labels. Those of denied packets are Antrea's own.
    let labels = due.labels.filter(|_| due.zone != 0 || due.denied.is_some()).map(Labels);
    [
        (Direction::Ingress, labels.and_then(Labels::ingress_rule)),
        (Direction::Egress, labels.and_then(Labels::egress_rule)),
    ]
}

const fn end(direction: Direction) -> End {
    match direction {
        Direction::Ingress => End::Ingress,
        Direction::Egress => End::Egress,
    }
}
