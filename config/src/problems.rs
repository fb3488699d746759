//! Every mistake of a configuration, reported together.
//!
//! Whoever reads a configuration notes each mistake here and goes on, so that one start shows
//! all of them.

use std::fmt;

/// One mistake: where it is, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A key or a path such as `pods[3].addresses`.
    pub place: String,
    pub what: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes that `place` is wrong.
    pub fn note(&mut self, place: impl Into<String>, what: impl fmt::Display) {
        self.0.push(Problem { place: place.into(), what: what.to_string() });
    }

    /// Unwraps `value`, or notes why `place` is wrong.
    pub fn check<T, E: fmt::Display>(
        &mut self,
        place: impl Into<String>,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.note(place, error)).ok()
    }

    /// Returns `value` if nothing was noted.
    pub fn result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}: {}", problem.place, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told() {
        let mut problems = Problems::default();
        assert_eq!(problems.check("port", "4739".parse::<u16>()), Some(4739));
        problems.check("port", "x".parse::<u16>());
        problems.note("node", "is missing");
        let told = problems.result(()).unwrap_err().to_string();
        assert_eq!(told, "port: invalid digit found in string\nnode: is missing");
    }
}
