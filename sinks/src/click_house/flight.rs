//! A block on its way.

use std::io;

use config::Chain;
use store::clickhouse::{ClickHouseError, Client, Insert, Reason, Shards};
use tokio::task::{JoinHandle, spawn_blocking};

use super::TABLE;
use super::blocks::Sealed;
use super::note::Note;

/// Has tables behind views notice for themselves what comes twice. Servers that know tokens know
/// it; what it is by default depends on their age.
const VIEWS_TOO: &str = "deduplicate_blocks_in_dependent_materialized_views";

/// Runs beside whoever fills the next block. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Flight {
    sealed: Sealed,
    task: JoinHandle<Landed>,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) sealed: Sealed,
    /// Whether the server has all of it that the table does not refuse.
    pub(super) inserted: Result<(), ClickHouseError>,
    /// What could not be noted.
    pub(super) note: io::Result<()>,
}

/// How blocks are inserted.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) client: Client,
    pub(super) note: Option<Note>,
    /// Settings of the server for each.
    pub(super) settings: Vec<(String, String)>,
    /// The server knows what a token is.
    pub(super) has_tokens: bool,
    /// What is behind the table.
    pub(super) shards: Shards,
}

impl Flight {
    pub(super) fn begin(route: Route, sealed: Sealed) -> Self {
        let task = tokio::spawn(fly(route, sealed.clone()));
        Self { sealed, task }
    }

    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future. Not to be called again once it returned.
    pub(super) async fn landed(&mut self) -> Landed {
        let panicked = |error| Landed {
            sealed: self.sealed.clone(),
            inserted: Err(ClickHouseError::Request(Box::new(error))),
            note: Ok(()),
        };
        (&mut self.task).await.unwrap_or_else(panicked)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn fly(route: Route, mut sealed: Sealed) -> Landed {
    let mut note = Ok(());
    let noted = route.note.clone().zip(sealed.range);
    if let Some((to, range)) = noted.clone() {
        note = write(move || to.leaving(range)).await;
    }
    let inserted = route.insert(&mut sealed).await;
    if let (Ok(()), Some((to, range))) = (&inserted, noted) {
        // Also of what is refused, which nobody tries again.
        note = note.and(write(move || to.stored(range)).await);
    }
    Landed { sealed, inserted, note }
}

/// On a thread that may block.
async fn write(write: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl Route {
    /// What is left of a block.
    async fn insert(&self, sealed: &mut Sealed) -> Result<(), ClickHouseError> {
        while let Some((rows, token)) = sealed.next() {
            let mut settings = self.settings.clone();
            if self.has_tokens {
                settings.push(("insert_deduplication_token".into(), token));
                // Views get what the table knows already: an attempt may have ended before theirs.
                settings.push((VIEWS_TOO.into(), "1".into()));
            }
            settings.extend(self.shards.settings(crc32c::crc32c(sealed.token.as_bytes()).into()));
            let insert = Insert { table: TABLE.into(), settings };
            match self.client.insert(insert, &sealed.block, rows).await {
                Ok(()) => sealed.stored(),
                Err(error) if error.reason() == Reason::Data => {
                    let rows = sealed.refuse();
                    if rows > 0 {
                        let error = Chain(&error);
                        tracing::error!(sink = "click_house", rows, %error, "rows are refused");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
