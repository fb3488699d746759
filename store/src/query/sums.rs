//! Whether sums of rows over steps of time can stand for the rows.

use super::{Column, Condition, Function, Grouping, Key, Predicate, Range, Source};

impl Grouping {
    /// The columns that groups are told apart by.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> {
        self.keys.iter().filter_map(|key| match *key {
            Key::Column(column) => Some(column),
            Key::Time { .. } => None,
        })
    }

    /// How long its intervals are, if it has any.
    pub(crate) fn step_ms(&self) -> Option<u64> {
        self.keys.iter().find_map(|key| match *key {
            Key::Time { step_ms } => Some(step_ms),
            Key::Column(_) => None,
        })
    }

    /// A column that sums lack, or have only as a sum where its values are wanted.
    pub(crate) fn lacking(
        &self,
        filter: &Predicate,
        is_key: impl Fn(&'static str) -> bool,
        is_summed: impl Fn(&'static str) -> bool,
    ) -> Option<Column> {
        let is_key = |column: Column| column.stored().all(&is_key);
        let is_summed = |column: Column| column.stored().all(&is_summed);
        let filters = self.aggregates.iter().filter_map(|aggregate| aggregate.only.as_ref());
        let conditions = filters.chain([filter]).flat_map(Predicate::conditions);
        let tested = conditions.flat_map(Condition::columns);
        let aggregated = self.aggregates.iter().filter_map(|it| {
            let column = it.function.column()?;
            let is_there = match it.function {
                Function::Sum(_) | Function::Rate(_) => is_summed(column),
                _ => is_key(column),
            };
            (!is_there).then_some(column)
        });
        self.columns().chain(tested).filter(|column| !is_key(*column)).chain(aggregated).next()
    }
}

impl Column {
    /// The stored columns that its value is made of.
    pub(crate) fn stored(self) -> impl Iterator<Item = &'static str> {
        let (one, others) = match self.source() {
            Source::Derived(derived) => (None, Some(derived.inputs())),
            Source::Inserted | Source::Field(_) => (Some(self.name()), None),
        };
        one.into_iter().chain(others.into_iter().flatten())
    }
}

impl Range {
    /// Whether it begins and ends with a step.
    pub(crate) fn is_of_steps(self, step_ms: u64) -> bool {
        self.whole_steps(step_ms) == Some(self)
    }

    /// The whole steps in it, if there are any.
    pub(crate) fn whole_steps(self, step_ms: u64) -> Option<Self> {
        let since_ms = self.since_ms.checked_next_multiple_of(step_ms)?;
        let until_ms = self.until_ms - self.until_ms % step_ms;
        (since_ms < until_ms).then_some(Self { since_ms, until_ms })
    }
}
