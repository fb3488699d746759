//! Pods by their labels, as Kubernetes writes that in one line.

use std::fmt;

use flow::Name;
use kube::core::Expression;

/// Terms and values of one selector: each is compared with the labels of each record.
const MOST_PARTS: usize = 256;

/// What labels of a Pod have to say, all of it. Kubernetes' syntax in full, but for `>` and `<`.
///
/// See <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector(Vec<Expression>);

impl LabelSelector {
    /// Reads `app=web,tier in (front, back),!canary`. An error says which part is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("it is empty; leave the key out to let everything through".to_owned());
        }
        let parts = text.split(',').count();
        if parts > MOST_PARTS {
            return Err(format!("it has {parts} terms and values; {MOST_PARTS} are possible"));
        }
        terms(text).map(|it| term(it.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a Pod with exactly these labels is meant. As [`kube::core::Selector`], without
    /// copies of the labels.
    pub fn matches(&self, labels: &[(Name, Name)]) -> bool {
        self.matches_by(|key| {
            labels.iter().find(|(it, _)| it.as_str() == key).map(|(_, value)| value.as_str())
        })
    }

    /// As [`Self::matches`], for labels that are kept in another way: `value` is that of a key.
    pub fn matches_by<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|term| holds(term, &value))
    }
}

/// As it is read again.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{term}")?;
        }
        Ok(())
    }
}

fn holds<'a>(term: &Expression, value: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let has = |values: &std::collections::BTreeSet<String>, key: &String| {
        value(key).is_some_and(|it| values.contains(it))
    };
    match term {
        Expression::In(key, values) => has(values, key),
        Expression::NotIn(key, values) => !has(values, key),
        Expression::Equal(key, wanted) => value(key) == Some(wanted.as_str()),
        Expression::NotEqual(key, wanted) => value(key) != Some(wanted.as_str()),
        Expression::Exists(key) => value(key).is_some(),
        Expression::DoesNotExist(key) => value(key).is_none(),
    }
}

/// What is between commas that are not in parentheses.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut is_within = false;
    text.split(move |character| {
        is_within = match character {
            '(' => true,
            ')' => false,
            _ => is_within,
        };
        character == ',' && !is_within
    })
}

fn term(text: &str) -> Result<Expression, String> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(label_key(key)?));
    }
    if let Some((key, wanted)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(label_key(key)?, label_value(wanted)?));
    }
    if let Some((key, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(label_key(key)?, label_value(wanted)?));
    }
    let Some((head, values)) = text.split_once('(') else {
        return Ok(Expression::Exists(label_key(text)?));
    };
    let values = values.strip_suffix(')');
    let values = values.ok_or_else(|| format!("{text:?} does not end with a parenthesis"))?;
    let values = values.split(',').map(label_value).collect::<Result<_, _>>()?;
    let mut words = head.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => Ok(Expression::In(label_key(key)?, values)),
        (Some(key), Some("notin"), None) => Ok(Expression::NotIn(label_key(key)?, values)),
        _ => Err(format!("{head:?} is not a key with in or notin")),
    }
}

/// A name, which a DNS name and a slash may precede.
fn label_key(text: &str) -> Result<String, String> {
    let key = text.trim();
    let (domain, name) = key.split_once('/').map_or((None, key), |(it, name)| (Some(it), name));
    if is_name(name) && domain.is_none_or(is_domain) {
        return Ok(key.to_owned());
    }
    Err(if key.contains(['<', '>']) {
        format!("{key:?} compares numbers, which is not possible here")
    } else {
        format!("{key:?} is no label's key")
    })
}

fn label_value(text: &str) -> Result<String, String> {
    let value = text.trim();
    let is_value = value.is_empty() || is_name(value);
    if is_value { Ok(value.to_owned()) } else { Err(format!("{value:?} is no label's value")) }
}

fn is_name(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 63 && text.bytes().all(is_inside) && has_ends(text)
}

/// RFC 1123's, in small letters.
fn is_domain(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 253 && text.split('.').all(|part| part.bytes().all(is_inside) && has_ends(part))
}

fn has_ends(text: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.as_bytes().first().is_some_and(is_plain) && text.as_bytes().last().is_some_and(is_plain)
}

#[cfg(test)]
mod tests {
    use kube::core::{Selector, SelectorExt as _};
    use proptest::prelude::*;

    use super::*;

    fn selected(text: &str, labels: &[(&str, &str)]) -> bool {
        let labels: Vec<_> = labels.iter().map(|(k, v)| (Name::from(*k), Name::from(*v))).collect();
        LabelSelector::parse(text).unwrap().matches(&labels)
    }

    /// Expected is what the documentation of Kubernetes says of each form.
    #[test]
    fn every_form_selects_what_kubernetes_says() {
        let labels = [("app.kubernetes.io/name", "web"), ("in", ""), ("tier", "front")];
        for (text, expected) in [
            ("tier=front", true),
            ("tier == front", true),
            ("tier=back", false),
            ("nothing=front", false),
            ("tier!=back", true),
            ("tier != front", false),
            ("nothing!=front", true),
            ("tier in (front, back)", true),
            ("tier in(back)", false),
            ("nothing in (front)", false),
            ("tier notin (back,side)", true),
            ("tier notin (front)", false),
            ("nothing notin (front)", true),
            ("tier", true),
            ("nothing", false),
            ("!nothing", true),
            ("! tier", false),
            ("in in ()", true),
            ("in=", true),
            ("tier in (,x)", false),
            ("app.kubernetes.io/name=web,tier in (front,back),!nothing", true),
            ("app.kubernetes.io/name=web , tier in (back,side),!nothing", false),
        ] {
            assert_eq!(selected(text, &labels), expected, "{text}");
        }
        assert!(!selected("app", &[]) && selected("!app", &[]));
    }

    #[test]
    fn what_is_no_selector_is_refused_with_the_part_that_is_wrong() {
        let long = "x".repeat(64);
        for (text, part) in [
            (" ", "it is empty"),
            ("a=1,", "\"\" is no label's key"),
            ("a=1,,b", "\"\" is no label's key"),
            ("a b", "\"a b\""),
            ("a like (b)", "\"a like \""),
            ("a in b", "\"a in b\""),
            ("in (b)", "\"in \""),
            ("a in (b", "\"a in (b\" does not end"),
            ("a in (b))", "\"b)\" is no label's value"),
            ("a in ((b)", "\"(b\""),
            ("a=b=c", "\"b=c\""),
            ("a=-b", "\"-b\""),
            ("!a=b", "\"a=b\""),
            ("a>1", "compares numbers"),
            ("a_/b", "\"a_/b\""),
            ("a/b/c", "\"a/b/c\""),
            ("/b", "\"/b\""),
            ("ä", "\"ä\""),
            (long.as_str(), "is no label's key"),
            (&",a".repeat(256), "it has 257 terms and values; 256 are possible"),
        ] {
            let why = LabelSelector::parse(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let values = || prop::collection::btree_set("[ab]?", 1..3);
        prop_oneof![
            ("[abc]", values()).prop_map(|(key, values)| Expression::In(key, values)),
            ("[abc]", values()).prop_map(|(key, values)| Expression::NotIn(key, values)),
            ("[abc]", "[ab]?").prop_map(|(key, value)| Expression::Equal(key, value)),
            ("[abc]", "[ab]?").prop_map(|(key, value)| Expression::NotEqual(key, value)),
            "[abc]".prop_map(Expression::Exists),
            "[abc]".prop_map(Expression::DoesNotExist),
        ]
    }

    proptest! {
        /// What `kube` writes is read, and matches as there.
        #[test]
        fn it_selects_as_kube_does(
            terms in prop::collection::vec(expression(), 1..4),
            labels in prop::collection::btree_map("[abc]", "[ab]?", 0..4),
        ) {
            let theirs = Selector::from_iter(terms.clone());
            let ours = LabelSelector::parse(&theirs.to_string()).unwrap();
            prop_assert_eq!(&ours.0, &terms);
            prop_assert_eq!(ours.to_string(), theirs.to_string());
            let named: Vec<_> =
                labels.iter().map(|(k, v)| (Name::from(k.as_str()), Name::from(v.as_str()))).collect();
            prop_assert_eq!(ours.matches(&named), theirs.matches(&labels));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([a(),!=<> ]|in|notin|.){0,40}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
