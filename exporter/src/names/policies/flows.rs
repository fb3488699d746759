//! Ids of rules in the text of Open vSwitch's flows, as the Agent gives them.
//!
//! A rule's id is in the flows that decide for it: as `conj_id` among what they match, or, for a
//! rule that needs no conjunction, as the label they write on the connection. Flows with an action
//! `conjunction(…)` are shared by rules of several policies and tell nothing for certain.

use crate::deny::Direction;

/// Longer flows than this are nobody's.
const LIMIT: usize = 16 << 10;
/// What `OpenFlow` gives a flow that says nothing of it.
const DEFAULT_PRIORITY: u32 = 32_768;

/// A flow that decides for one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleFlow {
    pub(super) id: u32,
    pub(super) direction: Direction,
    pub(super) priority: u32,
}

/// Reads one flow; `None` if it decides for no rule, or cannot be read.
pub(super) fn read(flow: &str) -> Option<RuleFlow> {
    if flow.len() > LIMIT {
        return None;
    }
    let (matched, actions) = flow.split_once("actions=")?;
    let value = |name: &str| {
        let items = matched.split([',', ' ']).filter_map(|item| item.split_once('='));
        items.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let direction = value("table").and_then(direction)?;
    let priority = match value("priority") {
        Some(text) => text.parse().ok()?,
        None => DEFAULT_PRIORITY,
    };
    let id = match value("conj_id") {
        Some(text) => number(text)?,
        None if actions.contains("conjunction(") => return None,
        None => written(actions, direction)?,
    };
    let id = u32::try_from(id).ok().filter(|&id| id != 0)?;
    Some(RuleFlow { id, direction, priority })
}

/// Which side's rules a table holds: by its name, or by its number before Antrea 1.6.
fn direction(table: &str) -> Option<Direction> {
    let table = table.trim_matches('"');
    let is = |names: &[&str]| names.contains(&table);
    if is(&["AntreaPolicyEgressRule", "EgressRule", "45", "50"]) {
        Some(Direction::Egress)
    } else if is(&["AntreaPolicyIngressRule", "IngressRule", "85", "90"]) {
        Some(Direction::Ingress)
    } else {
        None
    }
}

/// The id that actions write into the half of the label that is the direction's.
fn written(actions: &str, direction: Direction) -> Option<u64> {
    let (shift, field) = match direction {
        Direction::Ingress => (0, "NXM_NX_CT_LABEL[0..31]"),
        Direction::Egress => (32, "NXM_NX_CT_LABEL[32..63]"),
    };
    actions.split([',', '(', ')']).find_map(|action| {
        let (value, to) = action.split_once("->")?;
        if let Some(value) = value.strip_prefix("load:") {
            return number(value).filter(|_| to == field);
        }
        let value = value.strip_prefix("set_field:").filter(|_| to == "ct_label")?;
        let value = value.split('/').next().unwrap_or(value);
        let half = (wide(value)? >> shift) & u128::from(u32::MAX);
        u64::try_from(half).ok().filter(|&half| half != 0)
    })
}

fn number(text: &str) -> Option<u64> {
    u64::try_from(wide(text)?).ok()
}

fn wide(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_as(flow: &str) -> Option<(u32, Direction, u32)> {
        read(flow).map(|flow| (flow.id, flow.direction, flow.priority))
    }

    /// The forms are those of Antrea's documentation of its pipeline, of 1.15 and of 1.2.
    #[test]
    fn ids_are_read_in_the_forms_of_several_versions() {
        use Direction::{Egress, Ingress};
        for (flow, expected) in [
            (
                "table=IngressRule, n_packets=0, n_bytes=0, priority=190,conj_id=3,ip actions=set_field:0x3->reg5,ct(commit,table=IngressMetric,zone=65520,exec(set_field:0x3/0xffffffff->ct_label))",
                (3, Ingress, 190),
            ),
            (
                "table=\"AntreaPolicyEgressRule\", priority=14499,conj_id=5,ip actions=set_field:0x5->reg3,set_field:0x400/0x400->reg0,goto_table:EgressMetric",
                (5, Egress, 14_499),
            ),
            (
                "table=90, n_packets=0, n_bytes=0, priority=190,conj_id=6,ip actions=load:0x6->NXM_NX_REG6[],ct(commit,table=101,zone=65520,exec(load:0x6->NXM_NX_CT_LABEL[0..31]))",
                (6, Ingress, 190),
            ),
            (
                "table=EgressRule, priority=190,ip,reg1=0x7 actions=ct(commit,table=EgressMetric,zone=65520,exec(set_field:0x200000000/0xffffffff00000000->ct_label))",
                (2, Egress, 190),
            ),
            (
                "table=50, priority=190,ip actions=ct(commit,exec(load:0x9->NXM_NX_CT_LABEL[32..63]))",
                (9, Egress, 190),
            ),
        ] {
            assert_eq!(read_as(flow), Some(expected), "{flow}");
        }
    }

    #[test]
    fn what_is_shared_by_rules_or_is_none_tells_nothing() {
        for flow in [
            "table=IngressRule, priority=200,ip,nw_src=10.10.0.2 actions=conjunction(3,1/3),conjunction(8,1/2)",
            "table=IngressDefaultRule, priority=200,ip,reg1=0x3 actions=drop",
            "table=IngressMetric, priority=200,ct_label=0x3/0xffffffff,ip actions=goto_table:Output",
            "table=IngressRule, priority=190,conj_id=0,ip actions=drop",
            "table=IngressRule, priority=190,conj_id=4294967296,ip actions=drop",
            "table=IngressRule, priority=x,conj_id=3,ip actions=drop",
            "table=EgressRule, priority=190,ip actions=ct(commit,exec(set_field:0x3/0xffffffff->ct_label))",
            "",
            "actions=",
        ] {
            assert_eq!(read_as(flow), None, "{flow}");
        }
        let long = format!("table=IngressRule,conj_id=3,{} actions=drop", "x".repeat(LIMIT));
        assert_eq!(read_as(&long), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(flow in "(table=(IngressRule|50)|,|conj_id=|actions=|0x|[0-9]{1,40}|->|set_field:|ct_label|load:|.){0,40}") {
            read(&flow);
        }
    }
}
