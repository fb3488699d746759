//! What may stand in a statement as a name.

use std::fmt;
use std::str::FromStr;

/// Bytes; a server refuses file names that become longer.
const LONGEST: usize = 200;

/// The name of a database or a cluster, which somebody has written into a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name: 1 to 200 letters, digits, or _ - .")]
pub struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let is_good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let fits = !text.is_empty() && text.len() <= LONGEST && text.chars().all(is_good);
        if fits { Ok(Self(text.to_owned())) } else { Err(NoName) }
    }
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a text, for what takes names as texts. Nothing in a name wants escaping.
    pub(super) fn literal(&self) -> String {
        format!("'{}'", self.0)
    }
}

/// Quoted.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// A name as it stands in statements, whatever is in it: names of tables and columns also come from
/// what a server says that it has.
pub(in crate::clickhouse) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_name_is_refused_or_escaped() {
        for text in ["default", "flow-visibility", "Flüsse_2", "a.b"] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), format!("`{text}`"));
        }
        let long = "x".repeat(201);
        for text in ["", "a b", "a`b", "a'b", "a\\b", "a;b", "a\n", long.as_str()] {
            assert_eq!(text.parse::<Name>(), Err(NoName), "{text}");
        }
        assert_eq!(quoted("a`; DROP TABLE x; \\"), "`a\\`; DROP TABLE x; \\\\`");
    }
}
