//! What objects are called.

use flow::FlowRecord;
use jiff::Timestamp;
use store::Mark;

use super::object::Begin;
use super::{Format, Naming, Options};

/// Characters of a name, as Antrea's: 62 bits.
const LENGTH: usize = 12;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The key of an object that begins there and then.
///
/// With a log to refer to, the name follows from the place; without, it is random, as nobody will
/// ever have to find it again.
pub(super) fn key(options: &Options, begin: Begin) -> String {
    let number = begin.mark.map_or_else(rand::random, number);
    let extension = match options.format {
        Format::Csv { compress: true, .. } => "csv.gz",
        Format::Csv { compress: false, .. } => "csv",
        Format::Parquet => "parquet",
    };
    let mut key = String::new();
    if !options.prefix.is_empty() {
        key.extend([options.prefix.as_str(), "/"]);
    }
    if options.naming == Naming::Hive {
        let time = i64::try_from(begin.now_ms).map(Timestamp::from_millisecond);
        let time = time.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX);
        key += &time.strftime("date=%Y-%m-%d/hour=%H/").to_string();
    }
    key.extend(["records-", &characters(number), ".", extension]);
    key
}

/// Different for each place of a log. Logs have random numbers.
fn number(mark: Mark) -> u64 {
    mix(mark.log ^ mix(mark.record))
}

/// The last step of `SplitMix64` (Steele, Lea, Flood 2014, figure 17), which maps no two numbers
/// to one.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn characters(mut number: u64) -> String {
    let mut name = String::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        let index = usize::try_from(number % 36).unwrap_or_default();
        name.push(ALPHABET.get(index).map_or('a', |byte| char::from(*byte)));
        number /= 36;
    }
    name
}

/// Where the first of `records` is in the log, of which the last is before `mark`.
pub(super) fn first(records: &[FlowRecord], behind: Mark) -> Mark {
    Mark { record: behind.record.saturating_sub(records.len() as u64), ..behind }
}
