//! Rules that sources know by their names, so that a connection need keep no more than a number.

use flow::{Name, PolicyRule};
use hashbrown::HashMap;

use crate::verdict::RuleId;

/// Rules that can be told apart; a Node rarely has more than some hundred.
const LIMIT: usize = 16_384;
/// Bytes of one name at most; more than Kubernetes allows for any but a rule's.
const NAME_LIMIT: usize = 512;

/// Every rule by a number that stays its own.
#[derive(Debug, Default)]
pub struct Rules {
    by_number: Vec<PolicyRule>,
    numbers: HashMap<PolicyRule, u32>,
    refused: u64,
}

impl Rules {
    /// The number of a rule; [`RuleId::Unknown`] once there are too many.
    pub fn number(&mut self, mut rule: PolicyRule) -> RuleId {
        for name in [&mut rule.name, &mut rule.namespace, &mut rule.rule] {
            cut(name);
        }
        if let Some(&number) = self.numbers.get(&rule) {
            return RuleId::Named(number);
        }
        match u32::try_from(self.by_number.len()) {
            Ok(number) if self.by_number.len() < LIMIT => {
                self.by_number.push(rule.clone());
                self.numbers.insert(rule, number);
                RuleId::Named(number)
            }
            _ => {
                self.refused += 1;
                RuleId::Unknown
            }
        }
    }

    pub fn get(&self, number: u32) -> Option<&PolicyRule> {
        self.by_number.get(usize::try_from(number).ok()?)
    }

    /// How often a rule got no number.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

fn cut(name: &mut Name) {
    if name.len() > NAME_LIMIT {
        *name = Name::from(&name[..name.floor_char_boundary(NAME_LIMIT)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> PolicyRule {
        PolicyRule { name: name.into(), ..PolicyRule::default() }
    }

    #[test]
    fn a_rule_keeps_its_number() {
        let mut rules = Rules::default();
        assert_eq!(rules.number(rule("a")), RuleId::Named(0));
        assert_eq!(rules.number(rule("b")), RuleId::Named(1));
        assert_eq!(rules.number(rule("a")), RuleId::Named(0));
        assert_eq!(rules.get(1), Some(&rule("b")));
        assert_eq!(rules.get(2), None);
    }

    #[test]
    fn it_ends_at_its_limit() {
        let mut rules = Rules::default();
        for number in 0..LIMIT {
            rules.number(rule(&number.to_string()));
        }
        assert_eq!(rules.number(rule("one more")), RuleId::Unknown);
        assert_eq!(rules.refused(), 1);
        assert_eq!(rules.number(rule("7")), RuleId::Named(7));
    }

    #[test]
    fn long_names_lose_their_end() {
        let mut rules = Rules::default();
        rules.number(rule(&"ä".repeat(1000)));
        assert_eq!(rules.get(0).unwrap().name.len(), NAME_LIMIT);
    }
}
