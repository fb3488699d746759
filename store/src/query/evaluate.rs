//! The plain judge: row by row, with nothing clever in it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use flow::{Access, Name};

use super::{
    Aggregate, Answer, Column, Condition, Cursor, Function, Group, GroupOrder, Grouping, Groups,
    Key, Listing, Predicate, Query, Range, RowOrder, Rows, Source, Value, Wanted,
};
use crate::Row;

/// The answer to a query that has been checked, if these are all rows there are.
///
/// Limits do not apply. Rows that come [`RowOrder::AsStored`] come in the order given.
pub fn evaluate(query: &Query, rows: &[Row]) -> Answer {
    let counted: Vec<&Row> = rows
        .iter()
        .filter(|row| query.range.contains(row.record.end_ms))
        .filter(|row| query.as_of_ms.is_none_or(|as_of| row.inserted_ms <= as_of))
        .filter(|row| holds(&query.filter, row))
        .collect();
    match &query.wanted {
        Wanted::Rows(listing) => Answer::Rows(list(listing, &counted)),
        Wanted::Groups(grouping) => Answer::Groups(group(grouping, query.range, &counted)),
    }
}

/// The value of a column in a row.
pub fn value_of(column: Column, row: &Row) -> Value {
    let record = &row.record;
    let field = match column.source() {
        Source::Inserted => return Value::Number(row.inserted_ms),
        Source::Derived(derived) => {
            let inputs = derived.inputs().map(|name| match Column::by_name(name) {
                Some(column) => number_of(column, row),
                None => 0,
            });
            return Value::Number(derived.of(inputs));
        }
        Source::Field(field) => field,
    };
    match field.access {
        Access::U8 { get, .. } => Value::Number(get(record).into()),
        Access::U16 { get, .. } => Value::Number(get(record).into()),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => Value::Number(get(record).into()),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => Value::Number(get(record)),
        Access::Ip { get, .. } => Value::address(get(record)),
        Access::Name { get, .. } | Access::Labels { get, .. } => Value::Text(get(record).clone()),
        Access::Uuid { get, .. } => Value::Text(
            get(record).map_or_else(Default::default, |uid| Name::from(uid.to_string().as_str())),
        ),
    }
}

fn number_of(column: Column, row: &Row) -> u64 {
    match value_of(column, row) {
        Value::Number(number) => number,
        _ => 0,
    }
}

/// The value of a column, unless it is absent.
fn present(column: Column, row: &Row) -> Option<Value> {
    match value_of(column, row) {
        Value::None => None,
        Value::Number(0) if column.kind().zero_is_absent() => None,
        Value::Text(text) if text.is_empty() => None,
        value => Some(value),
    }
}

/// Whether a row fulfils a predicate.
pub fn holds(predicate: &Predicate, row: &Row) -> bool {
    match predicate {
        Predicate::And(parts) => parts.iter().all(|part| holds(part, row)),
        Predicate::Or(parts) => parts.iter().any(|part| holds(part, row)),
        Predicate::Not(inner) => !holds(inner, row),
        Predicate::Is(condition) => is(condition, row),
    }
}

fn is(condition: &Condition, row: &Row) -> bool {
    match condition {
        Condition::Has(column) => present(*column, row).is_some(),
        Condition::Number { column, comparison, value } => present(*column, row)
            .is_some_and(|found| comparison.holds(found.cmp(&Value::Number(*value)))),
        Condition::NumberIn { column, values } => present(*column, row)
            .is_some_and(|found| values.iter().any(|value| found == Value::Number(*value))),
        Condition::AddressIn { column, ranges } => match present(*column, row) {
            Some(Value::Address(address)) => ranges.iter().any(|range| range.contains(address)),
            _ => false,
        },
        Condition::Text { column, test } => match present(*column, row) {
            Some(Value::Text(text)) => test.holds(&text),
            _ => false,
        },
        Condition::HasLabel { column, key } => label(*column, key, row).is_some(),
        Condition::Label { column, key, test } => {
            label(*column, key, row).is_some_and(|value| test.holds(&value))
        }
        Condition::Columns { left, comparison, right } => {
            match (present(*left, row), present(*right, row)) {
                (Some(left), Some(right)) => comparison.holds(left.cmp(&right)),
                _ => false,
            }
        }
    }
}

fn label(column: Column, key: &str, row: &Row) -> Option<String> {
    let Some(Value::Text(text)) = present(column, row) else { return None };
    let labels: serde_json::Value = serde_json::from_str(&text).ok()?;
    labels.get(key)?.as_str().map(str::to_owned)
}

fn list(listing: &Listing, rows: &[&Row]) -> Rows {
    let shown = |row: &Row| -> Vec<Value> {
        listing.columns.iter().map(|column| value_of(*column, row)).collect()
    };
    let mut ordered: Vec<(u64, u64, Vec<Value>)> =
        rows.iter().map(|row| (row.record.end_ms, row.record.flow_id, shown(row))).collect();
    match listing.order {
        RowOrder::NewestFirst => ordered.sort_by(|one, other| other.cmp(one)),
        RowOrder::OldestFirst => ordered.sort(),
        RowOrder::AsStored => {
            let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
            let rows = ordered.into_iter().map(|(_, _, values)| values).take(limit).collect();
            return Rows { rows, next: None };
        }
    }
    let seen = listing.after.map_or(0, |after| skipped(&ordered, after, listing.order));
    let end = seen.saturating_add(usize::try_from(listing.limit).unwrap_or(usize::MAX));
    let next = ordered.get(end).and(ordered.get(end - 1)).map(|&(end_ms, flow_id, _)| Cursor {
        end_ms,
        flow_id,
        seen: ordered[..end].iter().filter(|row| (row.0, row.1) == (end_ms, flow_id)).count()
            as u64,
    });
    let page = ordered.into_iter().skip(seen).take(end - seen);
    Rows { rows: page.map(|(_, _, values)| values).collect(), next }
}

/// How many of the ordered rows are on the pages before.
fn skipped(ordered: &[(u64, u64, Vec<Value>)], after: Cursor, order: RowOrder) -> usize {
    let last = (after.end_ms, after.flow_id);
    let before = |row: &&(u64, u64, Vec<Value>)| {
        let ordering = (row.0, row.1).cmp(&last);
        ordering == if order == RowOrder::OldestFirst { Ordering::Less } else { Ordering::Greater }
    };
    let before = ordered.iter().filter(before).count();
    let alike = ordered.iter().filter(|row| (row.0, row.1) == last).count();
    before + alike.min(usize::try_from(after.seen).unwrap_or(usize::MAX))
}

/// What a group has seen; one state for each aggregate.
#[derive(Clone, Default)]
struct State {
    count: u64,
    sum: u64,
    min: Option<Value>,
    max: Option<Value>,
    distinct: BTreeSet<Value>,
}

impl State {
    fn add(&mut self, aggregate: &Aggregate, row: &Row) {
        if aggregate.only.as_ref().is_some_and(|only| !holds(only, row)) {
            return;
        }
        self.count += 1;
        let Some(column) = aggregate.function.column() else { return };
        match aggregate.function {
            Function::Sum(_) | Function::Rate(_) => {
                self.sum = self.sum.wrapping_add(number_of(column, row));
            }
            _ => self.distinct.extend(present(column, row)),
        }
        self.min = self.distinct.first().cloned();
        self.max = self.distinct.last().cloned();
    }

    fn value(&self, function: Function, span_ms: u64) -> Value {
        match function {
            Function::Count => Value::Number(self.count),
            Function::Sum(_) => Value::Number(self.sum),
            Function::Rate(_) => Function::rate(self.sum, span_ms),
            Function::Min(_) => self.min.clone().unwrap_or(Value::None),
            Function::Max(_) => self.max.clone().unwrap_or(Value::None),
            Function::Distinct(_) => Value::Number(self.distinct.len() as u64),
        }
    }
}

/// A group's keys that are not times, and the beginning of its interval if it has one.
type GroupKey = (Vec<Value>, Option<u64>);

fn group(grouping: &Grouping, range: Range, rows: &[&Row]) -> Groups {
    let blank = vec![State::default(); grouping.aggregates.len()];
    let add = |states: &mut Vec<State>, row: &Row| {
        for (state, aggregate) in states.iter_mut().zip(&grouping.aggregates) {
            state.add(aggregate, row);
        }
    };
    let mut series: BTreeMap<Vec<Value>, Vec<State>> = BTreeMap::new();
    if grouping.keys.is_empty() {
        series.insert(Vec::new(), blank.clone());
    }
    for row in rows {
        add(series.entry(key_of(grouping, row).0).or_insert_with(|| blank.clone()), row);
    }
    let mut ranked: Vec<(&Vec<Value>, &Vec<State>)> = series.iter().collect();
    if let GroupOrder::Aggregate { index, descending } = grouping.order {
        let rank = |states: &Vec<State>| {
            states[index].value(grouping.aggregates[index].function, range.len_ms())
        };
        // Stable: series of one rank stay in the order of their keys.
        ranked.sort_by(|one, other| {
            let ordering = rank(one.1).cmp(&rank(other.1));
            if descending { ordering.reverse() } else { ordering }
        });
    }
    let shown: Vec<Vec<Value>> =
        ranked.iter().take(grouping.limit).map(|(keys, _)| (*keys).clone()).collect();
    let mut groups: BTreeMap<(usize, GroupKey), Vec<State>> = BTreeMap::new();
    if grouping.keys.is_empty() {
        groups.insert((0, (Vec::new(), None)), blank.clone());
    }
    for row in rows {
        let (keys, time) = key_of(grouping, row);
        let at = shown.iter().position(|shown| *shown == keys);
        let key = match at {
            Some(at) => (at, (keys, time)),
            None => (shown.len(), (Vec::new(), time)),
        };
        add(groups.entry(key).or_insert_with(|| blank.clone()), row);
    }
    let mut answer = Groups { folded: (series.len() - shown.len()) as u64, ..Groups::default() };
    for ((at, key), states) in groups {
        let group = finish(grouping, range, key, &states);
        if at < shown.len() {
            answer.groups.push(group);
        } else if grouping.others {
            answer.others.push(group);
        }
    }
    answer
}

fn key_of(grouping: &Grouping, row: &Row) -> GroupKey {
    let mut time = None;
    let mut keys = Vec::new();
    for key in &grouping.keys {
        match *key {
            Key::Column(column) => keys.push(value_of(column, row)),
            Key::Time { step_ms } => time = Some(row.record.end_ms / step_ms * step_ms),
        }
    }
    (keys, time)
}

fn finish(grouping: &Grouping, range: Range, key: GroupKey, states: &[State]) -> Group {
    let (keys, time) = key;
    let mut keys = keys.into_iter();
    let mut span_ms = range.len_ms();
    let mut shown = Vec::new();
    for key in &grouping.keys {
        match (key, time) {
            (Key::Column(_), _) => shown.extend(keys.next()),
            (Key::Time { step_ms }, Some(time)) => {
                shown.push(Value::Number(time));
                span_ms = range.interval(time, *step_ms);
            }
            (Key::Time { .. }, None) => {}
        }
    }
    let values = grouping.aggregates.iter().zip(states);
    let values = values.map(|(aggregate, state)| state.value(aggregate.function, span_ms));
    Group { keys: shown, values: values.collect() }
}

impl Range {
    /// How many milliseconds the interval that begins at `time` has in common with the range.
    pub(crate) fn interval(self, time: u64, step_ms: u64) -> u64 {
        self.until_ms.min(time.saturating_add(step_ms)).saturating_sub(self.since_ms.max(time))
    }
}
