//! Whatever is written, the `parquet` crate reads.

use arrow::array::{ArrayRef, RecordBatch, UInt8Array, UInt16Array, UInt32Array, UInt64Array};
use arrow::array::{StringArray, TimestampMillisecondArray};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;
use crate::embedded::encode::Draft;

/// How numbers of a column follow each other.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Same,
    /// Long runs of few values.
    Runs,
    Few,
    /// Few as well, but far from each other.
    Scattered,
    /// Each a little above the one before.
    Rising,
    Any,
}

fn shapes() -> impl Strategy<Value = [Shape; 7]> {
    use Shape::{Any, Few, Rising, Runs, Same, Scattered};
    prop::array::uniform7(prop::sample::select(vec![Same, Runs, Few, Scattered, Rising, Any]))
}

/// Numbers of this shape, the same for the same seed.
fn numbers(shape: Shape, rows: usize, seed: u64) -> Vec<u64> {
    let random = |row: u64| {
        let mixed = (row ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let of = |row: u64| match shape {
        Shape::Same => seed,
        Shape::Runs => random(row / (1 + seed % 100)) % 3,
        Shape::Few => random(row) % 300,
        Shape::Scattered => random(random(row) % 30),
        Shape::Rising => seed.wrapping_add(row * 7 + random(row) % 5),
        Shape::Any => random(row),
    };
    (0..rows as u64).map(of).collect()
}

/// The lowest bytes.
fn narrow<const N: usize>(number: u64) -> [u8; N] {
    *number.to_le_bytes().first_chunk().unwrap()
}

fn batch(shapes: [Shape; 7], rows: usize, seed: u64) -> RecordBatch {
    let [bytes, shorts, words, longs, times, texts, absent] =
        shapes.map(|shape| numbers(shape, rows, seed));
    let text =
        |number: &u64| if number.is_multiple_of(5) { String::new() } else { number.to_string() };
    let maybe = |number: &u64| (!number.is_multiple_of(3)).then(|| text(number));
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let dictionary = |texts: StringArray| cast(&texts, &kind).unwrap();
    let columns: [ArrayRef; 7] = [
        Arc::new(bytes.iter().map(|n| Some(u8::from_le_bytes(narrow(*n)))).collect::<UInt8Array>()),
        Arc::new(
            shorts.iter().map(|n| Some(u16::from_le_bytes(narrow(*n)))).collect::<UInt16Array>(),
        ),
        Arc::new(
            words.iter().map(|n| Some(u32::from_le_bytes(narrow(*n)))).collect::<UInt32Array>(),
        ),
        Arc::new(longs.iter().copied().map(Some).collect::<UInt64Array>()),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            times.iter().map(|n| n.cast_signed()),
        )),
        dictionary(texts.iter().map(|n| Some(text(n))).collect()),
        dictionary(absent.iter().map(maybe).collect()),
    ];
    let fields = columns.iter().enumerate().map(|(index, column)| {
        Field::new(index.to_string(), column.data_type().clone(), index == 6)
    });
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns.into()).unwrap()
}

fn check(groups: &[RecordBatch], is_reversed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    let schema = groups[0].schema();
    let mut draft = Draft::create(path.clone(), &schema).unwrap();
    let mut expected = Vec::new();
    for group in groups {
        let rows = u32::try_from(group.num_rows()).unwrap();
        let order: Vec<u32> = (0..rows).rev().collect();
        let order = is_reversed.then_some(order);
        draft.write_columns(order.as_deref(), |index| Ok(Arc::clone(group.column(index)))).unwrap();
        expected.push(match order {
            Some(order) => take_record_batch(group, &UInt32Array::from(order)).unwrap(),
            None => group.clone(),
        });
    }
    draft.finish().unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    for (group, batch) in reader.metadata().row_groups().iter().zip(&expected) {
        let longs = batch.column(3).as_primitive::<UInt64Type>().values();
        let statistics = group.column(3).statistics().unwrap();
        let bound = |bytes: Option<&[u8]>| u64::from_le_bytes(bytes.unwrap().try_into().unwrap());
        assert_eq!(longs.iter().min(), Some(&bound(statistics.min_bytes_opt())));
        assert_eq!(longs.iter().max(), Some(&bound(statistics.max_bytes_opt())));
    }
    let read: Vec<_> = reader.with_batch_size(1000).build().unwrap().map(Result::unwrap).collect();
    let plain = |batches: &[RecordBatch]| {
        let all = concat_batches(&batches[0].schema(), batches).unwrap();
        let columns = all.columns().iter();
        columns
            .map(|column| match column.data_type() {
                DataType::Dictionary(..) => cast(column, &DataType::Utf8).unwrap(),
                _ => Arc::clone(column),
            })
            .collect::<Vec<_>>()
    };
    for (column, (read, written)) in plain(&read).iter().zip(plain(&expected)).enumerate() {
        assert_eq!(read, &written, "column {column}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read(
        shapes in shapes(),
        sizes in prop::collection::vec(1..700_usize, 1..4),
        seed in any::<u64>(),
        is_reversed in any::<bool>(),
    ) {
        let groups: Vec<_> = sizes.iter().map(|rows| batch(shapes, *rows, seed)).collect();
        check(&groups, is_reversed);
    }
}

/// Around the ends of pages, runs, and blocks of deltas.
#[test]
fn columns_of_any_length_are_read() {
    use Shape::{Any, Few, Rising, Runs, Same, Scattered};
    let mixed = [Few, Runs, Any, Rising, Rising, Few, Runs];
    let shapes = [mixed, [Any; 7], [Same; 7], [Runs; 7], [Scattered; 7]];
    for rows in [1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 130, 16_383, 16_384, 16_385, 40_000] {
        for (seed, shapes) in (17..).zip(shapes) {
            check(&[batch(shapes, rows, seed)], rows % 2 == 0);
        }
    }
}

/// No column is so; pages of numbers would say nothing of rows without one.
#[test]
fn numbers_that_may_be_absent_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (is_nullable, numbers) in [(true, [Some(1), Some(2)]), (false, [Some(1), None])] {
        let schema = Schema::new(vec![Field::new("packets", DataType::UInt64, is_nullable)]);
        let mut draft = Draft::create(folder.path().join("rows"), &schema).unwrap();
        let column: ArrayRef = Arc::new(UInt64Array::from_iter(numbers));
        let refused = draft.write_columns(None, |_| Ok(Arc::clone(&column))).unwrap_err();
        assert!(format!("{refused:?}").contains("packets"), "{refused:?}");
    }
}
