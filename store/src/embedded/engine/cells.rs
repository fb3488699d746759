//! What a batch holds, by column.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Int32Type, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::Row;
use crate::query::{Column, Source, Value, value_of};

/// A column that is not of the type its name promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} has type {found}, expected {expected}")]
pub(super) struct WrongType {
    column: &'static str,
    expected: &'static str,
    found: DataType,
}

/// The numbers in a column. A column that the file lacks has what a record has by default.
pub(super) fn numbers(batch: &RecordBatch, column: Column) -> Result<Cow<'_, [u64]>, WrongType> {
    let Source::Derived(derived) = column.source() else {
        return stored_numbers(batch, column);
    };
    let [one, other] = derived.inputs().map(Column::by_name);
    let (Some(one), Some(other)) = (one, other) else { return Ok(Cow::Owned(Vec::new())) };
    let (one, other) = (stored_numbers(batch, one)?, stored_numbers(batch, other)?);
    Ok(one.iter().zip(other.iter()).map(|(one, other)| derived.of([*one, *other])).collect())
}

fn stored_numbers(batch: &RecordBatch, column: Column) -> Result<Cow<'_, [u64]>, WrongType> {
    let default = match value_of(column, &Row::default()) {
        Value::Number(number) => number,
        _ => 0,
    };
    let Some(array) = batch.column_by_name(column.name()) else {
        return Ok(vec![default; batch.num_rows()].into());
    };
    let expected = "a number";
    let wrong = || WrongType { column: column.name(), expected, found: array.data_type().clone() };
    Ok(match array.data_type() {
        DataType::UInt8 => widened::<UInt8Type>(array.as_primitive(), default, u64::from),
        DataType::UInt16 => widened::<UInt16Type>(array.as_primitive(), default, u64::from),
        DataType::UInt32 => widened::<UInt32Type>(array.as_primitive(), default, u64::from),
        DataType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            if array.null_count() == 0 {
                return Ok(Cow::Borrowed(array.values()));
            }
            widened(array, default, |value| value)
        }
        // A time before 1970 is none that a writer has written.
        DataType::Timestamp(..) => {
            let array: &PrimitiveArray<TimestampMillisecondType> =
                array.as_primitive_opt().ok_or_else(wrong)?;
            widened(array, default, |value| u64::try_from(value).unwrap_or(0))
        }
        _ => return Err(wrong()),
    })
}

fn widened<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    default: u64,
    widen: impl Fn(T::Native) -> u64,
) -> Cow<'_, [u64]> {
    if array.null_count() == 0 {
        return array.values().iter().map(|value| widen(*value)).collect();
    }
    array.iter().map(|value| value.map_or(default, &widen)).collect()
}

/// The text in a column: names, addresses or labels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Texts<'a> {
    /// Nothing anywhere: the file lacks the column.
    Absent,
    Codes {
        codes: &'a [i32],
        nulls: Option<&'a NullBuffer>,
        dictionary: &'a StringArray,
    },
}

impl<'a> Texts<'a> {
    pub(super) fn of(batch: &'a RecordBatch, column: Column) -> Result<Self, WrongType> {
        let Some(array) = batch.column_by_name(column.name()) else { return Ok(Self::Absent) };
        let expected = "a dictionary of text";
        let wrong =
            || WrongType { column: column.name(), expected, found: array.data_type().clone() };
        let array: &DictionaryArray<Int32Type> = array.as_dictionary_opt().ok_or_else(wrong)?;
        let dictionary = array.values().as_string_opt::<i32>().ok_or_else(wrong)?;
        let nulls = array.keys().nulls().filter(|nulls| nulls.null_count() > 0);
        Ok(Self::Codes { codes: array.keys().values(), nulls, dictionary })
    }
}

/// Whether both are one dictionary: that of a row group serves all of its batches.
pub(super) fn is_same(one: &StringArray, other: &StringArray) -> bool {
    one.len() == other.len()
        && std::ptr::eq(one.value_offsets(), other.value_offsets())
        && std::ptr::eq(one.value_data(), other.value_data())
}
