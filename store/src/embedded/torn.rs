//! Where a file is torn.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};

use super::batches::{FileError, guarded, reader_of};
use super::listing;
use super::names::StoredFile;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8192;

/// The first byte of the first page that cannot be read; of a file without a footer that can be
/// read, where that should end. Nothing if all pages can be read.
pub(crate) fn offset(dir: &Path, file: &StoredFile) -> Option<u64> {
    let open = || Ok::<_, FileError>(listing::open(dir, file)?);
    let length = open().ok()?.metadata().ok()?.len();
    let builder = || guarded(|| reader_of(open()?));
    let Ok(first) = builder() else { return Some(length.saturating_sub(8)) };
    for (number, group) in first.metadata().row_groups().iter().enumerate() {
        for (leaf, column) in group.columns().iter().enumerate() {
            let pages = Arc::new(Pages { file: open().ok()?, at: AtomicU64::new(0) });
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            let read = guarded(|| {
                pages.at.store(column.byte_range().0, Relaxed);
                let mut reader = SerializedPageReader::new(Arc::clone(&pages), column, rows, None)?;
                while reader.get_next_page()?.is_some() {}
                // Each page is whole; what is in them may make no sense.
                pages.at.store(column.byte_range().0, Relaxed);
                let builder = builder()?;
                let mask = ProjectionMask::leaves(builder.parquet_schema(), [leaf]);
                let builder = builder.with_row_groups(vec![number]).with_projection(mask);
                for batch in builder.with_batch_size(BATCH_ROWS).build()? {
                    batch?;
                }
                Ok(())
            });
            if read.is_err() {
                return Some(pages.at.load(Relaxed));
            }
        }
    }
    None
}

/// A file that knows where the page begins that is being read.
struct Pages {
    file: File,
    at: AtomicU64,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        Length::len(&self.file)
    }
}

impl ChunkReader for Pages {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.at.store(start, Relaxed);
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // The length is what the file says of itself: memory comes with the bytes only.
        let left = Length::len(self).saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}, and {left} left")));
        }
        self.file.get_bytes(start, length)
    }
}
