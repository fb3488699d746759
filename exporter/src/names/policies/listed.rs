//! Policies as the Agent lists them, and which of their rules has which id.

use std::hash::BuildHasher as _;

use flow::{Name, PolicyRule};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::few::Few;
use super::flows::RuleFlow;
use crate::deny::Direction;

/// Policies of one Node that are followed.
const POLICIES: usize = 20_000;
/// Rules of one policy that are told apart.
const RULES: usize = 1_024;
/// The longest name that Kubernetes gives.
const NAME: usize = 253;

/// A policy that the Agent enforces on this Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    /// The Agent's own name of it, which is its uid.
    pub(super) uid: Name,
    /// Changes with anything that the Agent says of it.
    pub(super) version: u64,
    kind: PolicyKind,
    namespace: Name,
    name: Name,
    rules: Vec<Rule>,
    /// It has more rules than are told apart.
    cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    direction: Direction,
    name: Name,
    action: u8,
    priority: i64,
}

/// `sourceRef.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PolicyKind {
    K8s,
    Antrea,
    AntreaCluster,
    Admin,
    BaselineAdmin,
    K8sCluster,
}

impl PolicyKind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "K8sNetworkPolicy" => Self::K8s,
            "AntreaNetworkPolicy" => Self::Antrea,
            "AntreaClusterNetworkPolicy" => Self::AntreaCluster,
            "AdminNetworkPolicy" => Self::Admin,
            "BaselineAdminNetworkPolicy" => Self::BaselineAdmin,
            "K8sClusterNetworkPolicy" | "ClusterNetworkPolicy" => Self::K8sCluster,
            _ => return None,
        })
    }

    /// The word in a question about flows, and the one before Antrea 1.13.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::K8s => &["K8SNP"],
            Self::Antrea => &["ANNP", "ANP"],
            Self::AntreaCluster => &["ACNP"],
            Self::Admin => &["ANP"],
            Self::BaselineAdmin => &["BANP"],
            Self::K8sCluster => &["K8SCNP"],
        }
    }

    /// Antrea's `ingressNetworkPolicyType`.
    fn number(self) -> u8 {
        match self {
            Self::Admin | Self::BaselineAdmin => 0,
            Self::K8s => 1,
            Self::Antrea => 2,
            Self::AntreaCluster => 3,
            Self::K8sCluster => 4,
        }
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Option<Few<&'a RawValue, POLICIES>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    metadata: Metadata,
    source_ref: Option<SourceRef>,
    rules: Option<Few<RawRule, RULES>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize)]
struct SourceRef {
    #[serde(rename = "type")]
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize)]
struct RawRule {
    direction: Option<String>,
    name: Option<String>,
    action: Option<String>,
    priority: Option<i64>,
}

/// What a list holds, and how many of its entries are of no use.
pub(super) fn read(json: &[u8]) -> Result<(Vec<Policy>, u64), serde_json::Error> {
    let list: List = serde_json::from_slice(json)?;
    let items = list.items.unwrap_or_default();
    let hasher = foldhash::fast::FixedState::default();
    let policy = |raw: &&RawValue| policy(raw.get(), hasher.hash_one(raw.get()));
    let policies: Vec<_> = items.kept.iter().filter_map(policy).collect();
    let useless = items.kept.len() - policies.len() + items.more;
    Ok((policies, useless as u64))
}

fn policy(json: &str, version: u64) -> Option<Policy> {
    let item: Item = serde_json::from_str(json).ok()?;
    let source = item.source_ref?;
    let uid = [source.uid, item.metadata.uid, item.metadata.name].into_iter().flatten();
    let uid = uid.into_iter().find(|uid| !uid.is_empty())?;
    let name = source.name.filter(|name| !name.is_empty() && name.len() <= NAME)?;
    let namespace = source.namespace.unwrap_or_default();
    if uid.len() > NAME || namespace.len() > NAME {
        return None;
    }
    let rules = item.rules.unwrap_or_default();
    Some(Policy {
        uid: Name::from(uid.as_str()),
        version,
        kind: PolicyKind::of(source.kind.as_deref()?)?,
        namespace: Name::from(namespace.as_str()),
        name: Name::from(name.as_str()),
        cut: rules.more > 0,
        rules: rules.kept.into_iter().filter_map(rule).collect(),
    })
}

fn rule(raw: RawRule) -> Option<Rule> {
    let direction = match raw.direction?.as_str() {
        "In" => Direction::Ingress,
        "Out" => Direction::Egress,
        _ => return None,
    };
    let action = match raw.action.as_deref().unwrap_or("Allow") {
        "Allow" => PolicyRule::ALLOW,
        "Drop" => PolicyRule::DROP,
        "Reject" => PolicyRule::REJECT,
        // Passed on to other policies, which decide.
        _ => 0,
    };
    let name = raw.name.filter(|name| name.len() <= NAME).unwrap_or_default();
    Some(Rule {
        direction,
        name: Name::from(name.as_str()),
        action,
        priority: raw.priority.unwrap_or(-1),
    })
}

impl Policy {
    /// The questions to ask for its flows, one after the other until one is understood.
    pub(super) fn questions(&self) -> impl Iterator<Item = String> {
        self.kind.words().iter().map(|word| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("networkpolicy", &self.name);
            if !self.namespace.is_empty() {
                query.append_pair("namespace", &self.namespace);
            }
            query.append_pair("type", word);
            format!("/ovsflows?{}", query.finish())
        })
    }

    /// What `flows`, all of this policy's, say of ids: each with the rule, whose name is empty if
    /// there is a choice.
    ///
    /// Rules of a K8s policy have no names. Those of one direction of another policy are enforced
    /// in the order of their priorities, so the first has the highest flows; they are told apart
    /// if each of them has flows and no two the same priority.
    pub(super) fn meanings(&self, flows: &[RuleFlow]) -> Vec<(u32, Direction, PolicyRule)> {
        let mut meanings = Vec::new();
        for direction in [Direction::Ingress, Direction::Egress] {
            let mut ids: Vec<_> = flows.iter().filter(|flow| flow.direction == direction).collect();
            // The highest flow of each id.
            ids.sort_by_key(|flow| (flow.id, std::cmp::Reverse(flow.priority)));
            ids.dedup_by_key(|flow| flow.id);
            ids.sort_by_key(|flow| std::cmp::Reverse(flow.priority));
            let rules = self.rules_of(direction);
            let distinct = ids.windows(2).all(|pair| pair[0].priority != pair[1].priority)
                && rules.windows(2).all(|pair| pair[0].priority != pair[1].priority);
            let in_order = distinct && ids.len() == rules.len() && !self.cut;
            for (place, flow) in ids.iter().enumerate() {
                let rule = match rules.as_slice() {
                    [only] if !self.cut => Some(*only),
                    rules if in_order => rules.get(place).copied(),
                    _ => None,
                };
                meanings.push((flow.id, direction, self.told(&rules, rule)));
            }
        }
        meanings
    }

    fn rules_of(&self, direction: Direction) -> Vec<&Rule> {
        let mut rules: Vec<_> =
            self.rules.iter().filter(|rule| rule.direction == direction).collect();
        rules.sort_by_key(|rule| rule.priority);
        rules
    }

    fn told(&self, rules: &[&Rule], rule: Option<&Rule>) -> PolicyRule {
        let same = rules.first().filter(|first| rules.iter().all(|it| it.action == first.action));
        PolicyRule {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            policy_type: self.kind.number(),
            rule: match (self.kind, rule) {
                (PolicyKind::K8s, _) | (_, None) => Name::default(),
                (_, Some(rule)) => rule.name.clone(),
            },
            action: rule.or(same.copied()).map_or(0, |rule| rule.action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"kind":"NetworkPolicyList","apiVersion":"controlplane.antrea.io/v1beta2","items":[
      {"metadata":{"name":"u1","uid":"u1"},"sourceRef":{"type":"K8sNetworkPolicy","namespace":"shop","name":"web","uid":"u1"},
       "rules":[{"direction":"In","priority":-1,"name":"","services":null},{"direction":"In","priority":-1},{"direction":"Out","priority":-1}]},
      {"metadata":{"name":"u2"},"sourceRef":{"type":"AntreaClusterNetworkPolicy","name":"walls & gates","uid":"u2"},
       "rules":[{"direction":"In","name":"second","action":"Drop","priority":1},{"direction":"In","name":"first","action":"Allow","priority":0}]},
      {"metadata":{"name":"u3"},"sourceRef":{"type":"SomethingNew","name":"x","uid":"u3"}},
      {"metadata":{},"sourceRef":null},
      7]}"#;

    fn flow(id: u32, direction: Direction, priority: u32) -> RuleFlow {
        RuleFlow { id, direction, priority }
    }

    #[test]
    fn rules_are_told_apart_by_the_order_of_their_flows_or_not_at_all() {
        use Direction::{Egress, Ingress};
        let (policies, useless) = read(LIST.as_bytes()).unwrap();
        assert_eq!((policies.len(), useless), (2, 3));
        let [web, walls] = &policies[..] else { panic!() };
        let told = |policy: &Policy, flows: &[RuleFlow]| {
            let meanings = policy.meanings(flows).into_iter();
            let mut told: Vec<_> = meanings
                .map(|(id, _, rule)| (id, rule.policy_type, rule.rule.to_string(), rule.action))
                .collect();
            told.sort();
            told
        };
        let flows = [flow(7, Ingress, 190), flow(8, Ingress, 190), flow(9, Egress, 190)];
        let unnamed = |id| (id, 1, String::new(), PolicyRule::ALLOW);
        assert_eq!(told(web, &flows), [unnamed(7), unnamed(8), unnamed(9)]);
        let flows = [flow(4, Ingress, 14_499), flow(2, Ingress, 14_500), flow(2, Ingress, 14_400)];
        let (first, second) = ((2, 3, "first".into(), 1), (4, 3, "second".into(), 2));
        assert_eq!(told(walls, &flows), [first, second]);
        // One of them is not enforced here, or not yet: which?
        assert_eq!(told(walls, &flows[..1]), [(4, 3, String::new(), 0)]);
        let equal = [flow(4, Ingress, 14_500), flow(2, Ingress, 14_500)];
        assert_eq!(told(walls, &equal), [(2, 3, String::new(), 0), (4, 3, String::new(), 0)]);
    }

    #[test]
    fn questions_are_those_of_the_agents_api() {
        let (policies, _) = read(LIST.as_bytes()).unwrap();
        let asked: Vec<_> = policies.iter().flat_map(Policy::questions).collect();
        assert_eq!(
            asked,
            [
                "/ovsflows?networkpolicy=web&namespace=shop&type=K8SNP",
                "/ovsflows?networkpolicy=walls+%26+gates&type=ACNP",
            ]
        );
    }

    #[test]
    fn only_so_much_is_kept_of_what_is_listed() {
        let rules = vec!["{\"direction\":\"In\"}"; RULES + 1].join(",");
        let policy = format!(
            r#"{{"metadata":{{"uid":"u"}},"sourceRef":{{"type":"K8sNetworkPolicy","name":"n"}},"rules":[{rules}]}}"#
        );
        let (policies, useless) = read(format!(r#"{{"items":[{policy}]}}"#).as_bytes()).unwrap();
        assert_eq!((policies[0].rules.len(), policies[0].cut, useless), (RULES, true, 0));
        let many = vec!["7"; POLICIES + 3].join(",");
        let many = format!(r#"{{"items":[{many}]}}"#);
        let (policies, useless) = read(many.as_bytes()).unwrap();
        assert_eq!((policies.len(), useless), (0, POLICIES as u64 + 3));
        let list: List<'_> = serde_json::from_str(&many).unwrap();
        assert_eq!(list.items.unwrap().kept.len(), POLICIES);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert!(read(b"[]").is_err() && read(b"{\"items\":{}}").is_err());
        assert_eq!(read(b"{}").unwrap(), (vec![], 0));
    }
}
