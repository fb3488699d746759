//! Conditions on numbers.

use crate::query::{Column, Comparison, Condition};

/// A condition on the numbers of a column.
#[derive(Debug, Clone)]
pub(super) struct NumberTest {
    pub column: Column,
    holds: Holds,
    /// On 0 it is false, because that is no value.
    zero_is_absent: bool,
}

#[derive(Debug, Clone)]
enum Holds {
    Always,
    /// Both included.
    Between(u64, u64),
    Never,
    /// Sorted.
    OneOf(Vec<u64>),
}

impl NumberTest {
    /// `None` if the condition is not one on a number.
    pub(super) fn new(condition: &Condition) -> Option<Self> {
        let (column, holds) = match condition {
            Condition::Has(column) if column.kind().is_numeric() => (*column, Holds::Always),
            Condition::Number { column, comparison, value } => {
                let range = match comparison {
                    Comparison::Equal => Some((*value, *value)),
                    Comparison::Less => value.checked_sub(1).map(|last| (0, last)),
                    Comparison::LessOrEqual => Some((0, *value)),
                    Comparison::Greater => value.checked_add(1).map(|first| (first, u64::MAX)),
                    Comparison::GreaterOrEqual => Some((*value, u64::MAX)),
                };
                (*column, range.map_or(Holds::Never, |(first, last)| Holds::Between(first, last)))
            }
            Condition::NumberIn { column, values } => {
                let mut values = values.clone();
                values.sort_unstable();
                (*column, Holds::OneOf(values))
            }
            _ => return None,
        };
        Some(Self { column, holds, zero_is_absent: column.kind().zero_is_absent() })
    }

    /// From `first` to `last`, both included; 0 is a number like all others.
    pub(super) fn between(column: Column, first: u64, last: u64) -> Self {
        Self { column, holds: Holds::Between(first, last), zero_is_absent: false }
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        if number == 0 && self.zero_is_absent {
            return false;
        }
        match &self.holds {
            Holds::Always => true,
            Holds::Between(first, last) => (*first..=*last).contains(&number),
            Holds::Never => false,
            Holds::OneOf(values) => values.binary_search(&number).is_ok(),
        }
    }

    /// Whether it may hold of a number from `least` to `most`, both included.
    pub(super) fn may_hold(&self, least: u64, most: u64) -> bool {
        let least = if self.zero_is_absent { least.max(1) } else { least };
        if least > most {
            return false;
        }
        match &self.holds {
            Holds::Always => true,
            Holds::Between(first, end) => *first <= most && least <= *end,
            Holds::Never => false,
            Holds::OneOf(values) => values
                .get(values.partition_point(|value| *value < least))
                .is_some_and(|v| *v <= most),
        }
    }

    /// Whether it holds of each number from `least` to `most`, both included.
    pub(super) fn must_hold(&self, least: u64, most: u64) -> bool {
        let has_value = !self.zero_is_absent || least > 0;
        match &self.holds {
            Holds::Always => has_value,
            Holds::Between(first, end) => has_value && *first <= least && most <= *end,
            Holds::Never | Holds::OneOf(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_test() -> impl Strategy<Value = NumberTest> {
        let column = prop_oneof![Just("destinationTransportPort"), Just("octetDeltaCount")];
        let comparison = prop_oneof![
            Just(Comparison::Equal),
            Just(Comparison::Less),
            Just(Comparison::LessOrEqual),
            Just(Comparison::Greater),
            Just(Comparison::GreaterOrEqual)
        ];
        let values = proptest::collection::vec(0_u64..8, 0..4);
        (column, comparison, 0_u64..8, values, 0..3).prop_map(
            |(column, comparison, value, values, which)| {
                let column = Column::by_name(column).unwrap();
                let condition = match which {
                    0 => Condition::Has(column),
                    1 => Condition::Number { column, comparison, value },
                    _ => Condition::NumberIn { column, values },
                };
                NumberTest::new(&condition).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_range_is_true_of_its_numbers(
            test in any_test(), least in 0_u64..8, length in 0_u64..8,
        ) {
            let mut numbers = least..=least + length;
            prop_assert_eq!(test.may_hold(least, least + length), numbers.clone().any(|n| test.holds(n)));
            if test.must_hold(least, least + length) {
                prop_assert!(numbers.all(|n| test.holds(n)));
            }
        }
    }
}
