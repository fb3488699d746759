//! Statements, and what a server answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Compression;
use clickhouse::query::BytesCursor;
use config::Secret;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use tower::{Service, service_fn};

use super::trust::Material;
use super::{Address, ClickHouseError, Trust};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A connection that nobody has used for so long is closed. Servers close theirs after 3 s, as
/// old ones are configured, or later.
const IDLE: Duration = Duration::from_secs(2);
/// Bytes of an answer that is read whole.
const LARGEST_ANSWER: usize = 16 << 20;

/// Which server, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub address: Address,
    pub database: String,
    pub username: Secret,
    pub password: Secret,
    /// Whether data are compressed on the way (LZ4).
    pub compress: bool,
    /// Of use over TLS alone.
    pub trust: Trust,
    /// How long the server may be silent: for an answer to a statement, and within one.
    pub patience: Duration,
}

/// Asks one server, over as many connections as it needs. Clones share those.
#[derive(Clone)]
pub struct Client {
    inner: clickhouse::Client,
    address: Arc<str>,
    pub(super) patience: Duration,
    pub(super) compress: bool,
}

/// A statement and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    /// Values for `{name:Type}` in the text, by name; the server puts them in.
    pub parameters: Vec<(String, String)>,
    /// Settings of the server for this statement.
    pub settings: Vec<(String, String)>,
}

impl Client {
    /// Connects with the first statement.
    pub fn new(options: Options) -> Self {
        let material = Arc::new(Material::new(options.trust));
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_WITHIN));
        let is_secure = options.address.is_secure();
        let connector = service_fn(move |uri| {
            let material = is_secure.then(|| Arc::clone(&material));
            Box::pin(connect(material, http.clone(), uri))
        });
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let compression = if options.compress { Compression::Lz4 } else { Compression::None };
        let address = options.address.to_string();
        let inner = clickhouse::Client::with_http_client(http)
            .with_url(&address)
            .with_database(options.database)
            .with_user(options.username.reveal())
            .with_password(options.password.reveal())
            .with_compression(compression)
            .with_product_info("fyke", env!("CARGO_PKG_VERSION"));
        let (patience, compress) = (options.patience, options.compress);
        Self { inner, address: address.into(), patience, compress }
    }

    /// The same server, which may be silent for longer or must not for so long.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The same server and user in another database.
    #[must_use]
    pub fn in_database(&self, database: &str) -> Self {
        Self { inner: self.inner.clone().with_database(database), ..self.clone() }
    }

    /// Where it is, as `http://HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Carries out a statement that answers nothing.
    pub async fn execute(&self, statement: impl Into<Statement>) -> Result<(), ClickHouseError> {
        let executed = timeout(self.patience, self.query(statement.into()).execute());
        executed.await.map_err(|_| self.timed_out())?.map_err(|error| self.failed(error))
    }

    /// The rows of a short answer, each value as text; one of more than 16 MiB is an error. `NULL`
    /// is `\N`.
    pub async fn rows(
        &self,
        statement: impl Into<Statement>,
    ) -> Result<Vec<Vec<String>>, ClickHouseError> {
        let mut answer = self.stream(statement, "TabSeparated")?;
        let mut whole = Vec::new();
        while let Some(part) = answer.next().await? {
            whole.extend_from_slice(&part);
            if whole.len() > LARGEST_ANSWER {
                return Err(ClickHouseError::Answer("it is longer than 16 MiB".into()));
            }
        }
        let unread = |error| ClickHouseError::Answer(format!("it is not UTF-8: {error}"));
        let text = String::from_utf8(whole).map_err(unread)?;
        Ok(text.lines().map(|line| line.split('\t').map(unescaped).collect()).collect())
    }

    /// An answer part by part, in one of ClickHouse's formats such as `Native`, `RowBinary` or
    /// `JSONCompactEachRow`.
    pub fn stream(
        &self,
        statement: impl Into<Statement>,
        format: &str,
    ) -> Result<Answer, ClickHouseError> {
        let bytes = self.query(statement.into()).fetch_bytes(format);
        let bytes = bytes.map_err(|error| self.failed(error))?;
        Ok(Answer { bytes, client: self.clone() })
    }

    fn query(&self, statement: Statement) -> clickhouse::query::Query {
        let mut query = self.inner.query_raw(&statement.text);
        for (name, value) in statement.parameters {
            query = query.param(&name, value);
        }
        for (name, value) in statement.settings {
            query = query.with_setting(name, value);
        }
        query
    }

    pub(super) fn formatted(
        &self,
        statement: String,
    ) -> clickhouse::insert_formatted::InsertFormatted {
        self.inner.insert_formatted_with(statement)
    }

    pub(super) fn failed(&self, error: clickhouse::error::Error) -> ClickHouseError {
        ClickHouseError::of(error, &self.address, self.patience)
    }

    fn timed_out(&self) -> ClickHouseError {
        ClickHouseError::TimedOut { address: self.address.to_string(), within: self.patience }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

/// An answer on its way. Dropped, it ends the statement.
pub struct Answer {
    bytes: BytesCursor,
    client: Client,
}

impl Answer {
    /// The next part, cut anywhere; nothing after the last.
    ///
    /// # Cancel safety
    ///
    /// No part is lost by dropping the future.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClickHouseError> {
        let next = timeout(self.client.patience, self.bytes.next());
        let next = next.await.map_err(|_| self.client.timed_out())?;
        next.map_err(|error| self.client.failed(error))
    }

    /// What the server has read for it, if it was asked to tell only at the end.
    pub fn read(&self) -> ReadBy {
        let summary = self.bytes.summary();
        let told = |count: Option<u64>| count.unwrap_or(0);
        ReadBy {
            rows: told(summary.and_then(clickhouse::QuerySummary::read_rows)),
            bytes: told(summary.and_then(clickhouse::QuerySummary::read_bytes)),
        }
    }

    /// Bytes that have come over the wire so far.
    pub fn received(&self) -> u64 {
        self.bytes.received_bytes()
    }
}

/// What a server has read for an answer; 0 if it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadBy {
    pub rows: u64,
    pub bytes: u64,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Statement {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Gives `{name:Type}` a value.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

impl From<&str> for Statement {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Statement {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

type Connection = MaybeHttpsStream<<HttpConnector as Service<Uri>>::Response>;

/// Over TLS if there is `material` for it.
async fn connect(
    material: Option<Arc<Material>>,
    mut http: HttpConnector,
    uri: Uri,
) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let Some(material) = material else {
        return Ok(MaybeHttpsStream::Http(http.call(uri).await?));
    };
    let config = material.config().await?;
    HttpsConnector::from((http, config)).call(uri).await
}

/// ClickHouse's `TabSeparated` escapes what would end a value.
fn unescaped(value: &str) -> String {
    if value == "\\N" || !value.contains('\\') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('0') => text.push('\0'),
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            address: "tcp://c:9000".parse().unwrap(),
            database: "default".into(),
            username: Secret::new("somebody".into()),
            password: Secret::new("open sesame".into()),
            compress: true,
            trust: Trust::Anybody,
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn nobody_is_told_the_password() {
        let shown = format!("{:?} {:?}", options(), Client::new(options()));
        assert!(!shown.contains("sesame") && !shown.contains("somebody"), "{shown}");
    }

    #[test]
    fn values_are_as_they_were_before_they_were_escaped() {
        assert_eq!(unescaped(r"a\tb\\c\'d\n"), "a\tb\\c'd\n");
        assert_eq!(unescaped(r"\N"), r"\N");
        assert_eq!(unescaped("plain"), "plain");
    }
}
