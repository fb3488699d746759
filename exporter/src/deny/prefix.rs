//! What the prefix of a netfilter log rule says about the packets it logs.
//!
//! A prefix can speak for itself: `NAMESPACE/POLICY:DIRECTION:ACTION`, with `ingress` or `egress`
//! and `drop` or `reject`, and `/RULE` behind the policy if there is one. Where the prefix is given
//! by somebody else, rules of the form `PREFIX=ACTION[,DIRECTION[,NAMESPACE/POLICY[/RULE]]]` say
//! what it means; `ignore` is an action too.

use flow::PolicyRule;

use super::RuleRef;
use super::judge::K8S_POLICY;
use crate::verdict::{Action, Direction};

/// What a log rule's packets have met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    pub action: Action,
    pub direction: Option<Direction>,
    pub rule: RuleRef,
}

impl Meaning {
    /// Of a packet of which nothing is said but that it is here.
    pub const UNKNOWN: Self =
        Self { action: Action::Drop, direction: None, rule: RuleRef::Unknown };
}

/// A beginning, and what it means; `None` if such packets were not denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixRule {
    text: String,
    prefix: String,
    meaning: Option<Meaning>,
}

/// Meanings of prefixes, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes(Vec<PrefixRule>);

impl Prefixes {
    pub fn new(rules: Vec<PrefixRule>) -> Self {
        Self(rules)
    }

    /// `None` if packets with this prefix were not denied.
    pub fn meaning(&self, prefix: &str) -> Option<Meaning> {
        match self.0.iter().find(|rule| prefix.starts_with(&rule.prefix)) {
            Some(rule) => rule.meaning.clone(),
            None => Some(spoken(prefix).unwrap_or(Meaning::UNKNOWN)),
        }
    }
}

impl PrefixRule {
    /// Reads a rule as it stands in the configuration.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let (prefix, said) = text.rsplit_once('=').ok_or("it has no = behind the prefix")?;
        let mut words = said.split(',').map(str::trim);
        let word = words.next().unwrap_or_default();
        if prefix.is_empty() {
            return Err("it has no prefix");
        }
        let mut meaning = None;
        if word != "ignore" {
            let action = action(word).ok_or("its action is none of drop, reject, ignore")?;
            let direction = words.next().map(direction_word).transpose()?.flatten();
            let rule = words.next().map(|name| named(name).ok_or("its policy has no name"));
            let rule = rule.transpose()?.unwrap_or(RuleRef::Unknown);
            meaning = Some(Meaning { action, direction, rule });
        }
        if words.next().is_some() {
            return Err("it says more than there is to say");
        }
        Ok(Self { text: text.to_owned(), prefix: prefix.to_owned(), meaning })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A prefix that speaks for itself. What a tool put behind it does not matter.
fn spoken(prefix: &str) -> Option<Meaning> {
    let mut words = prefix.trim().split(':');
    let (policy, to, what) = (words.next()?, words.next()?, words.next()?);
    let what = what.split_whitespace().next()?;
    Some(Meaning {
        action: action(what)?,
        direction: Some(direction(to)?),
        rule: named(policy).unwrap_or(RuleRef::Unknown),
    })
}

fn action(word: &str) -> Option<Action> {
    match word {
        "drop" => Some(Action::Drop),
        "reject" => Some(Action::Reject),
        _ => None,
    }
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "ingress" => Some(Direction::Ingress),
        "egress" => Some(Direction::Egress),
        _ => None,
    }
}

fn direction_word(word: &str) -> Result<Option<Direction>, &'static str> {
    match word {
        "" => Ok(None),
        word => direction(word).map(Some).ok_or("its direction is neither ingress nor egress"),
    }
}

/// `NAMESPACE/POLICY[/RULE]`, or a policy of no Namespace. `-` stands for the default of K8s, by
/// which an isolated Pod gets nothing that no policy lets through.
fn named(text: &str) -> Option<RuleRef> {
    if text == "-" {
        return Some(RuleRef::IsolationDrop);
    }
    let mut parts = text.splitn(3, '/');
    let (first, second, rule) = (parts.next()?, parts.next(), parts.next().unwrap_or_default());
    let (namespace, name) = second.map_or(("", first), |name| (first, name));
    if name.is_empty() {
        return None;
    }
    Some(RuleRef::Named(PolicyRule {
        name: name.into(),
        namespace: namespace.into(),
        policy_type: if namespace.is_empty() { 0 } else { K8S_POLICY },
        rule: rule.into(),
        action: 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespace: &str, name: &str, rule: &str) -> RuleRef {
        RuleRef::Named(PolicyRule {
            name: name.into(),
            namespace: namespace.into(),
            policy_type: u8::from(!namespace.is_empty()),
            rule: rule.into(),
            action: 0,
        })
    }

    fn meaning(action: Action, direction: Option<Direction>, rule: RuleRef) -> Meaning {
        Meaning { action, direction, rule }
    }

    #[test]
    fn a_prefix_speaks_for_itself() {
        let (ingress, egress) = (Some(Direction::Ingress), Some(Direction::Egress));
        let unknown = Meaning::UNKNOWN;
        for (prefix, expected) in [
            ("shop/web:ingress:drop", meaning(Action::Drop, ingress, policy("shop", "web", ""))),
            (
                "shop/web/r1:egress:reject ",
                meaning(Action::Reject, egress, policy("shop", "web", "r1")),
            ),
            ("all:egress:drop", meaning(Action::Drop, egress, policy("", "all", ""))),
            ("-:ingress:drop", meaning(Action::Drop, ingress, RuleRef::IsolationDrop)),
            (":ingress:drop", meaning(Action::Drop, ingress, RuleRef::Unknown)),
            ("np-drop", unknown.clone()),
            ("a:b:c", unknown.clone()),
            ("", unknown),
        ] {
            assert_eq!(Prefixes::default().meaning(prefix), Some(expected), "{prefix:?}");
        }
    }

    #[test]
    fn rules_say_what_a_prefix_means() {
        let texts =
            ["np-drop-in=drop,ingress,shop/web/r 1", "np-drop=reject", "np-=drop,,-", "ok=ignore"];
        let rules = texts.map(|text| PrefixRule::read(text).unwrap());
        let prefixes = Prefixes::new(rules.into());
        let ingress = Some(Direction::Ingress);
        for (prefix, expected) in [
            ("np-drop-in: ", meaning(Action::Drop, ingress, policy("shop", "web", "r 1"))),
            ("np-drop", meaning(Action::Reject, None, RuleRef::Unknown)),
            ("np-x", meaning(Action::Drop, None, RuleRef::IsolationDrop)),
        ] {
            assert_eq!(prefixes.meaning(prefix), Some(expected), "{prefix:?}");
        }
        assert_eq!(prefixes.meaning("ok: accepted"), None);
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("np-drop", "it has no = behind the prefix"),
            ("=drop", "it has no prefix"),
            ("a=accept", "its action is none of drop, reject, ignore"),
            ("a=drop,inwards", "its direction is neither ingress nor egress"),
            ("a=drop,ingress,shop/", "its policy has no name"),
            ("a=drop,ingress,shop/web,more", "it says more than there is to say"),
            ("a=ignore,ingress", "it says more than there is to say"),
        ] {
            assert_eq!(PrefixRule::read(text).unwrap_err(), expected, "{text}");
        }
    }
}
