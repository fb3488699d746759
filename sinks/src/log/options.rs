//! How flows are told to a file.

use std::path::PathBuf;
use std::time::Duration;

use flow::LogColumns;

/// How flows are told to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub path: PathBuf,
    pub rotation: Option<Rotation>,
    pub format: Format,
    /// A record is told if any of these matches it, or if there are none.
    pub filters: Vec<Filter>,
}

/// When a file is put aside, and what becomes of those that were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// No file gets longer, in bytes, unless one line alone is.
    pub max_size: u64,
    /// How many files that were put aside are kept; 0 for all.
    pub max_backups: usize,
    /// How long they are kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// Whether they are compressed (gzip).
    pub compress: bool,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Values between commas, in the columns of a release of Antrea's.
    Csv(Csv),
    /// A JSON object with every attribute that is kept in columns.
    JsonLines,
}

/// How values between commas are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    pub columns: LogColumns,
    /// Names of protocols, actions and kinds of policies instead of their numbers.
    pub pretty: bool,
    /// Quotes values that need it (RFC 4180). Without, as in Antrea's file, such values lose their
    /// commas and ends of lines.
    pub quote: bool,
}

/// Which records are told: those that match both lists. An empty list matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Antrea's `ingressNetworkPolicyRuleAction`, such as [`flow::PolicyRule::DROP`]; 0 is none,
    /// and a number that is no action matches nothing.
    pub ingress_actions: Vec<u8>,
    pub egress_actions: Vec<u8>,
}
