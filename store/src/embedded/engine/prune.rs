//! Row groups that cannot match, by what their metadata and dictionaries say.

use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;

use super::filter::{Filter, TextFilter};
use super::numeric::NumberTest;
use super::source::Source;
use crate::query::Kind;

/// Whether a row of the group may fulfil the filter. That none does is certain.
pub(super) fn may_hold(
    filter: &Filter,
    group: &RowGroupMetaData,
    source: &Source,
) -> Result<bool, ParquetError> {
    match filter {
        Filter::And(parts) => {
            for part in parts {
                if !may_hold(part, group, source)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Filter::Or(parts) => {
            for part in parts {
                if may_hold(part, group, source)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Filter::Number(test) => Ok(number_may_hold(test, group)),
        Filter::Text(filter) => text_may_hold(filter, group, source),
        Filter::Not(_) | Filter::Numbers { .. } | Filter::Texts { .. } => Ok(true),
    }
}

fn number_may_hold(test: &NumberTest, group: &RowGroupMetaData) -> bool {
    range(group, test.column.name(), test.column.kind())
        .is_none_or(|(least, most)| test.may_hold(least, most))
}

/// The smallest and the largest number in a stored column, if the group tells.
pub(super) fn range(group: &RowGroupMetaData, column: &str, kind: Kind) -> Option<(u64, u64)> {
    let chunk = chunk(group, column)?;
    let statistics = chunk.statistics()?;
    // A null stands for what a record has by default.
    if statistics.null_count_opt() != Some(0) {
        return None;
    }
    let (least, most) = match statistics {
        Statistics::Int64(numbers) => (*numbers.min_opt()?, *numbers.max_opt()?),
        Statistics::Int32(numbers) => {
            let widen = |number: i32| i64::from(number.cast_unsigned());
            (widen(*numbers.min_opt()?), widen(*numbers.max_opt()?))
        }
        _ => return None,
    };
    // Times are signed, all else is not. Statistics of a writer that saw that otherwise are of no
    // use, and show it.
    let is_signed = kind == Kind::Time;
    if is_signed && least < 0 {
        return None;
    }
    let (least, most) = (least.cast_unsigned(), most.cast_unsigned());
    (least <= most).then_some((least, most))
}

fn chunk<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<&'a ColumnChunkMetaData> {
    group.columns().iter().find(|chunk| chunk.column_path().parts() == [name])
}

/// Whether the filter holds of an entry of the column's dictionary, where all of its values are
/// in there.
fn text_may_hold(
    filter: &TextFilter,
    group: &RowGroupMetaData,
    source: &Source,
) -> Result<bool, ParquetError> {
    // In a column that is not there all values are absent.
    let Some(chunk) = chunk(group, filter.column.name()) else { return Ok(false) };
    let encodings = chunk.page_encoding_stats_mask();
    let is_all = encodings.is_some_and(|mask| {
        mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
    });
    if !is_all {
        return Ok(true);
    }
    let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
    let mut pages = SerializedPageReader::new(Arc::new(source.clone()), chunk, rows, None)?;
    let Some(Page::DictionaryPage { buf, .. }) = pages.get_next_page()? else { return Ok(true) };
    let mut rest: &[u8] = &buf;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((text, behind)) = behind.split_at_checked(length) else { return Ok(true) };
        // What is not UTF-8 is left to the decoder.
        if std::str::from_utf8(text).is_ok_and(|text| !filter.holds(text)) {
            rest = behind;
        } else {
            return Ok(true);
        }
    }
    Ok(false)
}
