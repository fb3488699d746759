//! How coarse the files may be that an answer comes from.

use crate::embedded::{Tier, sums};
use crate::query::{Query, Range, Wanted};

/// The coarsest tier of an answer, and why it was not a coarser one. What of its times are not
/// whole steps comes from finer ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub tier: Tier,
    /// For people to read.
    pub why: String,
}

impl Choice {
    fn new(tier: Tier, why: impl Into<String>) -> Self {
        Self { tier, why: why.into() }
    }
}

/// The coarsest tier that has all that the query is about, and of which a step fits into its times.
pub fn choose_tier(query: &Query) -> Choice {
    let grouping = match &query.wanted {
        Wanted::Groups(grouping) => grouping,
        Wanted::Rows(_) => return Choice::new(Tier::Raw, "single records are wanted"),
    };
    if query.as_of_ms.is_some() {
        return Choice::new(Tier::Raw, "sums do not tell when their records were inserted");
    }
    if let Some(column) = grouping.lacking(&query.filter, sums::is_key, sums::is_summed) {
        return Choice::new(Tier::Raw, format!("sums do not have {column}"));
    }
    let mut why = "the coarsest there is".to_owned();
    for tier in Tier::SUMS.into_iter().rev() {
        let Some(tier_ms) = tier.step_ms() else { continue };
        let name = tier.name();
        if grouping.step_ms().is_some_and(|step| !step.is_multiple_of(tier_ms)) {
            why = format!("intervals are not made of whole steps of {name}");
        } else if query.range.whole_steps(tier_ms).is_some() {
            return Choice::new(tier, why);
        } else {
            why = format!("the time range has no whole step of {name}");
        }
    }
    Choice::new(Tier::Raw, why)
}

/// Some of the times of a query, and the tier that tells of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub range: Range,
    pub tier: Tier,
}

/// The whole range, oldest part first: of each tier up to the coarsest as many whole steps as no
/// coarser one has, and records for what is left at both ends.
pub(super) fn parts(range: Range, coarsest: Tier) -> Vec<Part> {
    let Some((finer, step_ms)) = coarsest.source().zip(coarsest.step_ms()) else {
        return vec![Part { range, tier: coarsest }];
    };
    let Some(whole) = range.whole_steps(step_ms) else { return parts(range, finer) };
    let mut all = Vec::new();
    if range.since_ms < whole.since_ms {
        all = parts(Range { until_ms: whole.since_ms, ..range }, finer);
    }
    all.push(Part { range: whole, tier: coarsest });
    if whole.until_ms < range.until_ms {
        all.extend(parts(Range { since_ms: whole.until_ms, ..range }, finer));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{
        Aggregate, Column, Condition, Function, GroupOrder, Grouping, Key, Limits, Listing, Range,
        RowOrder,
    };

    const HOUR: u64 = 3_600_000;

    fn column(name: &str) -> Column {
        Column::by_name(name).unwrap()
    }

    fn series() -> Query {
        Query {
            range: Range { since_ms: HOUR, until_ms: 25 * HOUR },
            as_of_ms: None,
            filter: Condition::Has(column("sourcePodNamespace")).into(),
            wanted: Wanted::Groups(Grouping {
                keys: vec![
                    Key::Column(column("destinationPodNamespace")),
                    Key::Time { step_ms: 2 * HOUR },
                ],
                aggregates: vec![
                    Function::Sum(column("octets")).into(),
                    Aggregate {
                        function: Function::Count,
                        only: Some(Condition::Has(column("verdict")).into()),
                    },
                ],
                order: GroupOrder::Keys,
                limit: 10,
                others: true,
            }),
            limits: Limits::default(),
        }
    }

    #[track_caller]
    fn check(tier: Tier, why: &str, change: impl FnOnce(&mut Query)) {
        let mut query = series();
        change(&mut query);
        query.check().unwrap();
        assert_eq!(choose_tier(&query), Choice::new(tier, why));
    }

    fn grouping(query: &mut Query) -> &mut Grouping {
        match &mut query.wanted {
            Wanted::Groups(grouping) => grouping,
            Wanted::Rows(_) => panic!("not one of groups"),
        }
    }

    #[test]
    fn a_tier_has_what_is_asked_for_and_steps_that_fit() {
        check(Tier::Hour, "the coarsest there is", |_| ());
        check(Tier::FiveMinutes, "intervals are not made of whole steps of 1h", |query| {
            grouping(query).keys[1] = Key::Time { step_ms: HOUR / 4 };
        });
        check(Tier::Hour, "the coarsest there is", |query| query.range.until_ms += 1);
        let range = "the time range has no whole step of";
        check(Tier::FiveMinutes, &format!("{range} 1h"), |query| {
            query.range = Range { since_ms: HOUR + 1, until_ms: 3 * HOUR - 1 };
        });
        check(Tier::Minute, &format!("{range} 5m"), |query| {
            query.range.until_ms = query.range.since_ms + 60_000;
        });
        check(Tier::Raw, &format!("{range} 1m"), |query| {
            query.range.until_ms = query.range.since_ms + 59_999;
        });
        check(Tier::Raw, "intervals are not made of whole steps of 1m", |query| {
            query.range.until_ms = query.range.since_ms + 60_000;
            grouping(query).keys[1] = Key::Time { step_ms: 1000 };
        });
    }

    #[test]
    fn what_is_less_than_a_step_comes_from_finer_tiers() {
        const MINUTE: u64 = 60_000;
        let parts = |since_ms, until_ms, tier| -> Vec<_> {
            let parts = parts(Range { since_ms, until_ms }, tier).into_iter();
            parts.map(|it| (it.range.since_ms, it.range.until_ms, it.tier)).collect()
        };
        let [two, ten] = [2, 10].map(|hours| hours * HOUR);
        assert_eq!(parts(two, ten, Tier::Hour), [(two, ten, Tier::Hour)]);
        assert_eq!(parts(two + 1, ten, Tier::Raw), [(two + 1, ten, Tier::Raw)]);
        let since = two - 7 * MINUTE - 1;
        let until = ten + 5 * MINUTE + 2;
        let expected = [
            (since, two - 7 * MINUTE, Tier::Raw),
            (two - 7 * MINUTE, two - 5 * MINUTE, Tier::Minute),
            (two - 5 * MINUTE, two, Tier::FiveMinutes),
            (two, ten, Tier::Hour),
            (ten, ten + 5 * MINUTE, Tier::FiveMinutes),
            (ten + 5 * MINUTE, until, Tier::Raw),
        ];
        assert_eq!(parts(since, until, Tier::Hour), expected);
        assert_eq!(parts(two + 1, two + MINUTE, Tier::Hour), [(two + 1, two + MINUTE, Tier::Raw)]);
        let all = parts(0, Range::ALL.until_ms, Tier::Hour);
        assert_eq!((all[0].0, all[0].2), (0, Tier::Hour));
    }

    #[test]
    fn what_sums_do_not_have_comes_from_records() {
        check(Tier::Raw, "sums do not have sourcePodName", |query| {
            query.filter = Condition::Has(column("sourcePodName")).into();
        });
        check(Tier::Raw, "sums do not have sourceIP", |query| {
            grouping(query).keys[0] = Key::Column(column("sourceIP"));
        });
        check(Tier::Raw, "sums do not have flowId", |query| {
            grouping(query).aggregates[0] = Function::Distinct(column("flowId")).into();
        });
        // A sum of sums is right, the smallest of them is not.
        check(Tier::Raw, "sums do not have octetDeltaCount", |query| {
            grouping(query).aggregates[0] = Function::Min(column("octetDeltaCount")).into();
        });
        check(Tier::Raw, "sums do not have protocolIdentifier", |query| {
            grouping(query).aggregates[0] = Function::Sum(column("protocolIdentifier")).into();
        });
        check(Tier::Raw, "sums do not have octets", |query| {
            grouping(query).aggregates[1].only = Some(Condition::Has(column("octets")).into());
        });
        check(Tier::Raw, "sums do not tell when their records were inserted", |query| {
            query.as_of_ms = Some(1);
        });
        check(Tier::Raw, "single records are wanted", |query| {
            query.wanted = Wanted::Rows(Listing {
                columns: vec![column("sourcePodNamespace")],
                order: RowOrder::NewestFirst,
                limit: 10,
                after: None,
            });
        });
    }
}
