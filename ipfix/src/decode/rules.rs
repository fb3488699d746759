//! What a session remembers of its peer, and what it makes of a peer that breaks a rule.

use std::time::Duration;

/// How much of a peer's doing a session remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Templates per session, over all its Observation Domains.
    pub templates: usize,
    /// Fields per Template.
    pub fields_per_template: usize,
    /// Observation Domains whose sequence numbers are followed.
    pub domains: usize,
}

impl Default for Limits {
    /// Allows several times what known exporters use, and about 8 MiB per session at worst.
    fn default() -> Self {
        Self { templates: 1024, fields_per_template: 512, domains: 256 }
    }
}

/// What a session makes of what its transport does and its peer may do.
///
/// The default forgives: it is for streams and files of whatever origin. [`Rules::stream`] and
/// [`Rules::datagrams`] are what RFC 7011 asks for on one transport each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A Template that differs from the one of the same id, which was not withdrawn.
    pub redefinition: Redefinition,
    /// How long a Template is good for without being sent again; `None` for as long as the session
    /// (RFC 7011, section 8.4).
    pub template_lifetime: Option<Duration>,
    /// Whether a message that arrives twice is decoded twice.
    pub duplicates: Duplicates,
    /// Data Sets kept for a Template that has yet to come.
    pub waiting: Waiting,
}

/// What becomes of a Template whose id another one already has (RFC 7011, section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redefinition {
    /// It takes the other's place, and is counted.
    Replace,
    /// Its message is malformed: records of that id can no longer be told apart.
    Malformed,
}

/// What becomes of a message that has been decoded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It is decoded again.
    Decode,
    /// Nothing in it is visited, and its summary says so.
    Skip,
}

/// How much of what has no Template yet is kept, and how long (RFC 7011, section 8, allows it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Bytes per session, with what it takes to keep them; 0 keeps nothing.
    pub bytes: usize,
    /// How long a Set is kept.
    pub time: Duration,
}

impl Waiting {
    /// Keeps nothing.
    pub const NOTHING: Self = Self { bytes: 0, time: Duration::ZERO };
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            redefinition: Redefinition::Replace,
            template_lifetime: None,
            duplicates: Duplicates::Decode,
            waiting: Waiting::NOTHING,
        }
    }
}

impl Rules {
    /// The rules of TCP, TLS and SCTP, where everything arrives once and in order.
    pub fn stream() -> Self {
        Self { redefinition: Redefinition::Malformed, ..Self::default() }
    }

    /// The rules of UDP and DTLS, where anything may be lost, late or twice.
    ///
    /// Templates live for 30 minutes, three times the 10 that exporters commonly let pass before
    /// they send them again (RFC 7011, section 8.4). What arrives before its Template is kept for
    /// 5 seconds and up to 64 KiB: long enough for datagrams that overtook each other.
    pub fn datagrams() -> Self {
        Self {
            redefinition: Redefinition::Replace,
            template_lifetime: Some(Duration::from_mins(30)),
            duplicates: Duplicates::Skip,
            waiting: Waiting { bytes: 64 << 10, time: Duration::from_secs(5) },
        }
    }
}
