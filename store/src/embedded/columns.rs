//! Flow Records as columns of Arrow arrays.
//!
//! The columns are those of [`Field::columns`], by name, behind the time of insertion. Names are
//! kept as dictionaries: a Pod's name is stored once per file, however many flows it has.

use std::iter::repeat_n;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use flow::{Access, Field, FlowRecord, Name};

use super::collect::{Interned, Numbers, Texts, Zeros, names};
use super::parts::{self, Parts};

/// The column that says when a row was inserted.
pub const TIME_INSERTED: &str = "timeInserted";

/// So many records stay in the nearest cache while each column takes its part of them.
const NEAR: usize = 32;

/// What an address takes as text, at most, with its offset.
const ADDRESS_SIZE: usize = 48;
/// What a UUID takes as text, at most, with its offset.
pub(super) const UUID_SIZE: usize = 40;

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
    inserted: Numbers<i64>,
    /// Behind the time of insertion; those of shared parts are made of the parts.
    attributes: Vec<Option<Column>>,
    parts: Parts,
    /// What names and addresses take, in bytes: the part that does not follow from the rows.
    text: usize,
}

impl Columns {
    pub(crate) fn new() -> Self {
        let attributes = Field::columns()
            .map(|field| parts::of(field).is_none().then(|| Column::new(field.access)).flatten())
            .collect();
        Self { inserted: Numbers::default(), attributes, parts: Parts::default(), text: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.inserted.rows()
    }

    pub(crate) fn text(&self) -> usize {
        self.text
    }

    pub(crate) fn append(&mut self, records: &[FlowRecord], now_ms: u64) {
        self.inserted.append(repeat_n(signed(now_ms), records.len()), records.len());
        for records in records.chunks(NEAR) {
            self.text += self.parts.append(records);
            for column in self.attributes.iter_mut().flatten() {
                self.text += column.append(records);
            }
        }
    }

    /// Takes the rows out.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.text = 0;
        let zeros = Zeros::new(self.rows());
        let mut columns = vec![times(&mut self.inserted, &zeros)];
        let mut parts = self.parts.take(&zeros)?;
        for (index, column) in self.attributes.iter_mut().enumerate() {
            columns.extend(match column {
                Some(column) => Some(column.take(&zeros)?),
                None => parts.remove(&index),
            });
        }
        RecordBatch::try_new(schema(), columns)
    }
}

#[derive(Debug, Clone)]
enum Column {
    U8 { get: fn(&FlowRecord) -> u8, values: Numbers<u8> },
    U16 { get: fn(&FlowRecord) -> u16, values: Numbers<u16> },
    U32 { get: fn(&FlowRecord) -> u32, values: Numbers<u32> },
    U64 { get: fn(&FlowRecord) -> u64, values: Numbers<u64> },
    Milliseconds { get: fn(&FlowRecord) -> u64, values: Numbers<i64> },
    Ip { get: fn(&FlowRecord) -> Option<IpAddr>, values: Texts<IpAddr> },
    Name { get: fn(&FlowRecord) -> &Name, values: Interned<Name> },
}

impl Column {
    /// `None` for times in seconds, which are not kept as columns, and for identities, which are
    /// all of parts.
    fn new(access: Access) -> Option<Self> {
        Some(match access {
            Access::U8 { get, .. } => Self::U8 { get, values: Numbers::default() },
            Access::U16 { get, .. } => Self::U16 { get, values: Numbers::default() },
            Access::U32 { get, .. } => Self::U32 { get, values: Numbers::default() },
            Access::U64 { get, .. } => Self::U64 { get, values: Numbers::default() },
            Access::Milliseconds { get, .. } => {
                Self::Milliseconds { get, values: Numbers::default() }
            }
            Access::Ip { get, .. } => Self::Ip { get, values: Texts::default() },
            Access::Name { get, .. } | Access::Labels { get, .. } => {
                Self::Name { get, values: Interned::default() }
            }
            Access::Uuid { .. } | Access::Seconds { .. } => return None,
        })
    }

    /// Returns how many bytes of text were added.
    fn append(&mut self, records: &[FlowRecord]) -> usize {
        let count = records.len();
        match self {
            Self::U8 { get, values } => values.append(records.iter().map(*get), count),
            Self::U16 { get, values } => values.append(records.iter().map(*get), count),
            Self::U32 { get, values } => values.append(records.iter().map(*get), count),
            Self::U64 { get, values } => values.append(records.iter().map(*get), count),
            Self::Milliseconds { get, values } => {
                values.append(records.iter().map(|record| signed(get(record))), count);
            }
            Self::Ip { get, values } => {
                let added = records.iter().filter(|record| values.append(get(record))).count();
                return added * ADDRESS_SIZE;
            }
            Self::Name { get, values } => {
                let names = records.iter().map(*get);
                return names
                    .map(|name| usize::from(values.append(name.as_ptr().addr(), name)) * name.len())
                    .sum();
            }
        }
        0
    }

    fn take(&mut self, zeros: &Zeros) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::U8 { values, .. } => Arc::new(values.array::<UInt8Type>(zeros)),
            Self::U16 { values, .. } => Arc::new(values.array::<UInt16Type>(zeros)),
            Self::U32 { values, .. } => Arc::new(values.array::<UInt32Type>(zeros)),
            Self::U64 { values, .. } => Arc::new(values.array::<UInt64Type>(zeros)),
            Self::Milliseconds { values, .. } => times(values, zeros),
            Self::Ip { values, .. } => values.take(zeros)?,
            Self::Name { values, .. } => {
                let Interned { mut keys, values, .. } = mem::take(values);
                names(keys.take(zeros), values.iter().map(Name::as_str))?
            }
        })
    }
}

fn times(values: &mut Numbers<i64>, zeros: &Zeros) -> ArrayRef {
    Arc::new(values.array::<TimestampMillisecondType>(zeros).with_timezone("UTC"))
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
        columns.append(&[record.clone()], 7);
        let once = columns.text();
        assert!(once >= 5, "its own, and what parts take at most");
        columns.append(&[record.clone()], 7);
        assert_eq!(columns.text(), once, "it is known");
        let batch = columns.take().unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (2, schema()));
        assert_eq!((columns.rows(), columns.text()), (0, 0));
        assert_eq!(columns.take().unwrap().num_rows(), 0);
    }
}
