//! Records become sums over time.
//!
//! A row of sums says what all records of one bucket of time have together that agree in the
//! *keys*: who talks to whom as workloads, over which Service and port, by which policies. Pods,
//! addresses and source ports are left out: these make one row of each record.
//!
//! A bucket may have several rows of one key, in one file or in several. So a record that comes
//! late adds a row and changes none, and whoever reads adds them up.

use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, TimestampMillisecondArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{
    DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType, UInt8Type,
    UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use flow::{FlowEndReason, FlowRecord, FlowType, PolicyRule};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::batches::{FileError, conformed};
use super::columns::schema;
use super::decode::columns_changed_by;
use super::engine::Names;
use super::layout::Tier;

/// When the bucket begins, by the end of flows.
pub const TIME_BUCKET: &str = "timeBucket";
/// How many records a row sums up.
pub const RECORDS: &str = "records";
/// How many of them are the first of their flow: their deltas are their totals.
pub const FLOWS_STARTED: &str = "flowsStarted";
/// How many of them are the last of their flow: the connection has ended.
pub const FLOWS_ENDED: &str = "flowsEnded";

/// So many rows of sums are held at once, of about 300 bytes each.
pub(crate) const MAX_GROUPS: usize = 196_608;
/// Bytes of their names at most, and of those of one batch.
const MAX_NAMES: usize = 64 << 20;

/// Which columns of records become what.
struct Plan {
    start: &'static str,
    end: &'static str,
    end_reason: &'static str,
    /// Of the flow itself, in both directions: what is counted since its beginning, and since the
    /// record before.
    totals: Vec<&'static str>,
    deltas: Vec<&'static str>,
    /// All deltas, those of each Node too.
    summed: Vec<&'static str>,
    keys: Vec<&'static str>,
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
    start: columns_changed_by(|record| record.start_ms = 1).first().copied().unwrap_or_default(),
    end: columns_changed_by(|record| record.end_ms = 1).first().copied().unwrap_or_default(),
    end_reason: columns_changed_by(|record| record.end_reason = FlowEndReason::EndOfFlow)
        .first()
        .copied()
        .unwrap_or_default(),
    totals: columns_changed_by(|record| {
        for counters in [&mut record.forward, &mut record.reverse] {
            (counters.packets_total, counters.octets_total) = (1, 1);
        }
    }),
    deltas: columns_changed_by(touch_deltas),
    summed: columns_changed_by(|record| {
        touch_deltas(record);
        let joined = &mut *record.joined;
        for side in [&mut joined.from_source, &mut joined.from_destination] {
            for counters in [&mut side.forward, &mut side.reverse] {
                (counters.packets_delta, counters.octets_delta) = (1, 1);
            }
        }
    }),
    keys: columns_changed_by(touch_keys),
});

fn touch_deltas(record: &mut FlowRecord) {
    for counters in [&mut record.forward, &mut record.reverse] {
        (counters.packets_delta, counters.octets_delta) = (1, 1);
    }
}

/// Changes what rows of sums are told apart by.
fn touch_keys(record: &mut FlowRecord) {
    for end in [&mut record.source, &mut record.destination] {
        (end.namespace, end.node) = ("x".into(), "x".into());
        (end.workload, end.zone) = ("x".into(), "x".into());
    }
    record.key.destination_port = 1;
    record.key.protocol = 1;
    record.service.name = "x".into();
    record.service.port = 1;
    record.flow_type = FlowType::InterNode;
    for rule in [&mut record.ingress, &mut record.egress] {
        *rule = PolicyRule {
            name: "x".into(),
            namespace: "x".into(),
            policy_type: 1,
            rule: "x".into(),
            action: 1,
        }
        .into();
    }
    record.exit.name = "x".into();
    record.exit.node = "x".into();
}

/// The columns of sums and their types, the same for all tiers: the bucket; the keys; the earliest
/// start and the latest end of the flows; the sums of all deltas, by the names of what they sum
/// up; how many records, and how many first and last ones of their flows.
pub fn sums_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let records = schema();
        let known = |name: &&str| records.field_with_name(name).ok().cloned();
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut fields = vec![Field::new(TIME_BUCKET, time, false)];
        fields.extend(PLAN.keys.iter().filter_map(known));
        fields.extend([PLAN.start, PLAN.end].iter().filter_map(known));
        fields.extend(PLAN.summed.iter().filter_map(known));
        let counts = [RECORDS, FLOWS_STARTED, FLOWS_ENDED];
        fields.extend(counts.map(|name| Field::new(name, DataType::UInt64, false)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The columns of a file of `tier` that its sums are made of; `None` for all.
pub(crate) fn source_columns(tier: Tier) -> Option<Vec<&'static str>> {
    let Plan { start, end, end_reason, totals, summed, keys, .. } = &*PLAN;
    let records = || {
        let columns = keys.iter().chain(totals).chain(summed).chain([start, end, end_reason]);
        columns.copied().collect()
    };
    (tier == Tier::Raw).then(records)
}

/// Whether rows of sums are told apart by this column.
pub(crate) fn is_key(column: &str) -> bool {
    PLAN.keys.contains(&column)
}

/// Whether rows of sums have the sum of this column.
pub(crate) fn is_summed(column: &str) -> bool {
    PLAN.summed.contains(&column)
}

/// The columns that are summed up.
pub(crate) fn summed_columns() -> Vec<&'static str> {
    PLAN.summed.clone()
}

/// What the rows of a batch of `tier`, read with [`source_columns`], have together: of each summed
/// column, and of records. Modulo 2^64, as everywhere.
pub(crate) fn totals_of(tier: Tier, batch: &RecordBatch) -> Result<Vec<u64>, FileError> {
    let measures = Measures::of(tier, &source_batch(tier, batch)?)?;
    let total = |values: &UInt64Array| values.values().iter().copied().fold(0, u64::wrapping_add);
    Ok(measures.values.iter().take(PLAN.summed.len() + 1).map(total).collect())
}

/// When flows ended, by which records are sorted.
pub(crate) fn end_column() -> &'static str {
    PLAN.end
}

/// Sums that are being made.
///
/// Keys are numbers: names have one each, so that rows are told apart by a few words.
pub(crate) struct Sums {
    step_ms: i64,
    names: Names,
    hasher: DefaultHashBuilder,
    groups: HashTable<u32>,
    /// By group: the bucket in two words, and one for each key.
    words: Vec<u32>,
    /// By group: the earliest start and the latest end.
    times: Vec<(i64, i64)>,
    /// By group: the summed deltas, then the counts.
    values: Vec<u64>,
}

/// What is added up of one batch.
struct Measures {
    start: TimestampMillisecondArray,
    end: TimestampMillisecondArray,
    /// What buckets are made of: the end, or the begin of a finer bucket.
    time: TimestampMillisecondArray,
    values: Vec<UInt64Array>,
}

/// Words that a group is told apart by, and values that it has.
fn widths() -> (usize, usize) {
    (2 + PLAN.keys.len(), PLAN.summed.len() + 3)
}

impl Sums {
    pub(crate) fn new(step_ms: u64) -> Self {
        Self {
            step_ms: i64::try_from(step_ms).unwrap_or(i64::MAX).max(1),
            names: Names::new(),
            hasher: DefaultHashBuilder::default(),
            groups: HashTable::new(),
            words: Vec::new(),
            times: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.groups.len() >= MAX_GROUPS || self.names.bytes() >= MAX_NAMES
    }

    /// Adds rows of records, or of finer sums.
    pub(crate) fn add(&mut self, tier: Tier, batch: &RecordBatch) -> Result<(), FileError> {
        let measures = Measures::of(tier, batch)?;
        let (_, width) = widths();
        let added: Vec<(usize, &[u64])> = measures
            .values
            .iter()
            .map(|values| &values.values()[..])
            .enumerate()
            .filter(|(_, values)| values.iter().any(|value| *value > 0))
            .collect();
        for (row, group) in self.groups_of(&measures, batch)?.into_iter().enumerate() {
            let (start, end) = &mut self.times[group];
            *start = (*start).min(measures.start.value(row));
            *end = (*end).max(measures.end.value(row));
            let sums = &mut self.values[group * width..][..width];
            for (index, values) in &added {
                sums[*index] = sums[*index].wrapping_add(values[row]);
            }
        }
        Ok(())
    }

    /// Which group each row is of.
    fn groups_of(
        &mut self,
        measures: &Measures,
        batch: &RecordBatch,
    ) -> Result<Vec<usize>, FileError> {
        let (stride, width) = widths();
        let rows = batch.num_rows();
        let mut words = vec![0; rows * stride];
        for (row, words) in words.chunks_exact_mut(stride).enumerate() {
            let time = measures.time.value(row);
            let bucket = (time - time.rem_euclid(self.step_ms)).cast_unsigned();
            #[expect(clippy::cast_possible_truncation, reason = "a half each")]
            let halves = ((bucket >> 32) as u32, bucket as u32);
            (words[0], words[1]) = halves;
        }
        for (index, key) in PLAN.keys.iter().enumerate() {
            let places = words.iter_mut().skip(2 + index).step_by(stride);
            fill(places, column(batch, key)?, &mut self.names)?;
        }
        let Self { hasher, groups, words: known, .. } = self;
        let mut found = Vec::with_capacity(rows);
        for key in words.chunks_exact(stride) {
            let of = |group: u32| group as usize * stride..(group as usize + 1) * stride;
            let next = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
            let entry = groups.entry(
                hasher.hash_one(key),
                |group| known[of(*group)] == *key,
                |group| hasher.hash_one(&known[of(*group)]),
            );
            let group = *entry.or_insert(next).get();
            if group == next {
                known.extend_from_slice(key);
                self.times.push((i64::MAX, i64::MIN));
                self.values.resize(self.values.len() + width, 0);
            }
            found.push(group as usize);
        }
        Ok(found)
    }

    /// Takes the sums out, in the order of their buckets, and so that what is alike lies together.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let Self { names, words, times, values, .. } =
            std::mem::replace(self, Self::new(self.step_ms.cast_unsigned()));
        let (stride, width) = widths();
        let mut order: Vec<(u128, usize)> = words.chunks_exact(stride).map(rank).zip(0..).collect();
        order.sort_unstable();
        let in_order = || order.iter().map(|(_, group)| *group);
        let word = |index: usize| {
            let words = &words;
            in_order().map(move |group| words[group * stride + index])
        };
        let time = |times: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"))
        };
        let bucket = word(0).zip(word(1)).map(|(high, low)| u64::from(high) << 32 | u64::from(low));
        let mut columns = vec![time(bucket.map(u64::cast_signed).collect())];
        let schema = sums_schema();
        let dictionary: ArrayRef = Arc::new(names.into_values());
        for (index, field) in schema.fields().iter().skip(1).take(PLAN.keys.len()).enumerate() {
            let words = UInt32Array::from_iter_values(word(2 + index));
            columns.push(match field.data_type() {
                DataType::Dictionary(..) => {
                    let keys = cast(&words, &DataType::Int32)?;
                    let keys = keys.as_primitive::<Int32Type>().clone();
                    Arc::new(DictionaryArray::try_new(keys, Arc::clone(&dictionary))?)
                }
                number => cast(&words, number)?,
            });
        }
        columns.push(time(in_order().map(|group| times[group].0).collect()));
        columns.push(time(in_order().map(|group| times[group].1).collect()));
        for index in 0..width {
            let values = in_order().map(|group| values[group * width + index]);
            columns.push(Arc::new(UInt64Array::from_iter_values(values)));
        }
        RecordBatch::try_new(schema, columns)
    }
}

/// By the bucket, and then by what the first keys end with.
fn rank(words: &[u32]) -> u128 {
    let bucket = u128::from(words[0]) << 32 | u128::from(words[1]);
    words[2..].iter().take(5).fold(bucket, |rank, word| rank << 16 | u128::from(word & 0xffff))
}

/// Writes the numbers for the values of a column.
fn fill<'a>(
    places: impl Iterator<Item = &'a mut u32>,
    column: &ArrayRef,
    names: &mut Names,
) -> Result<(), ArrowError> {
    let Some(texts) = column.as_dictionary_opt::<Int32Type>() else {
        let numbers = cast(column, &DataType::UInt32)?;
        let numbers = numbers.as_primitive::<UInt32Type>().values();
        places.zip(numbers).for_each(|(place, number)| *place = *number);
        return Ok(());
    };
    let wrong = || ArrowError::SchemaError("a dictionary of other than text".to_owned());
    let dictionary = texts.values().as_string_opt::<i32>().ok_or_else(wrong)?;
    let mut known = vec![None; dictionary.len()];
    for (place, key) in places.zip(texts.keys().values()) {
        let key = usize::try_from(*key).unwrap_or(usize::MAX);
        *place = *known[key].get_or_insert_with(|| names.number(dictionary.value(key)));
    }
    Ok(())
}

/// When the first bucket of some sums begins, and when the last flow ended.
pub(crate) fn span(batch: &RecordBatch) -> Option<(u64, u64)> {
    let times = |name| batch.column_by_name(name)?.as_primitive_opt::<TimestampMillisecondType>();
    let (from, to) = (min(times(TIME_BUCKET)?)?, max(times(PLAN.end)?)?);
    Some((u64::try_from(from).unwrap_or(0), u64::try_from(to).unwrap_or(0)))
}

impl Measures {
    fn of(tier: Tier, batch: &RecordBatch) -> Result<Self, FileError> {
        let numbers = |names: &[&str]| -> Result<Vec<UInt64Array>, FileError> {
            let column = |name: &&str| Ok(typed::<UInt64Type>(batch, name)?.clone());
            names.iter().map(column).collect()
        };
        let times =
            |name| Ok::<_, FileError>(typed::<TimestampMillisecondType>(batch, name)?.clone());
        let mut values = numbers(&PLAN.summed)?;
        let (start, end) = (times(PLAN.start)?, times(PLAN.end)?);
        let time = if tier == Tier::Raw {
            values.push(UInt64Array::from(vec![1; batch.num_rows()]));
            values.push(first_ones(&numbers(&PLAN.totals)?, &numbers(&PLAN.deltas)?));
            values.push(last_ones(typed::<UInt8Type>(batch, PLAN.end_reason)?));
            end.clone()
        } else {
            values.extend(numbers(&[RECORDS, FLOWS_STARTED, FLOWS_ENDED])?);
            times(TIME_BUCKET)?
        };
        Ok(Self { start, end, time, values })
    }
}

/// Nothing was counted of the flow before what these records tell.
fn first_ones(totals: &[UInt64Array], deltas: &[UInt64Array]) -> UInt64Array {
    let rows = totals.first().map_or(0, Array::len);
    let is_first = |row: usize| {
        totals.iter().zip(deltas).all(|(total, delta)| total.value(row) == delta.value(row))
    };
    UInt64Array::from_iter_values((0..rows).map(|row| u64::from(is_first(row))))
}

fn last_ones(reasons: &UInt8Array) -> UInt64Array {
    let is_last = |reason: &u8| u64::from(*reason == FlowEndReason::EndOfFlow as u8);
    UInt64Array::from_iter_values(reasons.values().iter().map(is_last))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("column {name} is missing"));
    batch.column_by_name(name).ok_or_else(missing)
}

fn typed<'a, T: arrow::datatypes::ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::PrimitiveArray<T>, ArrowError> {
    let wrong = || ArrowError::SchemaError(format!("column {name} has another type"));
    column(batch, name)?.as_primitive_opt().ok_or_else(wrong)
}

/// A batch read from a file of `tier`, with all columns that sums need.
pub(crate) fn source_batch(tier: Tier, batch: &RecordBatch) -> Result<RecordBatch, FileError> {
    static RECORDS_OF: LazyLock<SchemaRef> = LazyLock::new(|| {
        let schema = schema();
        let wanted = source_columns(Tier::Raw).unwrap_or_default();
        let fields = schema.fields().iter().filter(|it| wanted.contains(&it.name().as_str()));
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    });
    match tier {
        Tier::Raw => conformed(batch, &RECORDS_OF),
        _ => conformed(batch, &sums_schema()),
    }
}
