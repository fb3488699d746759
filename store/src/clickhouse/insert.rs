//! A block on its way.

use bytes::{Bytes, BytesMut};
use clickhouse::Compression;
use clickhouse::insert_formatted::{CompressedData, InsertFormatted};

use super::{Block, ClickHouseError, Client};

/// Bytes that are compressed and sent at once.
const PIECE: usize = 1 << 20;

/// How a block is inserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Insert {
    pub table: String,
    /// Settings of the server for it, such as `insert_deduplication_token`.
    pub settings: Vec<(String, String)>,
}

impl Client {
    /// Inserts the block whole or not at all. If the error [is in
    /// doubt](ClickHouseError::is_in_doubt), nobody knows which.
    ///
    /// The server may take the client's patience to take a mebibyte, and to answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection: the block is inserted only if the server has got
    /// all of it.
    pub async fn insert(&self, insert: Insert, block: &Block) -> Result<(), ClickHouseError> {
        let table = insert.table.replace('\\', "\\\\").replace('`', "\\`");
        let statement = format!("INSERT INTO `{table}` ({}) FORMAT Native", block.names());
        let patience = Some(self.patience);
        let mut request = self.formatted(statement).with_timeouts(patience, patience);
        for (name, value) in insert.settings {
            request = request.with_setting(name, value);
        }
        match self.send(&mut request, block).await {
            Ok(()) => request.end().await.map_err(|error| self.failed(error)),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn send(
        &self,
        request: &mut InsertFormatted,
        block: &Block,
    ) -> Result<(), clickhouse::error::Error> {
        let mut piece = BytesMut::with_capacity(PIECE);
        for (head, values) in block.parts() {
            for mut bytes in [head.as_slice(), values] {
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
                    piece.extend_from_slice(now);
                    bytes = later;
                    if piece.len() == PIECE {
                        self.send_piece(request, piece.split().freeze()).await?;
                        piece.reserve(PIECE);
                    }
                }
            }
        }
        if piece.is_empty() { Ok(()) } else { self.send_piece(request, piece.freeze()).await }
    }

    async fn send_piece(
        &self,
        request: &mut InsertFormatted,
        piece: Bytes,
    ) -> Result<(), clickhouse::error::Error> {
        if self.compress {
            request.send_compressed(CompressedData::new(&piece, Compression::Lz4)?).await
        } else {
            request.send(piece).await
        }
    }
}
