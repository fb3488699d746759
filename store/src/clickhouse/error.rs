//! What can go wrong with ClickHouse, and what whoever runs it should do about it.

use std::fmt;
use std::time::Duration;

/// Bytes of what the server says that are kept.
const LONGEST_MESSAGE: usize = 2048;

/// With this, behind the rest, servers say that a view or the table behind it is the reason.
const TO_VIEW: &str = "while pushing to view";

/// Why ClickHouse did not do what it was asked to. No error has the password in it.
#[derive(Debug, thiserror::Error)]
pub enum ClickHouseError {
    /// The server's own words.
    #[error("{message}; {}", Reason::of(*code, message).advice())]
    Exception { code: u32, message: String },
    #[error("{address} cannot be reached, or ended the connection")]
    Unreachable {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{address} did not answer within {within:?}; {}", Reason::TimedOut.advice())]
    TimedOut { address: String, within: Duration },
    /// What answers is no ClickHouse, or one whose answer cannot be read.
    #[error("the answer is not ClickHouse's: {0}; see that the address is, and what lies between")]
    Answer(String),
    #[error("this cannot be asked")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Unreachable,
    TimedOut,
    Credentials,
    AccessDenied,
    TooManyParts,
    Memory,
    DiskFull,
    UnknownTable,
    Columns,
    ReadOnly,
    Busy,
    Replicas,
    Setting,
    Data,
    Other,
}

impl Reason {
    pub const ALL: [Self; 15] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Credentials,
        Self::AccessDenied,
        Self::TooManyParts,
        Self::Memory,
        Self::DiskFull,
        Self::UnknownTable,
        Self::Columns,
        Self::ReadOnly,
        Self::Busy,
        Self::Replicas,
        Self::Setting,
        Self::Data,
        Self::Other,
    ];

    /// By the server's exception code (ClickHouse's `ErrorCodes.cpp`).
    pub fn of_code(code: u32) -> Self {
        match code {
            159 | 160 | 209 => Self::TimedOut,
            192..=195 | 516 => Self::Credentials,
            164 | 291 | 497 => Self::AccessDenied,
            252 => Self::TooManyParts,
            173 | 241 => Self::Memory,
            243 | 1000 => Self::DiskFull,
            60 | 81 | 218 => Self::UnknownTable,
            // No such column, a wrong number of them, an unknown identifier or type, a type that
            // does not convert, data that are none of a type's.
            8 | 10 | 16 | 20 | 44 | 47 | 50 | 53 | 70 | 117 => Self::Columns,
            242 => Self::ReadOnly,
            201 | 202 | 203 | 216 | 335 | 373 | 439 => Self::Busy,
            210 | 225 | 244 | 254 | 279 | 285 | 286 | 319 | 999 => Self::Replicas,
            115 | 452 => Self::Setting,
            // A row that the table does not take, whenever it comes.
            131 | 395 | 469 => Self::Data,
            _ => Self::Other,
        }
    }

    /// What a table behind a view does not take is no fault of a row: the table itself takes it.
    fn of(code: u32, message: &str) -> Self {
        match Self::of_code(code) {
            Self::Data if message.contains(TO_VIEW) => Self::Columns,
            reason => reason,
        }
    }

    /// As metrics have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Credentials => "credentials",
            Self::AccessDenied => "access_denied",
            Self::TooManyParts => "too_many_parts",
            Self::Memory => "memory",
            Self::DiskFull => "disk_full",
            Self::UnknownTable => "unknown_table",
            Self::Columns => "columns",
            Self::ReadOnly => "read_only",
            Self::Busy => "busy",
            Self::Replicas => "replicas",
            Self::Setting => "setting",
            Self::Data => "data",
            Self::Other => "other",
        }
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "see that the server runs and that databaseURL is right",
            Self::TimedOut => "see what the server is busy with (system.processes)",
            Self::Credentials => {
                "see that CH_USERNAME and CH_PASSWORD are a user of the server and its password"
            }
            Self::AccessDenied => "grant the user INSERT and SELECT on the table",
            Self::TooManyParts => {
                "the server merges more slowly than is inserted: give it time, raise \
                 clickHouse.commitInterval, or see system.merges and its disk"
            }
            Self::Memory => "give the server more memory, or see what else uses it",
            Self::DiskFull => {
                "make room on the server's disk, or keep flows for a shorter time (TTL)"
            }
            Self::UnknownTable => "run `fyke clickhouse migrate`, which makes the table",
            Self::Columns => {
                "the table is not as it should be: run `fyke clickhouse diff`, then \
                 `fyke clickhouse migrate`"
            }
            Self::ReadOnly => {
                "the table takes no rows now: see system.replicas, and that ClickHouse Keeper runs"
            }
            Self::Busy => "the server has too much to do: see max_concurrent_queries",
            Self::Replicas => "see that ClickHouse Keeper and the other replicas and shards run",
            Self::Setting => "the server, or the user's profile, does not allow this setting",
            Self::Data => "the table does not take these values: see its constraints",
            Self::Other => "see the server's log",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl ClickHouseError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Exception { code, message } => Reason::of(*code, message),
            Self::Unreachable { .. } => Reason::Unreachable,
            Self::TimedOut { .. } => Reason::TimedOut,
            Self::Answer(_) | Self::Request(_) => Reason::Other,
        }
    }

    /// The server's exception code, if it told one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Exception { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether nobody can say whether the statement was carried out.
    pub fn is_in_doubt(&self) -> bool {
        // Who answers in the place of ClickHouse, such as a proxy, may have passed it on.
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Answer(_))
            // A part of an insert may be there: the time was over, or replicas did not answer.
            || matches!(self.code(), Some(159 | 209 | 210 | 286 | 319 | 999))
    }

    pub(super) fn of(error: clickhouse::error::Error, address: &str, within: Duration) -> Self {
        use clickhouse::error::Error;
        let address = address.to_owned();
        match error {
            Error::BadResponse(text) => Self::exception(&text),
            Error::TimedOut => Self::TimedOut { address, within },
            Error::Network(source) => Self::Unreachable { address, source },
            Error::InvalidParams(source) => Self::Request(source),
            other => Self::Answer(other.to_string()),
        }
    }

    /// `Code: 60. DB::Exception: …`, or with a comma, as servers did before 2020.
    fn exception(text: &str) -> Self {
        let mut message = cut(text.trim()).to_owned();
        if text.contains(TO_VIEW) && !message.contains(TO_VIEW) {
            message = format!("{message}… {TO_VIEW}");
        }
        let code = text.split_once("Code: ").and_then(|(_, rest)| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..digits)?.parse().ok()
        });
        match code {
            Some(code) => Self::Exception { code, message },
            None => Self::Answer(message),
        }
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_MESSAGE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn old_and_new_servers_tell_their_code() {
        let new = "Code: 252. DB::Exception: Too many parts (300). (TOO_MANY_PARTS) (version 26.9)";
        let bound = "Code: 452. DB::Exception: Setting async_insert should not be changed.";
        let old = "Code: 193, e.displayText() = DB::Exception: Wrong password for user x";
        for (text, code, reason) in [
            (new, 252, Reason::TooManyParts),
            (old, 193, Reason::Credentials),
            (bound, 452, Reason::Setting),
        ] {
            let error = ClickHouseError::exception(text);
            assert_eq!((error.code(), error.reason()), (Some(code), reason));
            let told = error.to_string();
            assert!(told.starts_with(text) && told.ends_with(reason.advice()), "{told}");
        }
        for text in ["502 Bad Gateway", "Code: ", "Code: 99999999999"] {
            let error = ClickHouseError::exception(text);
            assert_eq!((error.code(), error.is_in_doubt()), (None, true), "{text}");
        }
    }

    #[test]
    fn a_view_that_fails_is_no_fault_of_a_row() {
        let refused = |words: &str| {
            let text = format!("Code: 469. DB::Exception: Constraint `few` is violated{words}");
            ClickHouseError::exception(&text).reason()
        };
        assert_eq!(refused(""), Reason::Data);
        assert_eq!(refused(": while pushing to view default.feed"), Reason::Columns);
        let long = format!(" {}: while pushing to view default.feed", "x".repeat(4000));
        assert_eq!(refused(&long), Reason::Columns);
    }

    #[test]
    fn long_words_are_cut() {
        let error = ClickHouseError::exception(&format!("Code: 60. {}", "ä".repeat(4000)));
        assert!(error.to_string().len() < 2200);
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
