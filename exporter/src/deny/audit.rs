//! The audit log of the Antrea Agent (`np.log`), of rules that have logging on.
//!
//! A line stands for one packet, or for those of a second that were alike; of those it has the
//! length of the first.
mod line; // one line
mod tail; // a file that grows and is exchanged

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Denied, Loss, Reporter};
use line::Line;
pub use tail::TailError;
use tail::{Broken, Tail};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Follows the log from its end.
#[derive(Debug)]
pub struct AuditLog {
    tail: Tail,
    zone: TimeZone,
    reporter: Reporter,
}

impl AuditLog {
    /// `zone` is that of the Agent, which writes local times. The file need not be there yet.
    pub fn new(path: PathBuf, zone: TimeZone, reporter: Reporter) -> Self {
        Self { tail: Tail::new(path), zone, reporter }
    }

    /// Tells of packets until nobody listens or the file cannot be read.
    pub fn run(&mut self, clock: impl Fn() -> u64) -> Result<(), TailError> {
        while !self.reporter.is_closed() {
            let is_there = self.poll(clock())?;
            self.reporter.set_active(is_there);
            // Nothing tells when a file grows that is also renamed and made anew.
            std::thread::sleep(PERIOD);
        }
        Ok(())
    }

    /// Tells of the lines that were written since. Returns whether there is a file.
    pub fn poll(&mut self, now: u64) -> Result<bool, TailError> {
        let Self { tail, zone, reporter } = self;
        tail.poll(&mut |line| match line {
            Ok(line) => tell(line, zone, reporter, now),
            Err(Broken::TooLong) => reporter.lost(Loss::TooLong, 1),
            Err(Broken::Torn) => reporter.lost(Loss::Malformed, 1),
        })
    }
}

fn tell(line: &[u8], zone: &TimeZone, reporter: &Reporter, now: u64) {
    let Ok(line) = Line::read(line) else {
        return reporter.lost(Loss::Malformed, 1);
    };
    // Allowed, or handed to an L7 engine.
    let Some(action) = line.action else { return };
    reporter.tell_in_time(Denied {
        time_ns: instant(line.time, zone, now),
        original: line.tuple,
        service: None,
        octets: line.length.saturating_mul(line.packets),
        packets: line.packets,
        direction: line.direction,
        action,
        rule: line.rule(),
        other_rule: None,
        mark: None,
        source: reporter.source(),
    });
}

/// What a clock on the wall meant: where it was set back, of two times the one nearer to `now`.
fn instant(time: jiff::civil::DateTime, zone: &TimeZone, now: u64) -> u64 {
    let read = zone.to_ambiguous_timestamp(time);
    let candidates = [read.earlier(), read.later()];
    let nanoseconds =
        candidates.into_iter().filter_map(|time| u64::try_from(time.ok()?.as_nanosecond()).ok());
    nanoseconds.min_by_key(|time| time.abs_diff(now)).unwrap_or(now)
}

/// What a line says, but for numbers and times: packets, and words that are in it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn understand(line: &[u8]) -> Option<(u64, Vec<String>)> {
    let line = Line::read(line).ok()?;
    line.rule();
    Some((line.packets, vec![line.policy.to_owned(), line.rule.to_owned()]))
}

#[cfg(test)]
mod tests;
