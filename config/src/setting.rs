//! A value, and who gave it.

use std::fmt;
use std::sync::Arc;

use crate::yaml::Position;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        file: Arc<str>,
        at: Position,
    },
    /// An environment variable.
    Environment(&'static str),
    /// An option of the command line.
    Flag(&'static str),
}

/// One value of the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
    /// What was asked for, if that was too little.
    pub raised_from: Option<T>,
}

impl<T> Setting<T> {
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin, raised_from: None }
    }
}

impl<T> Setting<Option<T>> {
    /// What was picked, if anything was.
    pub fn optional(picked: Option<Setting<T>>) -> Self {
        match picked {
            Some(Setting { value, origin, .. }) => Self::new(Some(value), origin),
            None => Self::new(None, Origin::Default),
        }
    }
}

impl<T: PartialOrd> Setting<T> {
    /// Puts `least` in the place of anything less. Returns whether it did.
    pub fn raise_to(&mut self, least: T) -> bool {
        let raised = self.value < least;
        if raised {
            self.raised_from = Some(std::mem::replace(&mut self.value, least));
        }
        raised
    }
}

/// As a comment or a message names it, always in one line.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, at } => write!(f, "{}:{at}", file.escape_debug()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}
