//! What was decided, in the record of a denied connection.

use flow::{FlowEndReason, FlowRecord, PolicyRule, Shared};

use super::Rules;
use crate::verdict::{Direction, RuleId, Verdict};

/// Antrea's number for a K8s `NetworkPolicy`.
pub(super) const K8S_POLICY: u8 = 1;

/// Puts a verdict into a record that says everything else. What stands there of the rule that
/// denied it, found by the label, is kept but for its action.
pub fn judge(record: &mut FlowRecord, verdict: &Verdict, rules: &Rules) {
    // Packets cease to come: the denier knows no other end.
    if record.end_reason == FlowEndReason::EndOfFlow {
        record.end_reason = FlowEndReason::IdleTimeout;
    }
    let side = match verdict.direction {
        Some(Direction::Ingress) => &mut record.ingress,
        Some(Direction::Egress) => &mut record.egress,
        None => return judge_undirected(record, verdict, rules),
    };
    fill(side, verdict, rules);
}

/// A source that cannot say whose rule it was still says what became of the packet. Of a packet
/// to a Pod of this Node that is told as its ingress, of any other as egress.
fn judge_undirected(record: &mut FlowRecord, verdict: &Verdict, rules: &Rules) {
    let is_ingress = !record.destination.pod.is_empty();
    let side = if is_ingress { &mut record.ingress } else { &mut record.egress };
    fill(side, verdict, rules);
}

fn fill(side: &mut Shared<PolicyRule>, verdict: &Verdict, rules: &Rules) {
    match verdict.rule {
        RuleId::Label(_) => {}
        RuleId::Isolation => {
            *side = PolicyRule { policy_type: K8S_POLICY, ..PolicyRule::default() }.into();
        }
        RuleId::Named(number) => {
            *side = rules.get(number).cloned().unwrap_or_default().into();
        }
        RuleId::Unknown => *side = Shared::NOTHING,
    }
    side.action = verdict.action.number();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Action;

    fn record() -> FlowRecord {
        let rule =
            |name: &str| PolicyRule { name: name.into(), action: 1, ..PolicyRule::default() };
        let (ingress, egress) = (rule("in").into(), rule("out").into());
        FlowRecord { ingress, egress, ..FlowRecord::default() }
    }

    fn judged(verdict: Verdict) -> FlowRecord {
        let mut record = record();
        judge(&mut record, &verdict, &Rules::default());
        record
    }

    #[test]
    fn the_other_direction_keeps_its_rule() {
        let rule = RuleId::Label(5);
        let (direction, action) = (Some(Direction::Ingress), Action::Reject);
        let got = judged(Verdict { direction, action, rule });
        assert_eq!(got.egress, record().egress);
        assert_eq!(
            got.ingress,
            PolicyRule { action: 3, ..PolicyRule::clone(&record().ingress) }.into()
        );
    }

    #[test]
    fn isolation_has_no_name() {
        let (direction, action) = (Some(Direction::Egress), Action::Drop);
        let got = judged(Verdict { direction, action, rule: RuleId::Isolation });
        let expected = PolicyRule { policy_type: 1, action: 2, ..PolicyRule::default() };
        assert_eq!(*got.egress, expected);
        assert_eq!(got.ingress, record().ingress);
    }

    #[test]
    fn silence_is_no_end_of_a_connection() {
        let verdict = Verdict { direction: None, action: Action::Drop, rule: RuleId::Unknown };
        for (told, expected) in [
            (FlowEndReason::EndOfFlow, FlowEndReason::IdleTimeout),
            (FlowEndReason::ActiveTimeout, FlowEndReason::ActiveTimeout),
            (FlowEndReason::ForcedEnd, FlowEndReason::ForcedEnd),
        ] {
            let mut record = FlowRecord { end_reason: told, ..record() };
            judge(&mut record, &verdict, &Rules::default());
            assert_eq!(record.end_reason, expected);
        }
    }
}
