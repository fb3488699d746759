//! Groups as statements, and groups of what comes back.
//!
//! Each row of an answer is a group: the place of its series (0 for those that are not shown), how
//! many series there are, the keys of the series, its interval's beginning, the aggregates.

use super::columns::{Columns, cell, order};
use super::decode::Cell;
use super::{Asked, Parameters, condition, wanted_rows};
use crate::query::{
    Aggregate, Function, Group, GroupOrder, Grouping, Groups, Key, Query, Range, Value,
};

pub(super) fn statement(columns: &Columns, query: &Query, grouping: &Grouping) -> Asked {
    let keys: Vec<_> = grouping.columns().collect();
    let step_ms = grouping.step_ms();
    let mut cells = vec![Cell::Number, Cell::Number];
    cells.extend(keys.iter().map(|key| cell(*key)));
    cells.extend(step_ms.map(|_| Cell::Number));
    cells.extend(grouping.aggregates.iter().map(|aggregate| match aggregate.function {
        Function::Min(_) | Function::Max(_) => Cell::NumberOrNone,
        _ => Cell::Number,
    }));
    let mut parameters = Parameters::default();
    let (text, scans) = match (keys.is_empty(), step_ms) {
        (true, _) => (one_series(columns, query, grouping, &mut parameters), 1),
        (false, None) if !grouping.others => (series(columns, query, grouping, &mut parameters), 1),
        (false, _) => (intervals(columns, query, grouping, &mut parameters), 2),
    };
    Asked { statement: parameters.statement(text), cells, scans }
}

fn names(grouping: &Grouping) -> Vec<String> {
    (0..grouping.columns().count()).map(|number| format!("k{number}")).collect()
}

fn keyed(columns: &Columns, grouping: &Grouping) -> Vec<String> {
    let keys = grouping.columns().zip(names(grouping));
    keys.map(|(key, name)| format!("{} AS {name}", columns.value(key))).collect()
}

/// The interval of a row.
fn interval(columns: &Columns, grouping: &Grouping) -> Option<String> {
    grouping.step_ms().map(|step| format!("intDiv({}, {step}) * {step} AS t", columns.end()))
}

fn aggregates(columns: &Columns, grouping: &Grouping, parameters: &mut Parameters) -> Vec<String> {
    let numbered = grouping.aggregates.iter().enumerate();
    numbered.map(|(n, it)| format!("{} AS a{n}", aggregate(columns, it, parameters))).collect()
}

/// A rate comes as its sum.
fn aggregate(columns: &Columns, aggregate: &Aggregate, parameters: &mut Parameters) -> String {
    let value = |column| Some(columns.value(column));
    let (name, value, present) = match aggregate.function {
        Function::Count => match columns.records() {
            Some(records) => ("sum", Some(records.to_owned()), None),
            None => ("count", None, None),
        },
        Function::Sum(column) | Function::Rate(column) => ("sum", value(column), None),
        Function::Min(column) => ("minOrNull", value(column), columns.present(column)),
        Function::Max(column) => ("maxOrNull", value(column), columns.present(column)),
        Function::Distinct(column) => ("uniqExact", value(column), columns.present(column)),
    };
    let only = aggregate.only.as_ref().map(|it| condition::expression(columns, it, parameters));
    let conditions: Vec<_> = present.into_iter().chain(only).collect();
    if conditions.is_empty() {
        return format!("{name}({})", value.unwrap_or_default());
    }
    let condition = conditions.join(" AND ");
    let arguments: Vec<_> = value.into_iter().chain([format!("({condition})")]).collect();
    format!("{name}If({})", arguments.join(", "))
}

/// All rows are one series.
fn one_series(
    columns: &Columns,
    query: &Query,
    grouping: &Grouping,
    parameters: &mut Parameters,
) -> String {
    let mut shown = vec!["toUInt64(1)".to_owned(), "toUInt64(1)".to_owned()];
    let interval = interval(columns, grouping);
    let by = if interval.is_some() { " GROUP BY t ORDER BY t" } else { "" };
    shown.extend(interval);
    shown.extend(aggregates(columns, grouping, parameters));
    let wanted = wanted_rows(columns, query, parameters);
    format!("SELECT {} FROM {} WHERE {wanted}{by}", shown.join(", "), columns.table())
}

/// Each series is a group, and only those that come first are wanted.
fn series(
    columns: &Columns,
    query: &Query,
    grouping: &Grouping,
    parameters: &mut Parameters,
) -> String {
    let names = names(grouping).join(", ");
    let mut inner = keyed(columns, grouping);
    inner.extend(aggregates(columns, grouping, parameters));
    let wanted = wanted_rows(columns, query, parameters);
    let values: Vec<_> = (0..grouping.aggregates.len()).map(|n| format!("a{n}")).collect();
    let rank = match grouping.order {
        GroupOrder::Aggregate { index, .. } => format!("a{index}"),
        GroupOrder::Keys => String::new(),
    };
    format!(
        "SELECT toUInt64(1), toUInt64(count() OVER ()), {names}, {} \
         FROM (SELECT {} FROM {} WHERE {wanted} GROUP BY {names}) \
         ORDER BY {} LIMIT {}",
        values.join(", "),
        inner.join(", "),
        columns.table(),
        ranking(query, grouping, &rank),
        grouping.limit
    )
}

/// Which series come first is found out first, then what they amount to in each interval.
fn intervals(
    columns: &Columns,
    query: &Query,
    grouping: &Grouping,
    parameters: &mut Parameters,
) -> String {
    let names = names(grouping);
    let joined = names.join(", ");
    let mut totals = keyed(columns, grouping);
    if let GroupOrder::Aggregate { index, .. } = grouping.order
        && let Some(ranked_by) = grouping.aggregates.get(index)
    {
        totals.push(format!("{} AS r", aggregate(columns, ranked_by, parameters)));
    }
    let wanted = wanted_rows(columns, query, parameters);
    let ranking = ranking(query, grouping, "r");
    let ranked = format!(
        "SELECT {joined}, toUInt64(row_number() OVER (ORDER BY {ranking})) AS place, \
         toUInt64(count() OVER ()) AS series \
         FROM (SELECT {} FROM {} WHERE {wanted} GROUP BY {joined}) \
         ORDER BY place LIMIT {}",
        totals.join(", "),
        columns.table(),
        grouping.limit
    );
    let mut shown = vec!["place".to_owned(), "max(series)".to_owned()];
    // One place is one series; what keys the others have does not matter.
    shown.extend(names.iter().map(|name| format!("any({name})")));
    let interval = interval(columns, grouping);
    let by = if interval.is_some() { "place, t" } else { "place" };
    shown.extend(interval);
    shown.extend(aggregates(columns, grouping, parameters));
    let join = if grouping.others { "LEFT" } else { "INNER" };
    format!(
        "SELECT {} FROM (SELECT {}, * FROM {} WHERE {wanted}) AS f \
         {join} JOIN ({ranked}) AS s USING ({joined}) \
         GROUP BY {by} ORDER BY {by}",
        shown.join(", "),
        keyed(columns, grouping).join(", "),
        columns.table()
    )
}

/// How series are ordered whose ranking aggregate is called `rank`.
fn ranking(query: &Query, grouping: &Grouping, rank: &str) -> String {
    let mut parts = Vec::new();
    if let GroupOrder::Aggregate { index, descending } = grouping.order {
        let is_rate = matches!(
            grouping.aggregates.get(index).map(|aggregate| aggregate.function),
            Some(Function::Rate(_))
        );
        // Different sums may be one rate, which is rounded.
        let rank = if is_rate {
            format!("toFloat64({rank}) * 1000. / toFloat64({})", query.range.len_ms())
        } else {
            rank.to_owned()
        };
        // Nothing is less than any number.
        parts.push(if descending {
            format!("{rank} DESC NULLS LAST")
        } else {
            format!("{rank} ASC NULLS FIRST")
        });
    }
    let keys = grouping.columns().zip(names(grouping));
    parts.extend(keys.flat_map(|(key, name)| order(key, &name)));
    parts.join(", ")
}

pub(super) fn groups(grouping: &Grouping, range: Range, rows: Vec<Vec<Value>>) -> Groups {
    let (mut answer, mut places, mut series) = (Groups::default(), 0, 0);
    let mut last = None;
    let is_each_a_series = grouping.step_ms().is_none() && !grouping.others;
    for row in rows {
        let mut values = row.into_iter();
        let place = number(values.next().as_ref());
        series = series.max(number(values.next().as_ref()));
        let keys: Vec<_> = values.by_ref().take(grouping.columns().count()).collect();
        let time = grouping.step_ms().map(|_| number(values.next().as_ref()));
        let group = group(grouping, range, (place > 0).then_some(keys), time, values);
        if place == 0 {
            answer.others.push(group);
            continue;
        }
        if is_each_a_series || last != Some(place) {
            places += 1;
        }
        last = Some(place);
        answer.groups.push(group);
    }
    answer.folded = series.saturating_sub(places);
    answer
}

fn number(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Number(number)) => *number,
        _ => 0,
    }
}

fn group(
    grouping: &Grouping,
    range: Range,
    keys: Option<Vec<Value>>,
    time: Option<u64>,
    values: impl Iterator<Item = Value>,
) -> Group {
    let mut keys = keys.into_iter().flatten();
    let mut shown = Vec::new();
    let mut span_ms = range.len_ms();
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
    let values = grouping.aggregates.iter().zip(values);
    let values = values.map(|(aggregate, value)| match (aggregate.function, value) {
        (Function::Rate(_), Value::Number(sum)) => Function::rate(sum, span_ms),
        (_, value) => value,
    });
    Group { keys: shown, values: values.collect() }
}
