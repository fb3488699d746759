//! Configuration files with comments.

use crate::{Key, Origin, Setting};

/// One key of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Sections and key, joined by dots. Keys of one section follow each other.
    pub path: &'static str,
    /// Comments above the key, a line each.
    pub above: Vec<String>,
    /// As YAML.
    pub value: String,
    /// Turned into a comment: `#key: value`, without the blank that prose has.
    pub is_off: bool,
    /// A comment behind the value.
    pub behind: Option<String>,
}

/// Writes a file. Keys with comments above have an empty line between them.
pub fn file(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut sections: Vec<&str> = Vec::new();
    for line in lines {
        let mut parts: Vec<&str> = line.path.split('.').collect();
        let key = parts.pop().unwrap_or_default();
        let shared = sections.iter().zip(&parts).take_while(|(open, part)| open == part).count();
        if !text.is_empty() && !line.above.is_empty() {
            text.push('\n');
        }
        for (depth, section) in parts.iter().enumerate().skip(shared) {
            text.extend(["  ".repeat(depth).as_str(), section, ":\n"]);
        }
        let indent = "  ".repeat(parts.len());
        for comment in &line.above {
            text.push_str(format!("{indent}# {comment}").trim_end());
            text.push('\n');
        }
        let behind = line.behind.as_ref().map(|it| format!("  # {it}")).unwrap_or_default();
        let off = if line.is_off { "#" } else { "" };
        text.extend([indent.as_str(), off, key, ": ", &line.value, &behind, "\n"]);
        sections = parts;
    }
    text
}

/// The value in force of a key that `file` has, with who gave it behind it.
pub fn setting<T>(
    file: &str,
    key: &Key,
    setting: &Setting<T>,
    value: impl Fn(&T) -> String,
) -> Line {
    let raised =
        setting.raised_from.as_ref().map(|asked| format!(", clamped from {}", value(asked)));
    let origin = match (&setting.origin, key.default) {
        (Origin::Default, "") => "not set".to_owned(),
        (origin, _) => origin.to_string(),
    };
    Line {
        path: key.current_name(file).unwrap_or_default(),
        above: Vec::new(),
        value: value(&setting.value),
        is_off: false,
        behind: Some(origin + &raised.unwrap_or_default()),
    }
}

/// A text as YAML, quoted so that it stays a text.
pub fn text(text: &str) -> String {
    let character = |character| match character {
        '"' | '\\' => format!("\\{character}"),
        _ if is_plain(character) => character.to_string(),
        _ => format!("\\U{:08x}", u32::from(character)),
    };
    format!("\"{}\"", text.chars().map(character).collect::<Vec<_>>().concat())
}

/// What YAML lets stand as it is (YAML 1.2.2, `c-printable`), less what looks like nothing.
const fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// Breaks a text into lines of at most `width` characters, between words.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{self, Value};

    #[test]
    fn sections_are_opened_once() {
        let line = |path, above: &[&str], behind: Option<&str>| Line {
            path,
            above: above.iter().map(|it| (*it).to_owned()).collect(),
            value: "1".into(),
            is_off: path == "e",
            behind: behind.map(Into::into),
        };
        let lines = [
            line("a", &["what"], None),
            line("b.c", &[], Some("who")),
            line("b.d", &[], None),
            line("e", &[], None),
        ];
        assert_eq!(file(&lines), "# what\na: 1\nb:\n  c: 1  # who\n  d: 1\n#e: 1\n");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two  three four", 9), ["one two", "three", "four"]);
    }

    proptest! {
        #[test]
        fn a_text_stays_what_it_is(given in any::<String>()) {
            let root = yaml::parse(&text(&given)).unwrap().root;
            prop_assert_eq!(root.value, Value::Text(given));
        }
    }
}
