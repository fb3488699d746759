//! Flow Records as columns of Arrow arrays.
//!
//! The columns are those of [`Field::columns`], by name, behind the time of insertion. Names are
//! kept as dictionaries: a Pod's name is stored once per file, however many flows it has.

use std::fmt::{Display, Write};
use std::hash::Hash;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Int32Type, Schema, SchemaRef, TimeUnit,
};
use arrow::error::ArrowError;
use flow::{Access, Field, FlowRecord, Name, Uid};
use hashbrown::HashMap;

/// The column that says when a row was inserted.
pub const TIME_INSERTED: &str = "timeInserted";

/// So many records stay in the nearest cache while each column takes its part of them.
const NEAR: usize = 32;

/// What an address takes as text, at most, with its offset.
const ADDRESS_SIZE: usize = 48;
/// What a UUID takes as text, at most, with its offset.
const UUID_SIZE: usize = 40;

/// The columns of a file, and their types.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let inserted = ArrowField::new(TIME_INSERTED, timestamp(), false);
        let fields = Field::columns().map(|field| {
            let nullable = matches!(field.access, Access::Ip { .. } | Access::Uuid { .. });
            ArrowField::new(field.name, data_type(field.access), nullable)
        });
        Arc::new(Schema::new(std::iter::once(inserted).chain(fields).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// The schema of a file, with the columns of names as dictionaries wherever they hold text.
///
/// Parquet itself knows dictionaries only as an encoding: every file's names are plain text to it.
pub(crate) fn with_dictionaries(file: &Schema) -> SchemaRef {
    let schema = schema();
    let column = |column: &FieldRef| match schema.field_with_name(column.name()) {
        Ok(ours) if *column.data_type() == DataType::Utf8 => {
            Arc::new(column.as_ref().clone().with_data_type(ours.data_type().clone()))
        }
        _ => Arc::clone(column),
    };
    Arc::new(Schema::new(file.fields().iter().map(column).collect::<Vec<_>>()))
}

/// The columns of counters and times, in which hardly a value is repeated.
///
/// Parquet's dictionaries, its default, would hash each value for nothing.
pub(crate) fn of_large_numbers() -> impl Iterator<Item = &'static str> {
    let is_large =
        |field: &&Field| matches!(field.access, Access::U64 { .. } | Access::Milliseconds { .. });
    std::iter::once(TIME_INSERTED).chain(Field::columns().filter(is_large).map(|field| field.name))
}

/// The columns of names and addresses.
pub(crate) fn of_text() -> impl Iterator<Item = &'static str> {
    let is_text = |field: &&Field| {
        matches!(
            field.access,
            Access::Ip { .. } | Access::Name { .. } | Access::Labels { .. } | Access::Uuid { .. }
        )
    };
    Field::columns().filter(is_text).map(|field| field.name)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn data_type(access: Access) -> DataType {
    match access {
        Access::U8 { .. } => DataType::UInt8,
        Access::U16 { .. } => DataType::UInt16,
        Access::U32 { .. } => DataType::UInt32,
        Access::U64 { .. } => DataType::UInt64,
        Access::Seconds { .. } | Access::Milliseconds { .. } => timestamp(),
        Access::Ip { .. } | Access::Uuid { .. } | Access::Name { .. } | Access::Labels { .. } => {
            DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
        }
    }
}

/// Rows that are being collected.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    inserted: Vec<i64>,
    attributes: Vec<Column>,
    /// What names and addresses take, in bytes: the part that does not follow from the rows.
    text: usize,
}

impl Columns {
    pub(crate) fn new() -> Self {
        let attributes = Field::columns().filter_map(|field| Column::new(field.access)).collect();
        Self { inserted: Vec::new(), attributes, text: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.inserted.len()
    }

    pub(crate) fn text(&self) -> usize {
        self.text
    }

    pub(crate) fn append(&mut self, records: &[FlowRecord], now_ms: u64) {
        self.inserted.resize(self.inserted.len() + records.len(), signed(now_ms));
        for records in records.chunks(NEAR) {
            for column in &mut self.attributes {
                self.text += column.append(records);
            }
        }
    }

    /// Takes the rows out.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.text = 0;
        let mut arrays: Vec<ArrayRef> = vec![times(&mut self.inserted)];
        for column in &mut self.attributes {
            arrays.push(column.take()?);
        }
        RecordBatch::try_new(schema(), arrays)
    }
}

#[derive(Debug, Clone)]
enum Column {
    U8 { get: fn(&FlowRecord) -> u8, values: Vec<u8> },
    U16 { get: fn(&FlowRecord) -> u16, values: Vec<u16> },
    U32 { get: fn(&FlowRecord) -> u32, values: Vec<u32> },
    U64 { get: fn(&FlowRecord) -> u64, values: Vec<u64> },
    Milliseconds { get: fn(&FlowRecord) -> u64, values: Vec<i64> },
    Ip { get: fn(&FlowRecord) -> Option<IpAddr>, values: Texts<IpAddr> },
    Name { get: fn(&FlowRecord) -> &Name, values: Names },
    Uuid { get: fn(&FlowRecord) -> Option<Uid>, values: Texts<Uid> },
}

impl Column {
    /// `None` for times in seconds, which are not kept as columns.
    fn new(access: Access) -> Option<Self> {
        Some(match access {
            Access::U8 { get, .. } => Self::U8 { get, values: Vec::new() },
            Access::U16 { get, .. } => Self::U16 { get, values: Vec::new() },
            Access::U32 { get, .. } => Self::U32 { get, values: Vec::new() },
            Access::U64 { get, .. } => Self::U64 { get, values: Vec::new() },
            Access::Milliseconds { get, .. } => Self::Milliseconds { get, values: Vec::new() },
            Access::Ip { get, .. } => Self::Ip { get, values: Texts::default() },
            Access::Name { get, .. } | Access::Labels { get, .. } => {
                Self::Name { get, values: Names::default() }
            }
            Access::Uuid { get, .. } => Self::Uuid { get, values: Texts::default() },
            Access::Seconds { .. } => return None,
        })
    }

    /// Returns how many bytes of text were added.
    fn append(&mut self, records: &[FlowRecord]) -> usize {
        match self {
            Self::U8 { get, values } => values.extend(records.iter().map(*get)),
            Self::U16 { get, values } => values.extend(records.iter().map(*get)),
            Self::U32 { get, values } => values.extend(records.iter().map(*get)),
            Self::U64 { get, values } => values.extend(records.iter().map(*get)),
            Self::Milliseconds { get, values } => {
                values.extend(records.iter().map(|record| signed(get(record))));
            }
            Self::Ip { get, values } => {
                let added = records.iter().filter(|record| values.append(get(record))).count();
                return added * ADDRESS_SIZE;
            }
            Self::Uuid { get, values } => {
                let added = records.iter().filter(|record| values.append(get(record))).count();
                return added * UUID_SIZE;
            }
            Self::Name { get, values } => {
                return records.iter().map(|record| values.append(get(record))).sum();
            }
        }
        0
    }

    fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::U8 { values, .. } => Arc::new(UInt8Array::from(mem::take(values))),
            Self::U16 { values, .. } => Arc::new(UInt16Array::from(mem::take(values))),
            Self::U32 { values, .. } => Arc::new(UInt32Array::from(mem::take(values))),
            Self::U64 { values, .. } => Arc::new(UInt64Array::from(mem::take(values))),
            Self::Milliseconds { values, .. } => times(values),
            Self::Ip { values, .. } => Arc::new(mem::take(values).finish()?),
            Self::Uuid { values, .. } => Arc::new(mem::take(values).finish()?),
            Self::Name { values, .. } => Arc::new(mem::take(values).finish()?),
        })
    }
}

/// A dictionary that is being filled.
///
/// Arrow's own builder hashes the text of every value. Here runs of one shared [`Name`] and the
/// empty name, which together are most of what is appended, cost a comparison of pointers.
#[derive(Debug, Default, Clone)]
struct Names {
    keys: Vec<i32>,
    known: HashMap<Name, i32>,
    values: Vec<Name>,
}

impl Names {
    /// Returns how many bytes the name adds to the dictionary.
    fn append(&mut self, name: &Name) -> usize {
        if let Some(&last) = self.keys.last()
            && let Some(value) = usize::try_from(last).ok().and_then(|last| self.values.get(last))
            && std::ptr::eq(value.as_str(), name.as_str())
        {
            self.keys.push(last);
            return 0;
        }
        if let Some(&key) = self.known.get(name) {
            self.keys.push(key);
            return 0;
        }
        // The writer seals a batch long before it has 2^31 names.
        let key = i32::try_from(self.values.len()).unwrap_or(i32::MAX);
        self.keys.push(key);
        self.values.push(name.clone());
        self.known.insert(name.clone(), key);
        name.len()
    }

    fn finish(self) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        let values = StringArray::from_iter_values(self.values.iter().map(Name::as_str));
        DictionaryArray::try_new(Int32Array::from(self.keys), Arc::new(values))
    }
}

/// A dictionary of addresses or UUIDs, which become text only once each.
#[derive(Debug, Clone)]
struct Texts<T> {
    keys: Vec<Option<i32>>,
    known: HashMap<T, i32>,
    values: Vec<T>,
}

impl<T> Default for Texts<T> {
    fn default() -> Self {
        Self { keys: Vec::new(), known: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash + Display> Texts<T> {
    /// Returns whether the dictionary has grown.
    fn append(&mut self, value: Option<T>) -> bool {
        let Some(value) = value else {
            self.keys.push(None);
            return false;
        };
        let next = i32::try_from(self.values.len()).unwrap_or(i32::MAX);
        let key = *self.known.entry(value).or_insert(next);
        self.keys.push(Some(key));
        let is_new = key == next;
        if is_new {
            self.values.push(value);
        }
        is_new
    }

    fn finish(self) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        let mut texts = StringBuilder::new();
        for value in &self.values {
            // Writing into a builder cannot fail; a value that did would be stored as empty text.
            write!(texts, "{value}").unwrap_or_default();
            texts.append_value("");
        }
        DictionaryArray::try_new(Int32Array::from(self.keys), Arc::new(texts.finish()))
    }
}

fn times(values: &mut Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(mem::take(values)).with_timezone("UTC"))
}

/// The last millisecond of the year 9999, as which later times are stored: others cannot write
/// them, or not even read them.
pub const LAST_TIME_MS: u64 = 253_402_300_799_999;

/// The time that is stored for `time_ms`: later ones than can be told become the last one.
pub(crate) fn stored_time(time_ms: u64) -> u64 {
    time_ms.min(LAST_TIME_MS)
}

fn signed(time_ms: u64) -> i64 {
    i64::try_from(stored_time(time_ms)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_out_fits_the_schema_and_leaves_nothing_behind() {
        let mut columns = Columns::new();
        let mut record = FlowRecord::default();
        record.source.pod = Name::from("web-0");
        columns.append(&[record.clone(), record], 7);
        let batch = columns.take().unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (2, schema()));
        assert_eq!((columns.rows(), columns.text()), (0, 0));
        assert_eq!(columns.take().unwrap().num_rows(), 0);
    }

    #[test]
    fn a_name_is_counted_and_kept_once() {
        let mut names = Names::default();
        let (a, b) = (Name::from("aaaa"), Name::from("bb"));
        let added: Vec<_> =
            [&a, &b, &a, &Name::default(), &Name::from("bb")].map(|name| names.append(name)).into();
        assert_eq!(added, [4, 2, 0, 0, 0]);
        assert_eq!(names.keys, [0, 1, 0, 2, 1]);
    }
}
