//! A column of a row group becomes the bytes of a Parquet column chunk.
//!
//! The `parquet` crate would hash each text of each row anew, and compress each page with a context
//! of its own. Here text comes as dictionaries, which stay what they are, and a column that says
//! the same throughout is a run.

use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int32Type, TimestampMillisecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::basic::{Compression, Encoding, PageType, Type, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::page_header::Header;
use super::pages::{deltas, plain, runs, width};

/// Rows of a page: who needs few of them decodes no others.
pub(crate) const PAGE_ROWS: usize = 16_384;
/// More distinct numbers than these are no dictionary, nor is more than one for so many rows.
const DISTINCT: usize = 4096;
const ROWS_EACH: usize = 8;
/// So many small ones always are.
const BYTES: usize = 256;
/// Numbers that are not further apart are looked up by their place, and others by their hash.
const NEAR: u64 = 1 << 16;
/// Fewer bytes are not worth the compression, nor is one that leaves more than so many hundredths.
const LEAST_BYTES: usize = 64;
const MOST_LEFT: usize = 95;

const NONE: u32 = u32::MAX;

/// Makes chunks, one after the other.
pub(crate) struct Chunks {
    compressor: Compressor<'static>,
    level: ZstdLevel,
}

/// A column's values, as they are stored.
enum Values {
    /// Each is one of a dictionary; of `rows`, those that are absent have none.
    Indices {
        dictionary: Vec<u8>,
        distinct: usize,
        indices: Vec<u32>,
        present: Option<Vec<u32>>,
    },
    Numbers(Vec<i64>),
}

/// A page that is not compressed yet.
struct Draft {
    bytes: Vec<u8>,
    kind: PageType,
    values: usize,
    encoding: Encoding,
}

impl Draft {
    fn header(&self) -> Header {
        let Self { kind, encoding, values, .. } = *self;
        Header { kind, encoding, values, uncompressed: self.bytes.len() }
    }
}

impl Chunks {
    pub(crate) fn new(level: i32) -> Result<Self, ParquetError> {
        let compressor = Compressor::new(level)?;
        Ok(Self { compressor, level: ZstdLevel::try_new(level)? })
    }

    /// Encodes the rows of `array`, in this order if one is given.
    pub(crate) fn encode(
        &mut self,
        description: &ColumnDescPtr,
        array: &dyn Array,
        order: Option<&[u32]>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let is_text = matches!(array.data_type(), DataType::Dictionary(..));
        if !is_text && (description.max_def_level() > 0 || array.null_count() > 0) {
            // Pages of numbers say nothing of rows without one.
            let name = description.name();
            return Err(ParquetError::NYI(format!("numbers that may be absent, as in {name}")));
        }
        let (values, statistics) = match array.data_type() {
            DataType::UInt8 => numbers::<UInt8Type>(array, order, i64::from),
            DataType::UInt16 => numbers::<UInt16Type>(array, order, i64::from),
            DataType::UInt32 => numbers::<UInt32Type>(array, order, i64::from),
            DataType::UInt64 => numbers::<UInt64Type>(array, order, u64::cast_signed),
            DataType::Timestamp(..) => numbers::<TimestampMillisecondType>(array, order, |it| it),
            DataType::Dictionary(..) => (texts(array, order)?, None),
            other => return Err(ParquetError::NYI(format!("columns of {other}"))),
        };
        let drafts = values.pages(description, array.len());
        let raw: usize = drafts.iter().map(|draft| draft.bytes.len()).sum();
        let packed = (raw >= LEAST_BYTES).then(|| self.compressed(&drafts)).transpose()?;
        let packed = packed
            .filter(|packed| packed.iter().map(Vec::len).sum::<usize>() * 100 <= raw * MOST_LEFT);
        let compression = if packed.is_some() {
            Compression::ZSTD(self.level)
        } else {
            Compression::UNCOMPRESSED
        };
        let mut pages = Pages { bytes: Vec::with_capacity(raw / 2 + 256), ..Pages::default() };
        for (index, draft) in drafts.iter().enumerate() {
            pages.add(&draft.header(), packed.as_ref().map_or(&draft.bytes, |it| &it[index]));
        }
        let encodings = pages.stats.iter().map(|it| it.encoding).chain([Encoding::RLE]).collect();
        let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        let mut metadata = ColumnChunkMetaData::builder(Arc::clone(description))
            .set_compression(compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(pages.stats)
            .set_total_compressed_size(signed(pages.bytes.len()))
            .set_total_uncompressed_size(signed(pages.uncompressed))
            .set_num_values(signed(array.len()))
            .set_data_page_offset(signed(pages.data));
        if pages.data > 0 {
            metadata = metadata.set_dictionary_page_offset(Some(0));
        }
        if let Some((least, most)) = statistics {
            metadata = metadata.set_statistics(bounds(description, least, most));
        }
        let close = ColumnCloseResult {
            bytes_written: pages.bytes.len() as u64,
            rows_written: array.len() as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((pages.bytes.into(), close))
    }

    fn compressed(&mut self, drafts: &[Draft]) -> Result<Vec<Vec<u8>>, ParquetError> {
        drafts.iter().map(|draft| Ok(self.compressor.compress(&draft.bytes)?)).collect()
    }
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks").field("level", &self.level).finish_non_exhaustive()
    }
}

/// A chunk's pages with their headers, one after the other.
#[derive(Default)]
struct Pages {
    bytes: Vec<u8>,
    /// What they would take had nothing been compressed.
    uncompressed: usize,
    /// Where those behind the dictionary begin.
    data: usize,
    stats: Vec<PageEncodingStats>,
}

impl Pages {
    /// Adds a page that takes this as it is stored.
    fn add(&mut self, header: &Header, stored: &[u8]) {
        let before = self.bytes.len();
        header.write(stored, &mut self.bytes);
        let of_header = self.bytes.len() - before - stored.len();
        self.uncompressed += of_header + header.uncompressed;
        let Header { kind: page_type, encoding, .. } = *header;
        if page_type == PageType::DICTIONARY_PAGE {
            self.data = self.bytes.len();
        }
        match self.stats.last_mut() {
            Some(last) if last.page_type == page_type => last.count += 1,
            _ => self.stats.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }
}

fn bounds(description: &ColumnDescPtr, least: i64, most: i64) -> Statistics {
    if description.physical_type() == Type::INT32 {
        #[expect(clippy::cast_possible_truncation, reason = "from 32 bits, whatever their sign")]
        let [least, most] = [least, most].map(|number| number as i32);
        return Statistics::int32(Some(least), Some(most), None, Some(0), false);
    }
    Statistics::int64(Some(least), Some(most), None, Some(0), false)
}

/// The values of a column in an order.
fn gathered<T: Copy>(values: &[T], order: Option<&[u32]>) -> impl Iterator<Item = T> {
    let rows = order.map_or(values.len(), <[u32]>::len);
    (0..rows).map(move |row| values[order.map_or(row, |order| order[row] as usize)])
}

/// Numbers, and the least and the largest of them.
fn numbers<T: ArrowPrimitiveType>(
    array: &dyn Array,
    order: Option<&[u32]>,
    widened: impl Fn(T::Native) -> i64,
) -> (Values, Option<(i64, i64)>)
where
    T::Native: Ord,
{
    let array: &PrimitiveArray<T> = array.as_primitive();
    let values = array.values();
    let Some(&first) = values.first() else {
        return (Values::Numbers(Vec::new()), None);
    };
    let (least, most) = values
        .iter()
        .fold((first, first), |(least, most), value| (least.min(*value), most.max(*value)));
    let bounds = Some((widened(least), widened(most)));
    if least == most {
        let (dictionary, indices) = (dictionary_of::<T>(&[widened(first)]), vec![0; values.len()]);
        return (Values::Indices { dictionary, distinct: 1, indices, present: None }, bounds);
    }
    let numbers: Vec<i64> = gathered(values, order).map(&widened).collect();
    if let Some(few) = few::<T>(&numbers, widened(least), widened(most)) {
        return (few, bounds);
    }
    (Values::Numbers(numbers), bounds)
}

/// Numbers as a dictionary, if few of them are distinct.
fn few<T: ArrowPrimitiveType>(numbers: &[i64], least: i64, most: i64) -> Option<Values> {
    let always = if size_of::<T::Native>() < 4 { BYTES } else { 0 };
    let entries = DISTINCT.min(always.max(numbers.len() / ROWS_EACH));
    // Right for unsigned numbers as well, whatever their sign here.
    let above = |number: i64| number.wrapping_sub(least).cast_unsigned();
    let near = if above(most) < NEAR { above(most) + 1 } else { 0 };
    let mut near = vec![NONE; usize::try_from(near).ok()?];
    let mut far = HashMap::new();
    let mut distinct = Vec::new();
    let mut indices = Vec::with_capacity(numbers.len());
    for number in numbers {
        let known = match usize::try_from(above(*number)).ok().and_then(|it| near.get_mut(it)) {
            Some(known) => known,
            None => far.entry(*number).or_insert(NONE),
        };
        if *known == NONE {
            if distinct.len() == entries {
                return None;
            }
            *known = u32::try_from(distinct.len()).ok()?;
            distinct.push(*number);
        }
        indices.push(*known);
    }
    let (dictionary, distinct) = (dictionary_of::<T>(&distinct), distinct.len());
    Some(Values::Indices { dictionary, distinct, indices, present: None })
}

/// The page of a dictionary.
fn dictionary_of<T: ArrowPrimitiveType>(numbers: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    plain(numbers, size_of::<T::Native>() == 8, &mut bytes);
    bytes
}

/// Texts, each of which is in the dictionary once, in the order in which rows have them.
fn texts(array: &dyn Array, order: Option<&[u32]>) -> Result<Values, ParquetError> {
    let array: &DictionaryArray<Int32Type> = array.as_dictionary();
    let (keys, nulls) = (array.keys().values(), array.nulls().filter(|it| it.null_count() > 0));
    let texts = array.values().as_string_opt::<i32>();
    let texts = texts.ok_or_else(|| ParquetError::NYI("dictionaries of other than text".into()))?;
    let mut present = nulls.map(|_| Vec::with_capacity(keys.len()));
    let (mut indices, mut dictionary, mut distinct) = (Vec::new(), Vec::new(), 0_u32);
    if nulls.is_some_and(|nulls| nulls.null_count() == keys.len()) {
        let present = Some(vec![0; keys.len()]);
        return Ok(Values::Indices { dictionary, distinct: 0, indices, present });
    }
    let mut known = HashMap::new();
    let mut mapped = vec![NONE; texts.len()];
    let mut index_of = |key: i32| {
        let key = usize::try_from(key).unwrap_or(usize::MAX);
        if mapped[key] == NONE {
            let text = texts.value(key);
            mapped[key] = *known.entry(text).or_insert(distinct);
            if mapped[key] == distinct {
                distinct += 1;
                dictionary.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
                dictionary.extend_from_slice(text.as_bytes());
            }
        }
        mapped[key]
    };
    match (nulls, &mut present) {
        (Some(nulls), Some(present)) => {
            for row in 0..keys.len() {
                let row = order.map_or(row, |order| order[row] as usize);
                present.push(u32::from(nulls.is_valid(row)));
                if nulls.is_valid(row) {
                    indices.push(index_of(keys[row]));
                }
            }
        }
        _ if keys.iter().all(|key| *key == keys[0]) => {
            indices = keys.first().map_or_else(Vec::new, |key| vec![index_of(*key); keys.len()]);
        }
        _ => indices = gathered(keys, order).map(index_of).collect(),
    }
    Ok(Values::Indices { dictionary, distinct: distinct as usize, indices, present })
}

impl Values {
    /// The page of the dictionary, if there is one, and the others.
    fn pages(self, description: &ColumnDescPtr, rows: usize) -> Vec<Draft> {
        let kind = PageType::DATA_PAGE;
        match self {
            Self::Numbers(numbers) => {
                let is_wide = description.physical_type() == Type::INT64;
                let pages = |encoding, encode: fn(&[i64], bool, &mut Vec<u8>)| {
                    let page = |numbers: &[i64]| {
                        let mut bytes = Vec::new();
                        encode(numbers, is_wide, &mut bytes);
                        Draft { bytes, kind, values: numbers.len(), encoding }
                    };
                    numbers.chunks(PAGE_ROWS).map(page).collect::<Vec<_>>()
                };
                let packed = pages(Encoding::DELTA_BINARY_PACKED, deltas);
                let size: usize = packed.iter().map(|draft| draft.bytes.len()).sum();
                let whole = numbers.len() * if is_wide { 8 } else { 4 };
                // Such as ids: what is the same in several, zstd finds where it is as it was.
                if size * 100 > whole * MOST_LEFT { pages(Encoding::PLAIN, plain) } else { packed }
            }
            Self::Indices { dictionary, distinct, indices, present } => {
                // A run of one value takes no more than a page of it.
                let of_page = if distinct < 2 { rows } else { PAGE_ROWS };
                let bits = width((distinct as u64).saturating_sub(1));
                let has_levels = description.max_def_level() > 0;
                let mut indices = indices.as_slice();
                let mut pages = vec![Draft {
                    bytes: dictionary,
                    kind: PageType::DICTIONARY_PAGE,
                    values: distinct,
                    encoding: Encoding::PLAIN,
                }];
                for begin in (0..rows).step_by(of_page.max(1)) {
                    let values = of_page.min(rows - begin);
                    let present = present.as_ref().map(|present| &present[begin..begin + values]);
                    let mut bytes = Vec::new();
                    if has_levels {
                        let mut levels = Vec::new();
                        match present {
                            Some(present) => runs(present, 1, &mut levels),
                            None => runs(&vec![1; values], 1, &mut levels),
                        }
                        bytes.extend(u32::try_from(levels.len()).unwrap_or(0).to_le_bytes());
                        bytes.extend(levels);
                    }
                    let count =
                        present.map_or(values, |it| it.iter().filter(|it| **it > 0).count());
                    let (own, rest) = indices.split_at(count.min(indices.len()));
                    indices = rest;
                    bytes.push(bits.to_le_bytes()[0]);
                    runs(own, bits, &mut bytes);
                    let encoding = Encoding::RLE_DICTIONARY;
                    pages.push(Draft { bytes, kind, values, encoding });
                }
                pages
            }
        }
    }
}

#[cfg(test)]
mod tests; // whatever is written is read
