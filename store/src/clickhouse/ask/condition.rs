//! Predicates as expressions.

use std::net::IpAddr;

use super::Parameters;
use super::columns::{Columns, is_v4};
use crate::query::{AddressRange, Comparison, Condition, Needle, Predicate, TextTest};

/// As deep as the predicate, which has been checked to be no deeper than a statement may be.
pub(super) fn expression(
    columns: &Columns,
    predicate: &Predicate,
    parameters: &mut Parameters,
) -> String {
    match predicate {
        Predicate::And(parts) => joined(columns, parts, " AND ", "1", parameters),
        Predicate::Or(parts) => joined(columns, parts, " OR ", "0", parameters),
        Predicate::Not(inner) => format!("NOT ({})", expression(columns, inner, parameters)),
        Predicate::Is(condition) => format!("({})", is(columns, condition, parameters)),
    }
}

fn joined(
    columns: &Columns,
    parts: &[Predicate],
    operator: &str,
    of_none: &str,
    parameters: &mut Parameters,
) -> String {
    if parts.is_empty() {
        return of_none.to_owned();
    }
    let parts: Vec<_> = parts.iter().map(|part| expression(columns, part, parameters)).collect();
    format!("({})", parts.join(operator))
}

fn is(columns: &Columns, condition: &Condition, parameters: &mut Parameters) -> String {
    let holds = match condition {
        Condition::Has(_) => None,
        Condition::Number { column, comparison, value } => {
            Some(format!("{} {} {value}", columns.value(*column), sign(*comparison)))
        }
        Condition::NumberIn { column, values } => {
            Some(one_of(&columns.value(*column), values.iter().map(u64::to_string)))
        }
        Condition::AddressIn { column, ranges } => {
            let address = columns.value(*column);
            let within: Vec<_> = ranges.iter().map(|range| within(&address, *range)).collect();
            Some(if within.is_empty() {
                "0".to_owned()
            } else {
                format!("({})", within.join(" OR "))
            })
        }
        Condition::Text { column, test } => Some(text(&columns.value(*column), test, parameters)),
        Condition::HasLabel { column, key } => {
            Some(has_label(&columns.value(*column), &parameters.text(key)))
        }
        Condition::Label { column, key, test } => {
            let (labels, key) = (columns.value(*column), parameters.text(key));
            let value = format!("JSONExtractString({labels}, {key})");
            Some(format!("{} AND {}", has_label(&labels, &key), text(&value, test, parameters)))
        }
        Condition::Columns { left, comparison, right } => {
            let [left, right] = [left, right].map(|column| columns.value(*column));
            Some(format!("{left} {} {right}", sign(*comparison)))
        }
    };
    let present = condition.columns().filter_map(|column| columns.present(column));
    let all: Vec<_> = present.chain(holds).collect();
    if all.is_empty() { "1".to_owned() } else { all.join(" AND ") }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn one_of(value: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "0".to_owned() } else { format!("{value} IN ({})", items.join(", ")) }
}

/// Addresses are written as IPv6, IPv4 ones as mapped.
fn within(address: &str, range: AddressRange) -> String {
    let written = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("toIPv6('{}')", address.to_ipv6_mapped()),
        IpAddr::V6(address) => format!("toIPv6('{address}')"),
    };
    let (first, last) = (range.first(), range.last());
    if first == last {
        return format!("{address} = {}", written(first));
    }
    let between = format!("{address} BETWEEN {} AND {}", written(first), written(last));
    // No IPv6 range holds an IPv4 address.
    if first.is_ipv4() { between } else { format!("({between} AND NOT ({}))", is_v4(address)) }
}

fn has_label(labels: &str, key: &str) -> String {
    format!("JSONType({labels}, {key}) = 'String'")
}

fn text(value: &str, test: &TextTest, parameters: &mut Parameters) -> String {
    match test {
        TextTest::Equals(wanted) => format!("{value} = {}", parameters.text(wanted)),
        TextTest::OneOf(wanted) => {
            let list = serde_json::Value::from(wanted.as_slice()).to_string();
            let list = parameters.text(list);
            format!("{value} IN (SELECT arrayJoin(JSONExtract({list}, 'Array(String)')))")
        }
        TextTest::Glob(glob) => format!("{value} LIKE {}", parameters.text(like(glob.as_str()))),
        TextTest::Contains(needle) => contains(value, needle, parameters),
        TextTest::Matches(pattern) => {
            format!("match({value}, {})", parameters.text(pattern.as_str()))
        }
    }
}

/// A glob as `LIKE` writes it.
fn like(glob: &str) -> String {
    let mut like = String::with_capacity(glob.len());
    for character in glob.chars() {
        match character {
            '*' => like.push('%'),
            '?' => like.push('_'),
            '%' | '_' | '\\' => {
                like.push('\\');
                like.push(character);
            }
            other => like.push(other),
        }
    }
    like
}

/// Sigma is taken out before because `lowerUTF8` minds whether it ends a word.
fn contains(value: &str, needle: &Needle, parameters: &mut Parameters) -> String {
    let needle = parameters.text(needle.lower());
    format!("position(lowerUTF8(replaceAll({value}, 'Σ', 'σ')), {needle}) > 0")
}
