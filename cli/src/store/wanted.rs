//! Which rows.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use store::query::{
    Aggregate, Column, Comparison, Condition, Function, Glob, GroupOrder, Grouping, Kind, Limits,
    Listing, Predicate, Query, Range, RowOrder, Source, TextTest, Wanted,
};

/// The end of what can be asked for, in milliseconds since 1970.
const END_MS: u64 = i64::MAX.unsigned_abs();

#[derive(Debug, Clone, clap::Args)]
pub(super) struct WantedArgs {
    /// Only flows that ended at this time or later, such as 2026-11-21T08:00:00Z, or 24h before now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only flows that ended before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Only flows from or to Pods of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only rows with this value: a number, a name in which * and ? stand for others, an address or
    /// a network. Given again, all must hold
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = condition)]
    conditions: Vec<Condition>,
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
        let until_ms = ms(self.until).unwrap_or(END_MS);
        Range { since_ms: ms(self.since).unwrap_or(0), until_ms }
    }

    fn filter(&self) -> Predicate {
        let mut all: Vec<_> = self.conditions.iter().cloned().map(Predicate::from).collect();
        if let Some(namespace) = &self.namespace {
            let ends = ["sourcePodNamespace", "destinationPodNamespace"];
            let ends = ends.into_iter().filter_map(Column::by_name);
            let test = |column| {
                let test = TextTest::Equals(namespace.clone());
                Predicate::from(Condition::Text { column, test })
            };
            all.push(Predicate::Or(ends.map(test).collect()));
        }
        Predicate::And(all)
    }

    /// All rows of a range, in the order in which they lie there.
    pub(super) fn rows(&self, range: Range) -> Query {
        let listing = Listing {
            columns: stored_columns(),
            order: RowOrder::AsStored,
            limit: END_MS,
            after: None,
        };
        self.query(range, Wanted::Rows(listing))
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
        self.query(range, Wanted::Groups(grouping))
    }

    fn query(&self, range: Range, wanted: Wanted) -> Query {
        let limits = Limits { rows: u64::MAX, ..Limits::default() };
        Query { range, as_of_ms: None, filter: self.filter(), wanted, limits }
    }
}

/// All that a row has, the time of insertion first.
pub(super) fn stored_columns() -> Vec<Column> {
    Column::all().filter(|column| !matches!(column.source(), Source::Derived(_))).collect()
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

fn condition(text: &str) -> Result<Condition, String> {
    let (name, value) = text.split_once('=').ok_or("expected COLUMN=VALUE")?;
    let column = Column::by_name(name)
        .ok_or_else(|| format!("there is no column {name}; docs/store.md lists them"))?;
    match column.kind() {
        Kind::Number | Kind::Port | Kind::Time => {
            let value = value.parse().map_err(|_| format!("{name} holds numbers"))?;
            Ok(Condition::Number { column, comparison: Comparison::Equal, value })
        }
        Kind::Address => {
            let net = value.parse::<IpAddr>().map(IpNet::from).or_else(|_| value.parse::<IpNet>());
            let net = net.map_err(|_| format!("{name} holds addresses"))?;
            Ok(Condition::AddressIn { column, ranges: vec![net.into()] })
        }
        Kind::Text if value.contains(['*', '?']) => {
            Ok(Condition::Text { column, test: TextTest::Glob(Glob::new(value)) })
        }
        Kind::Text => Ok(Condition::Text { column, test: TextTest::Equals(value.to_owned()) }),
        Kind::Labels => Err(format!("{name} cannot be asked for like this")),
    }
}
