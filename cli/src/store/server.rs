//! A server of ClickHouse, for code that waits.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use store::clickhouse::schema::Name;
use store::clickhouse::{Address, Asker, Client, Trust};
use store::query::{Answer, Query, Value, Wanted};
use tokio::runtime::{Builder, Runtime};

use crate::clickhouse::connect;

/// What is said of servers beside where they are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AccessArgs {
    /// The database, of ClickHouse
    #[arg(long, value_name = "NAME", default_value = "default")]
    database: Name,
    /// Authorities, one of which has signed the server's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, conflicts_with = "ca")]
    insecure_skip_verify: bool,
}

pub(crate) struct Server {
    runtime: Runtime,
    pub(super) client: Client,
    asker: Asker,
}

impl Server {
    pub(super) fn open(
        address: Address,
        access: &AccessArgs,
        errors: &mut impl Write,
    ) -> anyhow::Result<Self> {
        let trust = match (&access.ca, access.insecure_skip_verify) {
            (Some(path), _) => Trust::Authorities(path.clone()),
            (None, true) => Trust::Anybody,
            (None, false) => Trust::Authorities(sinks::SYSTEM_AUTHORITIES.into()),
        };
        // Connections are looked after also while nobody waits for an answer.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = connect(address, &access.database, trust, errors)?;
        let asker = runtime.block_on(Asker::open(client.clone()));
        let asker = asker.with_context(|| format!("{} is of no use", client.address()))?;
        Ok(Self { runtime, client, asker })
    }

    /// Waits for an answer.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Attributes that it would not keep.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.asker.missing()
    }

    pub(super) fn ask(&self, query: &Query) -> anyhow::Result<Answer> {
        Ok(self.wait(self.asker.ask(query))?.0)
    }

    pub(super) fn rows(
        &self,
        query: &Query,
        each: &mut dyn FnMut(Vec<Vec<Value>>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Wanted::Rows(listing) = &query.wanted else { return Ok(()) };
        let _context = self.runtime.enter();
        let mut export = self.asker.export(query, listing)?;
        while let Some(rows) = self.wait(export.next())? {
            each(rows)?;
        }
        Ok(())
    }
}
