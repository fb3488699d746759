//! Values become a row again.

use flow::{Access, FlowRecord};

use super::{Column, Source, Value};
use crate::Row;

/// The row that has these values: the inverse of [`super::value_of`]. What is derived follows from
/// the rest and is left out. Fails with the first column whose value is none of its own.
///
/// What says nothing is not touched, so that it takes no memory.
pub fn row_of(columns: &[Column], values: &[Value]) -> Result<Row, Column> {
    let mut row = Row::default();
    for (column, value) in columns.iter().zip(values) {
        let put = match (column.source(), value) {
            (Source::Derived(_), _) | (_, Value::None) => Some(()),
            (Source::Inserted, Value::Number(number)) => {
                row.inserted_ms = *number;
                Some(())
            }
            (Source::Inserted, _) => None,
            (Source::Field(field), value) => put(field.access, &mut row.record, value),
        };
        put.ok_or(*column)?;
    }
    Ok(row)
}

fn put(access: Access, record: &mut FlowRecord, value: &Value) -> Option<()> {
    match (access, value) {
        (Access::U8 { get, set }, Value::Number(number)) => number_into(record, *number, get, set),
        (Access::U16 { get, set }, Value::Number(number)) => number_into(record, *number, get, set),
        (Access::U32 { get, set } | Access::Seconds { get, set }, Value::Number(number)) => {
            number_into(record, *number, get, set)
        }
        (Access::U64 { get, set } | Access::Milliseconds { get, set }, Value::Number(number)) => {
            number_into(record, *number, get, set)
        }
        (Access::Ip { set, .. }, Value::Address(address)) => {
            set(record, Some(*address));
            Some(())
        }
        (Access::Name { .. } | Access::Labels { .. } | Access::Uuid { .. }, Value::Text(text))
            if text.is_empty() =>
        {
            Some(())
        }
        (Access::Name { set, .. } | Access::Labels { set, .. }, Value::Text(text)) => {
            set(record, text.clone());
            Some(())
        }
        (Access::Uuid { set, .. }, Value::Text(text)) => {
            set(record, Some(text.parse().ok()?));
            Some(())
        }
        _ => None,
    }
}

fn number_into<T: TryFrom<u64> + PartialEq>(
    record: &mut FlowRecord,
    number: u64,
    get: fn(&FlowRecord) -> T,
    set: fn(&mut FlowRecord, T),
) -> Option<()> {
    let number = T::try_from(number).ok()?;
    if number != get(record) {
        set(record, number);
    }
    Some(())
}
