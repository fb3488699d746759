//! One migration at a time.
//!
//! ClickHouse has no locks, but makes a table of a name once: whoever has made
//! `fyke_migrating_N` goes on, and puts a row there every few seconds. Who finds that no row has
//! come for a while takes over: he makes the one with the next number, which again only one can,
//! and drops the one before, by which its owner, if he is alive after all, knows that he is to stop.

use std::time::Duration;

use super::super::columns::literal;
use super::super::found::cells;
use super::super::schema::Schema;
use super::super::{ClickHouseError, Client, Statement};
use super::journal;
use super::{MigrateError, Tell, Told};

const NAME: &str = "fyke_migrating_";
const TABLE_EXISTS: u32 = 57;
const UNKNOWN_TABLE: u32 = 60;
/// How often the owner is heard, and how long he may be silent.
const BEAT: Duration = Duration::from_secs(10);
const MOST_SILENT: u64 = 60;

/// Whoever has it is the only one that migrates a database.
#[derive(Debug)]
pub(super) struct Lock<'a> {
    client: &'a Client,
    schema: &'a Schema,
    number: u64,
}

/// Who has it.
#[derive(Debug)]
struct Owner {
    number: u64,
    who: String,
    /// Seconds by the server's clock since he was heard.
    silent: u64,
}

impl<'a> Lock<'a> {
    /// Takes it as `who`, unless somebody else has it who is alive.
    pub(super) async fn take(
        client: &'a Client,
        schema: &'a Schema,
        who: &str,
        tell: Tell<'_>,
    ) -> Result<Self, MigrateError> {
        let before = Owner::find(client, schema).await?;
        if let Some(owner) = &before {
            // Who has the same name is the same one, and was interrupted.
            if owner.who != who && owner.silent < MOST_SILENT {
                return Err(owner.is_at_it());
            }
            let Owner { who, silent, .. } = owner;
            tell(Told::Done(format!("taken over from {who}, silent for {silent} s")));
        }
        let number = before.as_ref().map_or(1, |owner| owner.number.saturating_add(1));
        let lock = Self { client, schema, number };
        if let Err(error) = client.execute(lock.create(who)).await {
            let is_lost = error.code() == Some(TABLE_EXISTS);
            let owner = if is_lost { Owner::find(client, schema).await? } else { None };
            return Err(owner.map_or_else(|| error.into(), |owner| owner.is_at_it()));
        }
        if let Some(owner) = before {
            Self { client, schema, number: owner.number }.release().await?;
        }
        lock.beat().await?;
        Ok(lock)
    }

    fn table(&self) -> String {
        self.schema.full(&format!("{NAME}{}", self.number))
    }

    fn create(&self, who: &str) -> String {
        let (table, cluster) = (self.table(), self.schema.on_cluster());
        format!(
            "CREATE TABLE {table}{cluster} (`at` DateTime64(3) DEFAULT now64(3)) ENGINE = {} \
             ORDER BY at COMMENT '{}'",
            journal::engine(self.schema),
            literal(who)
        )
    }

    async fn beat(&self) -> Result<(), ClickHouseError> {
        self.client.execute(format!("INSERT INTO {} SELECT now64(3)", self.table())).await
    }

    /// Keeps it for as long as this is waited for. Returns if somebody else has it.
    pub(super) async fn keep(&self) -> MigrateError {
        loop {
            tokio::time::sleep(BEAT).await;
            match self.beat().await {
                Err(error) if error.code() == Some(UNKNOWN_TABLE) => return MigrateError::Lost,
                // What is done beside this finds out whether the server is there.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Lets others have it.
    pub(super) async fn release(&self) -> Result<(), ClickHouseError> {
        let (table, cluster) = (self.table(), self.schema.on_cluster());
        self.client.execute(format!("DROP TABLE IF EXISTS {table}{cluster}")).await
    }
}

impl Owner {
    async fn find(client: &Client, schema: &Schema) -> Result<Option<Self>, ClickHouseError> {
        let text = "SELECT substring(name, {start:UInt8}) AS number, comment, \
                    toUnixTimestamp(now()) - toUnixTimestamp(metadata_modification_time) \
                    FROM system.tables WHERE database = {database:String} \
                    AND startsWith(name, {name:String}) ORDER BY toUInt64OrZero(number) DESC LIMIT 1";
        let statement = Statement::new(text)
            .parameter("start", (NAME.len() + 1).to_string())
            .parameter("database", schema.place.database.as_str())
            .parameter("name", NAME);
        let Some(row) = client.rows(statement).await?.pop() else { return Ok(None) };
        let [number, who, age] = cells(row)?;
        let number = number.parse().unwrap_or(0);
        let table = Lock { client, schema, number }.table();
        // Nothing if he has only just come.
        let heard =
            format!("SELECT dateDiff('second', max(at), now64(3)) FROM {table} HAVING count() > 0");
        let heard = match client.rows(heard).await {
            // He has let it go.
            Err(error) if error.code() == Some(UNKNOWN_TABLE) => return Ok(None),
            heard => heard?.into_iter().flatten().next(),
        };
        // The server's clock may have been put back.
        let silent = heard.unwrap_or(age).parse().unwrap_or(0);
        Ok(Some(Self { number, who, silent }))
    }

    fn is_at_it(&self) -> MigrateError {
        MigrateError::Busy { who: self.who.clone(), silent: self.silent, most: MOST_SILENT }
    }
}
