//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another process writes to the store {}; stop it, or give this one a directory of its own",
        dir.display()
    )]
    Locked { dir: PathBuf },
    #[error(
        "there is no store in {}; expected a directory \"flows\" in it, which the first writer makes",
        dir.display()
    )]
    Missing { dir: PathBuf },
    /// Rows wait for a flush that does not succeed, and there is no room for more.
    #[error(
        "{waiting} rows wait to be written and {records} more do not fit; see why flushing fails"
    )]
    Full { waiting: usize, records: usize },
    #[error("cannot encode {}", path.display())]
    Encode {
        path: PathBuf,
        #[source]
        source: ParquetError,
    },
    #[error("the columns of a batch do not fit the schema")]
    Columns(#[from] ArrowError),
}

/// Adds what was being done, and to which path.
pub(crate) trait IoContext<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { action, path: path.to_owned(), source })
    }
}
