//! Which server, and who we are to it.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use aggregator::settings::{ClickHouseServer, File, Settings};
use anyhow::{Context, bail};
use config::Secret;
use store::clickhouse::schema::{Name, Place};
use store::clickhouse::{Address, ClickHouseError, Client, Options, Trust};

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_mins(5);
const USERNAME: &str = "CH_USERNAME";
const PASSWORD: &str = "CH_PASSWORD";

#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServerArgs {
    /// An aggregator's configuration: its clickHouse section says which server. Flags go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where it is: http://HOST:PORT or https://; tcp:// and tls:// mean the same host over HTTP
    #[arg(long, value_name = "URL")]
    url: Option<Address>,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: Option<Name>,
    /// Authorities, one of which has signed the server's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, conflicts_with = "ca")]
    insecure_skip_verify: bool,
    /// The cluster, where there are many servers: tables are replicated and distributed
    #[arg(long, value_name = "NAME")]
    cluster: Option<Name>,
}

/// A server that can be asked.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) place: Place,
}

impl ServerArgs {
    /// Where the tables are, without anybody being asked.
    pub(super) fn place(&self) -> anyhow::Result<Place> {
        let configured = self.configured()?;
        let name = match (&self.database, &configured) {
            (Some(name), _) => name.clone(),
            (None, Some(server)) => server.database.parse().context("clickHouse.database")?,
            (None, None) => "default".parse()?,
        };
        Ok(Place { database: name, cluster: self.cluster.clone() })
    }

    pub(super) fn read(&self, errors: &mut impl Write) -> anyhow::Result<Server> {
        let configured = self.configured()?;
        let Some(address) =
            self.url.clone().or_else(|| configured.as_ref().map(|it| it.address.clone()))
        else {
            bail!("say which server: --url http://HOST:8123, or --config flow-aggregator.conf");
        };
        let trust = match (&self.ca, self.insecure_skip_verify, configured) {
            (Some(path), ..) => Trust::Authorities(path.clone()),
            (None, true, _) => Trust::Anybody,
            (None, false, Some(server)) => server.trust,
            (None, false, None) => Trust::Authorities(sinks::SYSTEM_AUTHORITIES.into()),
        };
        let place = self.place()?;
        let client = connect(address, &place.database, trust, errors)?;
        Ok(Server { client, place })
    }

    fn configured(&self) -> anyhow::Result<Option<ClickHouseServer>> {
        let Some(path) = &self.config else { return Ok(None) };
        let file = File(Some(path.clone()));
        let variables = [USERNAME, PASSWORD];
        let environment: HashMap<_, _> =
            variables.into_iter().filter_map(|name| Some((name, env::var(name).ok()?))).collect();
        let sources = file.sources(&file.read(), HashMap::new(), environment);
        let (settings, findings) = Settings::resolve(sources);
        let settings =
            settings.with_context(|| format!("{} is refused: {findings}", path.display()))?;
        Ok(Some(settings.click_house.server()))
    }
}

/// A server, as whoever the environment says.
pub(crate) fn connect(
    address: Address,
    database: &Name,
    trust: Trust,
    errors: &mut impl Write,
) -> anyhow::Result<Client> {
    if let Some(note) = address.note() {
        writeln!(errors, "fyke: {note}")?;
    }
    Ok(Client::new(Options {
        address,
        database: database.as_str().to_owned(),
        username: variable(USERNAME)?,
        password: variable(PASSWORD)?,
        compress: false,
        trust,
        patience: PATIENCE,
    }))
}

fn variable(name: &str) -> anyhow::Result<Secret> {
    match env::var(name) {
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => bail!("{name} is not set; with {USERNAME} and {PASSWORD} it says who we are"),
    }
}

/// Says what else the server may have meant.
pub(super) trait OrMore<T> {
    fn or_more(self) -> anyhow::Result<T>;
}

impl<T> OrMore<T> for Result<T, ClickHouseError> {
    fn or_more(self) -> anyhow::Result<T> {
        self.context("the server did not do what it was asked to")
    }
}
