//! Conditions on text: names, and the values of labels.

use super::Pattern;

/// A condition on text that is not absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// Byte by byte.
    Equals(String),
    OneOf(Vec<String>),
    /// The whole text.
    Glob(Glob),
    /// Somewhere in the text, ignoring case.
    Contains(Needle),
    /// Somewhere in the text.
    Matches(Pattern),
}

impl TextTest {
    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == wanted,
            Self::OneOf(wanted) => wanted.iter().any(|wanted| text == wanted),
            Self::Glob(glob) => glob.holds(text),
            Self::Contains(needle) => needle.holds(text),
            Self::Matches(pattern) => pattern.holds(text),
        }
    }

    /// How long what it looks for is, in bytes, and how many items it has.
    pub(crate) fn size(&self) -> (usize, usize) {
        match self {
            Self::Equals(text) => (text.len(), 1),
            Self::OneOf(texts) => (texts.iter().map(String::len).max().unwrap_or(0), texts.len()),
            Self::Glob(glob) => (glob.as_str().len(), 1),
            Self::Contains(needle) => (needle.as_str().len(), 1),
            Self::Matches(pattern) => (pattern.as_str().len(), 1),
        }
    }
}

/// A pattern in which `*` is any run of characters, none included, and `?` any one character
/// (Unicode scalar value). Everything else is itself, by case; there is no escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text is of this form.
    ///
    /// Goes back to the last star only, which is enough: time is at most the product of both
    /// lengths.
    pub fn holds(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.as_str(), text);
        let mut star: Option<(&str, &str)> = None;
        loop {
            let mut wanted = pattern.chars();
            let mut found = rest.chars();
            match (wanted.next(), found.next()) {
                (Some('*'), _) => {
                    pattern = wanted.as_str();
                    star = Some((pattern, rest));
                }
                (Some(one), Some(other)) if one == '?' || one == other => {
                    (pattern, rest) = (wanted.as_str(), found.as_str());
                }
                (None, None) => return true,
                _ => {
                    let Some((behind, from)) = star else { return false };
                    let mut from = from.chars();
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (behind, from.as_str());
                    star = Some((behind, rest));
                }
            }
        }
    }
}

/// Text to be found ignoring case: each character stands for its simple lower case (Unicode's
/// one-to-one mapping; that of `İ`, U+0130, which has none in Rust, is itself).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    text: String,
    lower: String,
}

impl Needle {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), lower: lower(text) }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In lower case.
    pub fn lower(&self) -> &str {
        &self.lower
    }

    pub fn holds(&self, text: &str) -> bool {
        lower(text).contains(&self.lower)
    }
}

fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .map(|character| {
            let mut lower = character.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                _ => character,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glob_is_about_the_whole_text() {
        for (glob, text, expected) in [
            ("web-*", "web-0", true),
            ("web-*", "web-", true),
            ("web-*", "a-web-0", false),
            ("*web*", "a-web-0", true),
            ("w?b", "web", true),
            ("w?b", "wéb", true),
            ("w?b", "wb", false),
            ("*", "", true),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("a.c", "abc", false),
            ("A*", "abc", false),
            ("*\n*", "a\nb", true),
            ("%_", "%_", true),
            ("%_", "ab", false),
        ] {
            assert_eq!(Glob::new(glob).holds(text), expected, "{glob} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_is_what_the_regex_of_the_same_meaning_is(
            glob in "[ab*?]{0,8}", text in "[ab]{0,10}",
        ) {
            let regex = format!("(?s)^{}$", glob.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
            prop_assert_eq!(Glob::new(&glob).holds(&text), expected);
        }
    }

    #[test]
    fn contains_ignores_case() {
        for (needle, text, expected) in [
            ("PAY", "shop-payment", true),
            ("pay", "shop-PAYment", true),
            ("", "x", true),
            ("pays", "pay", false),
            ("ÄR", "bär", true),
            ("σ", "ΑΣ", true),
            ("ς", "σ", false),  // both are lower case already
            ("ß", "SS", false), // not one to one
        ] {
            assert_eq!(Needle::new(needle).holds(text), expected, "{needle} {text}");
        }
    }
}
