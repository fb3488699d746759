//! One object, while it is filled and when it is complete.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use flow::FlowRecord;
use store::{Encoder, Mark, StoreError};

use super::Format;
use super::parts::Parts;
use super::rows::Rows;

/// Why records did not become an object. Memory takes whatever is written to it: a defect.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    #[error("rows cannot be compressed")]
    Compress(#[from] io::Error),
    #[error("rows cannot be made a file of Parquet")]
    Columns(#[from] StoreError),
}

/// Where an object begins in the log of the spool, and when it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) mark: Option<Mark>,
    /// Milliseconds since 1970.
    pub(super) now_ms: u64,
}

/// An object that can be stored.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) begin: Begin,
    /// Behind its last record.
    pub(super) end: Option<Mark>,
    pub(super) records: u64,
    pub(super) parts: Vec<Bytes>,
}

impl Object {
    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

/// An object that is being filled. What it holds is compressed already.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) key: String,
    pub(super) begin: Begin,
    pub(super) records: usize,
    /// Behind the last of them.
    end: Option<Mark>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Plain(Rows, Parts),
    Gzip(Rows, GzEncoder<Parts>),
    Parquet(Box<Encoder<Parts>>),
}

impl Open {
    pub(super) fn new(format: &Format, key: String, begin: Begin) -> Result<Self, EncodeError> {
        let parts = Parts::default();
        let content = match format {
            Format::Csv { columns, cluster, compress: false } => {
                Content::Plain(Rows::new(*columns, cluster), parts)
            }
            Format::Csv { columns, cluster, compress: true } => {
                let encoder = GzEncoder::new(parts, Compression::default());
                Content::Gzip(Rows::new(*columns, cluster), encoder)
            }
            Format::Parquet => Content::Parquet(Box::new(Encoder::new(parts)?)),
        };
        Ok(Self { key, begin, records: 0, end: begin.mark, content })
    }

    /// Appends records that are in the log from `mark` on. After an error the object is good for
    /// nothing. `lines` is room that is used again.
    pub(super) fn append(
        &mut self,
        records: &[FlowRecord],
        mark: Option<Mark>,
        now_ms: u64,
        lines: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut made = |rows: &Rows| {
            lines.clear();
            for record in records {
                rows.append(record, now_ms / 1000, lines);
            }
        };
        match &mut self.content {
            Content::Plain(rows, parts) => {
                made(rows);
                parts.write_all(lines)?;
            }
            Content::Gzip(rows, encoder) => {
                made(rows);
                encoder.write_all(lines)?;
            }
            Content::Parquet(encoder) => encoder.append(records, now_ms)?,
        }
        self.records += records.len();
        self.end = behind(records, mark);
        Ok(())
    }

    /// About how long it is, in bytes.
    pub(super) fn size(&self) -> usize {
        match &self.content {
            Content::Plain(_, parts) => parts.len(),
            Content::Gzip(_, encoder) => encoder.get_ref().len(),
            Content::Parquet(encoder) => encoder.size(),
        }
    }

    pub(super) fn finish(self) -> Result<Object, EncodeError> {
        let parts = match self.content {
            Content::Plain(_, parts) => parts,
            Content::Gzip(_, encoder) => encoder.finish()?,
            Content::Parquet(encoder) => encoder.finish()?,
        };
        let records = self.records as u64;
        let (key, begin, end) = (self.key, self.begin, self.end);
        Ok(Object { key, begin, end, records, parts: parts.finish() })
    }
}

/// The place behind records that are in the log from `mark` on.
pub(super) fn behind(records: &[FlowRecord], mark: Option<Mark>) -> Option<Mark> {
    mark.map(|mark| Mark { record: mark.record + records.len() as u64, ..mark })
}
