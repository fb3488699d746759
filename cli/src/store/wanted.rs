//! Which rows.

use std::time::Duration;

use jiff::Timestamp;
use store::query::{
    Aggregate, Column, Function, GroupOrder, Grouping, Limits, Query, Range, Wanted,
};

use super::filter::FilterArgs;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct WantedArgs {
    /// Only flows that ended at this time or later, such as 2026-11-21T08:00:00Z, or 24h before now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only flows that ended before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// A time, or one that depends on the present.
#[derive(Debug, Clone, Copy)]
enum Moment {
    At(u64),
    Ago(Duration),
}

impl Moment {
    fn ms(self, now_ms: u64) -> u64 {
        match self {
            Self::At(ms) => ms,
            Self::Ago(time) => {
                now_ms.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}

impl WantedArgs {
    pub(super) fn range(&self, now_ms: u64) -> Range {
        let ms = |moment: Option<Moment>| moment.map(|moment| moment.ms(now_ms));
        let until_ms = ms(self.until).unwrap_or(Range::ALL.until_ms);
        Range { since_ms: ms(self.since).unwrap_or(0), until_ms }
    }

    /// All rows of a range, in the order in which they lie there.
    pub(super) fn rows(&self, range: Range) -> Query {
        Query::rows(range, self.filter.predicate())
    }

    /// How many rows there are, and when the first and the last of their flows ended.
    pub(super) fn span(&self, range: Range) -> Query {
        let mut aggregates: Vec<Aggregate> = vec![Function::Count.into()];
        if let Some(end) = Column::by_name(Column::END) {
            aggregates.extend([Function::Min(end), Function::Max(end)].map(Aggregate::from));
        }
        let grouping = Grouping {
            keys: Vec::new(),
            aggregates,
            order: GroupOrder::Keys,
            limit: 1,
            others: false,
        };
        let limits = Limits { rows: u64::MAX, ..Limits::default() };
        let (filter, wanted) = (self.filter.predicate(), Wanted::Groups(grouping));
        Query { range, as_of_ms: None, filter, wanted, limits }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = config::duration::parse(text) {
        return Ok(Moment::Ago(ago));
    }
    let time = text.parse::<Timestamp>().ok();
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.map(Moment::At)
        .ok_or_else(|| "expected a time such as 2026-11-21T08:00:00Z, or 24h".to_owned())
}
