//! What there is to say about a configuration, each thing with its place.
//!
//! Whoever reads a configuration notes every mistake here and goes on, so that one look shows all
//! of them.

use std::fmt;

use crate::Origin;

/// What a finding means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: an old name, a value that was raised.
    Note,
    /// Nothing a running Node should stop for, but hardly what was meant. A check fails.
    Doubt,
    /// The configuration is refused.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// `None` if it is about something that is missing.
    pub origin: Option<Origin>,
    pub key: String,
    /// What was expected, what is there, and what to do.
    pub what: String,
}

/// All there is to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn note(
        &mut self,
        severity: Severity,
        origin: impl Into<Option<Origin>>,
        key: impl Into<String>,
        what: impl fmt::Display,
    ) {
        let (origin, key, what) = (origin.into(), key.into(), what.to_string());
        self.0.push(Finding { severity, origin, key, what });
    }

    /// Puts what is said about one file into the order of its lines. What is about no file comes
    /// last.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|finding| match &finding.origin {
            Some(Origin::File { file, at }) => (0, Some((file.clone(), *at))),
            Some(_) => (1, None),
            None => (2, None),
        });
    }

    /// Has what was noted after the first `count` findings be doubts at most: it is about
    /// something that is not used.
    pub fn soften_after(&mut self, count: usize) {
        for finding in self.0.iter_mut().skip(count) {
            finding.severity = finding.severity.min(Severity::Doubt);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Returns true if there is something as bad as `severity`.
    pub fn any(&self, severity: Severity) -> bool {
        self.0.iter().any(|finding| finding.severity >= severity)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Doubt => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}: ", self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// One finding per line.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}
