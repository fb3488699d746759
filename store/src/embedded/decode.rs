//! Columns become records again.
//!
//! Columns are found by name and checked by type. A column that a file lacks leaves the default,
//! and one that nobody knows is ignored: files of older and of newer versions stay readable.

use std::str::FromStr;
use std::sync::LazyLock;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{
    DataType, Int32Type, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use flow::{Access, Field, FlowRecord, Interner, Name};
use hashbrown::HashMap;

use super::columns::TIME_INSERTED;
use crate::Row;

/// So many distinct names are shared between the records that a reader returns.
const INTERNED_NAMES: usize = 65_536;

/// A file whose columns are not what their names promise.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("column {column} has type {found}, expected {expected}")]
    Type { column: &'static str, expected: &'static str, found: DataType },
    #[error("column {column} holds {found:?}, which is nothing of the kind")]
    Text { column: &'static str, found: String },
    #[error("the dictionary of column {column} has no entry {key}")]
    Key { column: &'static str, key: i32 },
}

/// Turns batches into rows. Keeps the names it has seen, so that rows share them.
#[derive(Debug)]
pub(crate) struct Decoder {
    names: Interner,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { names: Interner::new(INTERNED_NAMES) }
    }

    /// The rows of a batch, with the attributes of which the batch has a column.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<Row>, DecodeError> {
        let mut rows = vec![Row::default(); batch.num_rows()];
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            if field.name() == TIME_INSERTED {
                let set = |row: &mut Row, value| row.inserted_ms = unsigned(value);
                primitive::<TimestampMillisecondType>(TIME_INSERTED, array, &mut rows, set)?;
            } else if let Some(field) = field_named(field.name()) {
                self.column(field, array, &mut rows)?;
            }
        }
        Ok(rows)
    }

    fn column(
        &mut self,
        field: &'static Field,
        array: &dyn Array,
        rows: &mut [Row],
    ) -> Result<(), DecodeError> {
        let name = field.name;
        match field.access {
            Access::U8 { set, .. } => {
                primitive::<UInt8Type>(name, array, rows, |row, v| set(&mut row.record, v))
            }
            Access::U16 { set, .. } => {
                primitive::<UInt16Type>(name, array, rows, |row, v| set(&mut row.record, v))
            }
            Access::U32 { set, .. } => {
                primitive::<UInt32Type>(name, array, rows, |row, v| set(&mut row.record, v))
            }
            Access::U64 { set, .. } => {
                primitive::<UInt64Type>(name, array, rows, |row, v| set(&mut row.record, v))
            }
            Access::Milliseconds { set, .. } => {
                primitive::<TimestampMillisecondType>(name, array, rows, |row, v| {
                    set(&mut row.record, unsigned(v));
                })
            }
            Access::Ip { set, .. } => {
                parsed(name, array, rows, |row, v| set(&mut row.record, Some(v)))
            }
            Access::Uuid { set, .. } => {
                parsed(name, array, rows, |row, v| set(&mut row.record, Some(v)))
            }
            Access::Name { set, .. } => self.names(name, array, rows, Interner::intern, set),
            Access::Labels { set, .. } => {
                self.names(name, array, rows, Interner::intern_labels, set)
            }
            Access::Seconds { .. } => Ok(()), // its twin in milliseconds is the column
        }
    }

    fn names(
        &mut self,
        column: &'static str,
        array: &dyn Array,
        rows: &mut [Row],
        share: fn(&mut Interner, &str) -> Name,
        set: fn(&mut FlowRecord, Name),
    ) -> Result<(), DecodeError> {
        let (keys, values) = dictionary(column, array)?;
        // Neighbouring rows often share a name; looking up an equal key again is the main cost.
        let mut last = (-1, Name::default());
        for (row, key) in rows.iter_mut().zip(keys) {
            let Some(key) = key else { continue };
            if key != last.0 {
                last = (key, share(&mut self.names, entry(column, values, key)?));
            }
            set(&mut row.record, last.1.clone());
        }
        Ok(())
    }
}

fn primitive<T: ArrowPrimitiveType>(
    column: &'static str,
    array: &dyn Array,
    rows: &mut [Row],
    set: impl Fn(&mut Row, T::Native),
) -> Result<(), DecodeError> {
    let expected = std::any::type_name::<T>();
    let array: &PrimitiveArray<T> =
        array.as_primitive_opt().ok_or_else(|| wrong_type(column, expected, array))?;
    if array.null_count() == 0 {
        rows.iter_mut().zip(array.values()).for_each(|(row, value)| set(row, *value));
        return Ok(());
    }
    for (row, value) in rows.iter_mut().zip(array) {
        if let Some(value) = value {
            set(row, value);
        }
    }
    Ok(())
}

/// A column of addresses or UUIDs.
fn parsed<T: FromStr + Copy>(
    column: &'static str,
    array: &dyn Array,
    rows: &mut [Row],
    set: impl Fn(&mut Row, T),
) -> Result<(), DecodeError> {
    let (keys, texts) = dictionary(column, array)?;
    let parse = |text: &str| {
        let wrong = |_| DecodeError::Text { column, found: text.chars().take(50).collect() };
        text.parse().map_err(wrong)
    };
    // What no row names may be anything, and is not looked at.
    let mut last = None;
    for (row, key) in rows.iter_mut().zip(keys) {
        let Some(key) = key else { continue };
        let value = match last {
            Some((known, value)) if known == key => value,
            _ => {
                let text = entry(column, texts, key)?;
                if text.is_empty() { None } else { Some(parse(text)?) }
            }
        };
        last = Some((key, value));
        if let Some(value) = value {
            set(row, value);
        }
    }
    Ok(())
}

fn dictionary<'a>(
    column: &'static str,
    array: &'a dyn Array,
) -> Result<(&'a Int32Array, &'a StringArray), DecodeError> {
    let wrong = || wrong_type(column, "a dictionary of text", array);
    let array: &DictionaryArray<Int32Type> = array.as_dictionary_opt().ok_or_else(wrong)?;
    let values = array.values().as_string_opt().ok_or_else(wrong)?;
    Ok((array.keys(), values))
}

fn entry<'a>(
    column: &'static str,
    values: &'a StringArray,
    key: i32,
) -> Result<&'a str, DecodeError> {
    let index = usize::try_from(key).ok().filter(|index| *index < values.len());
    index.map(|index| values.value(index)).ok_or(DecodeError::Key { column, key })
}

fn wrong_type(column: &'static str, expected: &'static str, array: &dyn Array) -> DecodeError {
    DecodeError::Type { column, expected, found: array.data_type().clone() }
}

/// A time before 1970 is none that a writer has written.
fn unsigned(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or(0)
}

fn field_named(name: &str) -> Option<&'static Field> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Field>> =
        LazyLock::new(|| Field::columns().map(|field| (field.name, field)).collect());
    BY_NAME.get(name).copied()
}

/// The columns in which two records differ.
///
/// Questions name the members of [`FlowRecord`] they need by changing them; which columns these
/// are stays the business of the table of fields.
pub(crate) fn columns_changed_by(change: impl FnOnce(&mut FlowRecord)) -> Vec<&'static str> {
    let before = FlowRecord::default();
    let mut after = FlowRecord::default();
    change(&mut after);
    let differs = |field: &&Field| match field.access {
        Access::U8 { get, .. } => get(&before) != get(&after),
        Access::U16 { get, .. } => get(&before) != get(&after),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => get(&before) != get(&after),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => get(&before) != get(&after),
        Access::Ip { get, .. } => get(&before) != get(&after),
        Access::Name { get, .. } | Access::Labels { get, .. } => get(&before) != get(&after),
        Access::Uuid { get, .. } => get(&before) != get(&after),
    };
    Field::columns().filter(differs).map(|field| field.name).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, UInt64Array};

    use super::*;
    use crate::embedded::columns::Columns;

    fn batch(column: &str, array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([(column, array)]).unwrap()
    }

    #[test]
    fn a_changed_member_names_its_column() {
        assert_eq!(columns_changed_by(|record| record.flow_id = 1), ["flowId"]);
        assert_eq!(columns_changed_by(|_| ()), [""; 0]);
    }

    #[test]
    fn columns_that_are_missing_or_unknown_do_no_harm() {
        let batch = batch("comment", Arc::new(StringArray::from(vec!["x", "y"])));
        assert_eq!(Decoder::new().rows(&batch), Ok(vec![Row::default(); 2]));
    }

    #[test]
    fn nulls_leave_the_default() {
        let batch = batch("flowId", Arc::new(UInt64Array::from(vec![None, Some(5)])));
        let rows = Decoder::new().rows(&batch).unwrap();
        assert_eq!(rows.iter().map(|row| row.record.flow_id).collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn a_wrong_type_is_an_error_and_so_is_a_wrong_address() {
        let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["x"])) };
        let names: DictionaryArray<Int32Type> = ["x"].into_iter().collect();
        for (column, array, message) in [
            ("flowId", text(), "column flowId has type Utf8, expected"),
            ("sourcePodName", text(), "column sourcePodName has type Utf8, expected a dictionary"),
            (
                "sourceIP",
                Arc::new(names),
                "column sourceIP holds \"x\", which is nothing of the kind",
            ),
        ] {
            let error = Decoder::new().rows(&batch(column, array)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn rows_share_their_names() {
        let mut record = FlowRecord::default();
        record.source.pod = "web-0".into();
        let mut columns = Columns::new();
        columns.append(&[record.clone(), FlowRecord::default(), record], 1);
        let rows = Decoder::new().rows(&columns.take().unwrap()).unwrap();
        let pod = |row: &Row| row.record.source.pod.clone();
        assert!(std::ptr::eq(pod(&rows[0]).as_str(), pod(&rows[2]).as_str()));
    }
}
