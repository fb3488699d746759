//! A file's bytes, counted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::Progress;

/// What is read at once where the length is not known, as of page headers.
const AHEAD: usize = 256;

/// A file that several readers read, each at a position of its own.
#[derive(Debug, Clone)]
pub(super) struct Source {
    file: Arc<File>,
    length: u64,
    progress: Progress,
}

impl Source {
    pub(super) fn new(file: File, progress: Progress) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), length, progress })
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::with_capacity(AHEAD, From { source: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // The length is what the file says of itself: memory comes with the bytes only.
        let left = self.length.saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}, and {left} left")));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        self.progress.add_bytes(length);
        Ok(bytes.into())
    }
}

/// Reads on from a position.
#[derive(Debug)]
pub(super) struct From {
    source: Source,
    position: u64,
}

impl Read for From {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.file.read_at(into, self.position)?;
        self.position += read as u64;
        self.source.progress.add_bytes(read);
        Ok(read)
    }
}
