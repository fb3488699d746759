//! A block on its way.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clickhouse::Compression;
use clickhouse::insert_formatted::{CompressedData, InsertFormatted};

use super::{Block, ClickHouseError, Client};

/// Bytes that are compressed and sent at once.
const PIECE: usize = 1 << 20;
/// What is shorter is sent together with what comes next.
const SMALL: usize = 16 << 10;

/// How a block is inserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Insert {
    pub table: String,
    /// Settings of the server for it, such as `insert_deduplication_token`.
    pub settings: Vec<(String, String)>,
}

impl Client {
    /// Inserts some rows of the block, or none of them. If the error [is in
    /// doubt](ClickHouseError::is_in_doubt), nobody knows which.
    ///
    /// The server may take the client's patience to take a mebibyte, and to answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection: the rows are inserted only if the server has got
    /// all of them.
    pub async fn insert(
        &self,
        insert: Insert,
        block: &Arc<Block>,
        rows: Range<usize>,
    ) -> Result<(), ClickHouseError> {
        let table = insert.table.replace('\\', "\\\\").replace('`', "\\`");
        let statement = format!("INSERT INTO `{table}` ({}) FORMAT Native", block.names());
        let patience = Some(self.patience);
        let mut request = self.formatted(statement).with_timeouts(patience, patience);
        for (name, value) in insert.settings {
            request = request.with_setting(name, value);
        }
        match self.send(&mut request, block.parts(rows)).await {
            Ok(()) => request.end().await.map_err(|error| self.failed(error)),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn send(
        &self,
        request: &mut InsertFormatted,
        parts: impl Iterator<Item = Bytes>,
    ) -> Result<(), clickhouse::error::Error> {
        let mut small = BytesMut::new();
        for mut part in parts {
            if part.len() < SMALL {
                small.extend_from_slice(&part);
                continue;
            }
            self.send_piece(request, small.split().freeze()).await?;
            while !part.is_empty() {
                let piece = part.split_to(part.len().min(PIECE));
                self.send_piece(request, piece).await?;
            }
        }
        self.send_piece(request, small.freeze()).await
    }

    async fn send_piece(
        &self,
        request: &mut InsertFormatted,
        piece: Bytes,
    ) -> Result<(), clickhouse::error::Error> {
        if piece.is_empty() {
            Ok(())
        } else if self.compress {
            request.send_compressed(CompressedData::new(&piece, Compression::Lz4)?).await
        } else {
            request.send(piece).await
        }
    }
}
