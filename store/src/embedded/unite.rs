//! The same column of several batches as one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use hashbrown::HashMap;

/// The column with this index of all batches, with one dictionary if it has one.
pub(crate) fn united(batches: &[RecordBatch], index: usize) -> Result<ArrayRef, ArrowError> {
    let columns = || batches.iter().map(|batch| batch.column(index).as_ref());
    let texts: Option<Vec<&DictionaryArray<Int32Type>>> =
        columns().map(|column| column.as_dictionary_opt()).collect();
    match texts {
        Some(texts) => united_texts(&texts),
        None => concat(&columns().collect::<Vec<_>>()),
    }
}

fn united_texts(columns: &[&DictionaryArray<Int32Type>]) -> Result<ArrayRef, ArrowError> {
    let rows = columns.iter().map(|it| it.keys().len()).sum();
    let (mut keys, mut values) = (Vec::with_capacity(rows), Vec::new());
    let mut known = HashMap::new();
    for column in columns {
        let other = || ArrowError::SchemaError("a dictionary of other than text".to_owned());
        let texts = column.values().as_string_opt::<i32>().ok_or_else(other)?;
        let mut mapped: Vec<Option<i32>> = vec![None; texts.len()];
        for key in column.keys() {
            let Some(key) = key.and_then(|key| usize::try_from(key).ok()) else {
                keys.push(0);
                continue;
            };
            let number = *mapped[key].get_or_insert_with(|| {
                *known.entry(texts.value(key)).or_insert_with_key(|text| {
                    values.push(*text);
                    // Fewer rows than 2^31 are held at once.
                    i32::try_from(values.len() - 1).unwrap_or(i32::MAX)
                })
            });
            keys.push(number);
        }
    }
    let nulls = columns.iter().any(|column| column.null_count() > 0).then(|| {
        let valid = columns.iter().flat_map(|it| (0..it.len()).map(move |row| it.is_valid(row)));
        valid.collect::<NullBuffer>()
    });
    let keys = Int32Array::try_new(keys.into(), nulls)?;
    let values = StringArray::from_iter_values(values);
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_one_dictionary_once() {
        let batch = |texts: &[Option<&str>]| {
            let column: DictionaryArray<Int32Type> = texts.iter().copied().collect();
            RecordBatch::try_from_iter([("text", Arc::new(column) as ArrayRef)]).unwrap()
        };
        let batches = [batch(&[Some("a"), None, Some("b")]), batch(&[Some("b"), Some("c")])];
        let column = united(&batches, 0).unwrap();
        let column: &DictionaryArray<Int32Type> = column.as_dictionary();
        let texts = column.downcast_dict::<StringArray>().unwrap();
        let texts: Vec<_> = texts.into_iter().collect();
        assert_eq!(texts, [Some("a"), None, Some("b"), Some("b"), Some("c")]);
        assert_eq!(column.values().len(), 3);
    }
}
