//! How coarse the files may be that an answer comes from.

use crate::embedded::{Tier, sums};
use crate::query::{Query, Wanted};

/// A tier, and why it was not a coarser one.
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

/// The coarsest tier that has all that the query is about, and whose steps fit into its times.
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
        } else if query.range.is_of_steps(tier_ms) {
            return Choice::new(tier, why);
        } else {
            why = format!("the time range does not begin and end with a step of {name}");
        }
    }
    Choice::new(Tier::Raw, why)
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
        let range = "the time range does not begin and end with a step of";
        check(Tier::Minute, &format!("{range} 5m"), |query| query.range.since_ms += 60_000);
        check(Tier::Raw, &format!("{range} 1m"), |query| query.range.until_ms += 1);
        check(Tier::Raw, "intervals are not made of whole steps of 1m", |query| {
            query.range.until_ms = query.range.since_ms + 60_000;
            grouping(query).keys[1] = Key::Time { step_ms: 1000 };
        });
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
