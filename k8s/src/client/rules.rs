//! What the API server has to allow, written once: asked for at the start, told when it is
//! missing, and printed in the documentation.

use std::fmt;

use super::Resource;
use crate::objects::Kind;

/// What is done with each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    List,
    Watch,
}

impl Verb {
    pub const ALL: [Self; 2] = [Self::List, Self::Watch];

    /// As in a rule.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

/// One verb on one kind, in all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    pub kind: Kind,
    pub verb: Verb,
}

impl Access {
    /// Both verbs on each kind.
    pub fn all(kinds: &[Kind]) -> Vec<Self> {
        let both = |&kind| Verb::ALL.map(|verb| Self { kind, verb });
        kinds.iter().flat_map(both).collect()
    }
}

/// A rule of a `ClusterRole`. It shows as YAML that can be pasted under `rules:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Empty for the core group.
    pub api_group: &'static str,
    pub resources: Vec<&'static str>,
    pub verbs: Vec<&'static str>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- apiGroups: [{:?}]", self.api_group)?;
        writeln!(f, "  resources: [{}]", self.resources.join(", "))?;
        write!(f, "  verbs: [{}]", self.verbs.join(", "))
    }
}

/// Leave to read one object of the core group. It shows as a Role that can be applied, to be bound
/// to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRule {
    /// As in a rule: `secrets`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, namespace, name } = self;
        let kind = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role";
        writeln!(f, "{kind}\nmetadata:\n  name: fyke-{resource}-{name}\n  namespace: {namespace}")?;
        writeln!(f, "rules:\n- apiGroups: [\"\"]\n  resources: [{resource}]")?;
        write!(f, "  resourceNames: [{name}]\n  verbs: [get]")
    }
}

/// The rules that watching `kinds` needs.
pub fn rules(kinds: &[Kind]) -> Vec<Rule> {
    Rule::allowing(&Access::all(kinds))
}

impl Rule {
    /// The fewest rules that allow `accesses` and nothing else.
    pub fn allowing(accesses: &[Access]) -> Vec<Self> {
        let mut rules: Vec<Self> = Vec::new();
        let mut kinds = Kind::ALL.to_vec();
        let custom = |kind: &Kind| matches!(kind, Kind::Custom(_));
        kinds.extend(accesses.iter().map(|access| access.kind).filter(custom));
        kinds.dedup();
        for kind in kinds {
            let wanted = |verb: &Verb| accesses.contains(&Access { kind, verb: *verb });
            let verbs: Vec<_> = Verb::ALL.into_iter().filter(wanted).map(Verb::name).collect();
            if verbs.is_empty() {
                continue;
            }
            let Resource { group, plural, .. } = Resource::of(kind);
            match rules.iter_mut().find(|rule| rule.api_group == group && rule.verbs == verbs) {
                Some(rule) => rule.resources.push(plural),
                None => rules.push(Self { api_group: group, resources: vec![plural], verbs }),
            }
        }
        rules
    }
}

/// A manifest of the `ClusterRole` `name` that allows to watch `kinds`.
pub fn cluster_role(name: &str, kinds: &[Kind]) -> String {
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n"
    );
    for rule in rules(kinds) {
        text.push_str(&rule.to_string());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Custom;

    #[test]
    fn the_documentation_shows_the_rules() {
        let page = include_str!("../../../docs/rbac.md");
        let shown = cluster_role("fyke", &Kind::ALL);
        assert!(page.contains(&shown), "docs/rbac.md must contain:\n{shown}");
    }

    #[test]
    fn a_rule_names_only_what_was_asked_for() {
        let pods = Access { kind: Kind::Pod, verb: Verb::Watch };
        let jobs = Access { kind: Kind::Job, verb: Verb::List };
        let nodes = Access { kind: Kind::Node, verb: Verb::Watch };
        let told: Vec<_> =
            Rule::allowing(&[jobs, nodes, pods]).iter().map(Rule::to_string).collect();
        assert_eq!(
            told,
            [
                "- apiGroups: [\"\"]\n  resources: [pods, nodes]\n  verbs: [watch]",
                "- apiGroups: [\"batch\"]\n  resources: [jobs]\n  verbs: [list]",
            ]
        );
    }

    #[test]
    fn custom_resources_have_rules_too() {
        static EGRESS: Custom = Custom {
            group: "crd.antrea.io",
            version: "v1beta1",
            plural: "egresses",
            kind: "Egress",
        };
        let told = rules(&[Kind::Custom(&EGRESS), Kind::Node]);
        let told: Vec<_> = told.iter().map(Rule::to_string).collect();
        assert_eq!(
            told,
            [
                "- apiGroups: [\"\"]\n  resources: [nodes]\n  verbs: [list, watch]",
                "- apiGroups: [\"crd.antrea.io\"]\n  resources: [egresses]\n  verbs: [list, watch]",
            ]
        );
    }
}
