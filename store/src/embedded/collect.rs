//! Values of one column that are being collected.

use std::fmt::{Display, Write};
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, DictionaryArray, Int32Array, PrimitiveArray, StringArray,
    StringBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, Int32Type};
use arrow::error::ArrowError;
use hashbrown::HashMap;

/// The key of a row that has no value.
const ABSENT: i32 = -1;

/// Zeros that all columns of a batch share that hold nothing else.
#[derive(Debug)]
pub(super) struct Zeros {
    buffer: Buffer,
    rows: usize,
}

impl Zeros {
    pub(super) fn new(rows: usize) -> Self {
        Self { buffer: Buffer::from(vec![0_u64; rows]), rows }
    }

    pub(super) fn of<T: ArrowNativeType>(&self) -> ScalarBuffer<T> {
        ScalarBuffer::new(self.buffer.clone(), 0, self.rows)
    }
}

/// Numbers. As long as all are the same they take no memory: most columns are of what few flows
/// have.
#[derive(Debug, Default, Clone)]
pub(super) struct Numbers<T> {
    same: T,
    rows: usize,
    /// Empty as long as all are the same.
    values: Vec<T>,
}

impl<T: Copy + Default + PartialEq> Numbers<T> {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    pub(super) fn append<I: Iterator<Item = T> + Clone>(&mut self, values: I, count: usize) {
        if self.values.is_empty() {
            if self.rows == 0 {
                self.same = values.clone().next().unwrap_or_default();
            }
            if values.clone().all(|value| value == self.same) {
                self.rows += count;
                return;
            }
            self.values.resize(self.rows, self.same);
        }
        self.values.extend(values);
        self.rows += count;
    }

    #[inline]
    fn push(&mut self, value: T) {
        self.append(std::iter::once(value), 1);
    }

    /// Takes the numbers out.
    pub(super) fn take(&mut self, zeros: &Zeros) -> ScalarBuffer<T>
    where
        T: ArrowNativeType,
    {
        let Self { same, rows, values } = std::mem::take(self);
        if !values.is_empty() {
            values.into()
        } else if same == T::default() {
            zeros.of()
        } else {
            vec![same; rows].into()
        }
    }

    pub(super) fn array<A: ArrowPrimitiveType<Native = T>>(
        &mut self,
        zeros: &Zeros,
    ) -> PrimitiveArray<A>
    where
        T: ArrowNativeType,
    {
        PrimitiveArray::new(self.take(zeros), None)
    }
}

/// Values that many rows share, each once, and which of them a row has.
///
/// A value is known by its place in memory, where it stays as long as it is held here; what is
/// equal to it and lies elsewhere is found by what it is.
#[derive(Debug, Clone)]
pub(super) struct Interned<V> {
    pub keys: Numbers<i32>,
    pub values: Vec<V>,
    last: (usize, i32),
    places: HashMap<usize, i32>,
    known: HashMap<V, i32>,
}

impl<V> Default for Interned<V> {
    fn default() -> Self {
        Self {
            keys: Numbers::default(),
            values: Vec::new(),
            last: (usize::MAX, 0),
            places: HashMap::new(),
            known: HashMap::new(),
        }
    }
}

impl<V: Clone + Eq + Hash> Interned<V> {
    /// Returns whether the value is new.
    #[inline]
    pub(super) fn append(&mut self, place: usize, value: &V) -> bool {
        if place != self.last.0 {
            match self.places.get(&place) {
                Some(key) => self.last = (place, *key),
                None => return self.append_elsewhere(place, value),
            }
        }
        self.keys.push(self.last.1);
        false
    }

    fn append_elsewhere(&mut self, place: usize, value: &V) -> bool {
        let next = i32::try_from(self.values.len()).unwrap_or(i32::MAX);
        let known = self.known.get(value).copied();
        self.keys.push(known.unwrap_or(next));
        if known.is_none() {
            // Its place is nobody else's from now on.
            self.known.insert(value.clone(), next);
            self.values.push(value.clone());
            self.places.insert(place, next);
            self.last = (place, next);
        }
        known.is_none()
    }
}

/// Addresses or UUIDs, which become text only once each.
#[derive(Debug, Clone)]
pub(super) struct Texts<T> {
    keys: Numbers<i32>,
    known: HashMap<T, i32>,
    values: Vec<T>,
}

impl<T> Default for Texts<T> {
    fn default() -> Self {
        Self { keys: Numbers::default(), known: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash + Display> Texts<T> {
    /// Returns whether the dictionary has grown.
    #[inline]
    pub(super) fn append(&mut self, value: Option<T>) -> bool {
        let Some(value) = value else {
            self.keys.push(ABSENT);
            return false;
        };
        let next = i32::try_from(self.values.len()).unwrap_or(i32::MAX);
        let key = *self.known.entry(value).or_insert(next);
        self.keys.push(key);
        let is_new = key == next;
        if is_new {
            self.values.push(value);
        }
        is_new
    }

    pub(super) fn take(&mut self, zeros: &Zeros) -> Result<ArrayRef, ArrowError> {
        let Self { mut keys, values, .. } = std::mem::take(self);
        texts(&keys.take(zeros), values.iter().map(Some), zeros)
    }
}

/// A column of texts, of which each row has one by its key, or none.
pub(super) fn texts<T: Display>(
    keys: &[i32],
    values: impl Iterator<Item = Option<T>>,
    zeros: &Zeros,
) -> Result<ArrayRef, ArrowError> {
    let mut texts = StringBuilder::new();
    let mut present = Vec::new();
    for value in values {
        present.push(value.is_some());
        if let Some(value) = value {
            // Writing into a builder cannot fail; a value that did would be stored as empty text.
            write!(texts, "{value}").unwrap_or_default();
        }
        texts.append_value("");
    }
    let has = |key: &i32| usize::try_from(*key).is_ok_and(|key| present.get(key) == Some(&true));
    let nulls: NullBuffer = if present.contains(&true) {
        keys.iter().map(has).collect()
    } else {
        NullBuffer::new_null(keys.len())
    };
    let keys = match nulls.null_count() {
        0 => Int32Array::new(keys.to_vec().into(), None),
        count if count == keys.len() => Int32Array::new(zeros.of(), Some(nulls)),
        _ => {
            let keys = keys.iter().map(|key| (*key).max(0)).collect();
            Int32Array::new(keys, Some(nulls))
        }
    };
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts.finish()))?))
}

/// A column of names, of which each row has one by its key.
pub(super) fn names<'a>(
    keys: ScalarBuffer<i32>,
    values: impl Iterator<Item = &'a str>,
) -> Result<ArrayRef, ArrowError> {
    let values = StringArray::from_iter_values(values);
    let keys = Int32Array::new(keys, None);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
}

#[cfg(test)]
mod tests {
    use flow::Name;

    use super::*;

    #[test]
    fn numbers_are_what_was_appended_however_late_they_differ() {
        let mut numbers = Numbers::default();
        for chunk in [[7, 7, 7].as_slice(), &[7], &[7, 8], &[]] {
            numbers.append(chunk.iter().copied(), chunk.len());
        }
        assert_eq!(&numbers.take(&Zeros::new(6))[..], [7, 7, 7, 7, 7, 8]);
        numbers.append([0, 0].into_iter(), 2);
        assert_eq!(&numbers.take(&Zeros::new(2))[..], [0, 0], "nothing is left behind");
        numbers.append([5].into_iter(), 1);
        assert_eq!(&numbers.take(&Zeros::new(1))[..], [5]);
    }

    #[test]
    fn a_value_is_kept_once_wherever_it_lies() {
        let mut names = Interned::default();
        let (a, b) = (Name::from("aaaa"), Name::from("bb"));
        let all = [&a, &b, &a, &Name::default(), &Name::from("bb"), &b];
        let new: Vec<_> =
            all.into_iter().map(|name| names.append(name.as_ptr().addr(), name)).collect();
        assert_eq!(new, [true, true, false, true, false, false]);
        assert_eq!(&names.keys.take(&Zeros::new(6))[..], [0, 1, 0, 2, 1, 1]);
        assert_eq!(names.values, [a, b, Name::default()]);
    }
}
