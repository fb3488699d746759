//! How long rows are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Tier;

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
/// The least time between two removals of rows, as in Theia, unless they are kept for less.
const LAZY: u64 = 4 * HOUR;

/// How long rows of a table are kept after the server took them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(Option<u64>);

/// Text that is no time to keep rows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of at least a minute, such as 30d, 12h, 45m or 7200s, and not \"forever\"")]
pub struct NoKeep;

/// How long rows are kept: of every flow, and of each tier of the roll-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub flows: Keep,
    pub minutes: Keep,
    pub five_minutes: Keep,
    pub hours: Keep,
}

impl Retention {
    /// Nothing expires.
    pub const FOREVER: Self = Self {
        flows: Keep::FOREVER,
        minutes: Keep::FOREVER,
        five_minutes: Keep::FOREVER,
        hours: Keep::FOREVER,
    };

    pub(super) fn of(&self, tier: Tier) -> Keep {
        match tier {
            Tier::Minute => self.minutes,
            Tier::FiveMinutes => self.five_minutes,
            Tier::Hour => self.hours,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            flows: Keep::days(30),
            minutes: Keep::days(30),
            five_minutes: Keep::days(90),
            hours: Keep::days(400),
        }
    }
}

impl Keep {
    pub const FOREVER: Self = Self(None);

    pub const fn days(days: u64) -> Self {
        Self(Some(days * DAY))
    }

    /// What says so in a table's definition, if anything does.
    pub(super) fn ttl(self, column: &str) -> Option<String> {
        let seconds = self.0?;
        let interval = if seconds % DAY == 0 {
            format!("toIntervalDay({})", seconds / DAY)
        } else if seconds % HOUR == 0 {
            format!("toIntervalHour({})", seconds / HOUR)
        } else {
            format!("toIntervalSecond({seconds})")
        };
        Some(format!("{column} + {interval}"))
    }

    /// How the table is to go about it: rows kept for days go with the day they are of, which
    /// costs nothing; else they are taken out one by one.
    pub(super) fn settings(self) -> Vec<String> {
        let Some(seconds) = self.0 else { return Vec::new() };
        let whole = u8::from(seconds >= 2 * DAY);
        vec![
            format!("merge_with_ttl_timeout = {}", seconds.min(LAZY)),
            format!("ttl_only_drop_parts = {whole}"),
            // What has expired is known from one column, and the others are not written anew.
            "materialize_ttl_recalculate_only = 1".to_owned(),
        ]
    }
}

impl FromStr for Keep {
    type Err = NoKeep;

    fn from_str(text: &str) -> Result<Self, NoKeep> {
        if text == "forever" {
            return Ok(Self::FOREVER);
        }
        let unit = text.chars().next_back().ok_or(NoKeep)?;
        let seconds = match unit {
            'd' => DAY,
            'h' => HOUR,
            'm' => 60,
            's' => 1,
            _ => return Err(NoKeep),
        };
        let count = text.strip_suffix(unit).and_then(|count| count.parse::<u32>().ok());
        let seconds = u64::from(count.ok_or(NoKeep)?) * seconds;
        // Times in a server's `DateTime` end in 2106.
        let is_sound = (60..=50 * 365 * DAY).contains(&seconds);
        if is_sound { Ok(Self(Some(seconds))) } else { Err(NoKeep) }
    }
}

impl From<Duration> for Keep {
    fn from(time: Duration) -> Self {
        Self(Some(time.as_secs()))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("forever"),
            Some(seconds) if seconds % DAY == 0 => write!(f, "{}d", seconds / DAY),
            Some(seconds) if seconds % HOUR == 0 => write!(f, "{}h", seconds / HOUR),
            Some(seconds) => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_shown() {
        for text in ["30d", "12h", "90s", "forever"] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        assert_eq!("48h".parse::<Keep>(), Ok(Keep::days(2)));
        for text in ["", "d", "30", "-1d", "59s", "1.5h", "30 d", "99999999d", "1y"] {
            assert_eq!(text.parse::<Keep>(), Err(NoKeep), "{text}");
        }
    }
}
