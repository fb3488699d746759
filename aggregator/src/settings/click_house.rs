//! The output to ClickHouse.

use std::path::PathBuf;
use std::time::Duration;

use config::write::{Line, text};
use config::{Key, Name, Raw, Secret, Setting, Severity, Sources, read};
use flow::Uid;
use sinks::SYSTEM_AUTHORITIES;
use sinks::click_house::Options;
use store::clickhouse::{Address, NoAddress, Trust};

use super::keys::{DURATION, FILE, Reload, Section, TRUTH};
use super::{print, values};

pub(super) static SECTION: Section = Section {
    title: "Output: ClickHouse",
    reload: Reload::Live,
    antrea: &[&ENABLE, &DATABASE, &URL, &DEBUG, &COMPRESS, &INTERVAL, &SKIP_VERIFY, &CA],
    ours: &[],
};

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "clickHouse.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go to ClickHouse.",
    ..Key::NONE
};

pub(super) static DATABASE: Key = Key {
    names: &[Name::current(FILE, "clickHouse.database")],
    form: "a text",
    default: "default",
    doc: "The database with the table flows.",
    ..Key::NONE
};

pub(super) static URL: Key = Key {
    names: &[Name::current(FILE, "clickHouse.databaseURL")],
    form: "a text such as tcp://HOST:9000, tls://, http:// or https://",
    default: "tcp://clickhouse-clickhouse.flow-visibility.svc:9000",
    doc: "Where it is. HTTP is spoken: with tcp:// and tls://, port 8123 and 8443 of the host are \
          used in the place of 9000 and 9440. Who we are is told by CH_USERNAME and CH_PASSWORD in \
          the environment.",
    ..Key::NONE
};

pub(super) static DEBUG: Key = Key {
    names: &[Name::current(FILE, "clickHouse.debug")],
    form: TRUTH,
    default: "false",
    doc: "Without effect, as in Antrea.",
    ..Key::NONE
};

pub(super) static COMPRESS: Key = Key {
    names: &[Name::current(FILE, "clickHouse.compress")],
    form: TRUTH,
    default: "true",
    doc: "Whether records are compressed on the way (LZ4).",
    ..Key::NONE
};

pub(super) static INTERVAL: Key = Key {
    names: &[Name::current(FILE, "clickHouse.commitInterval")],
    form: DURATION,
    default: "8s",
    doc: "How often records are inserted, unless 100,000 of them have come before.",
    ..Key::NONE
};

pub(super) static SKIP_VERIFY: Key = Key {
    names: &[Name::current(FILE, "clickHouse.tls.insecureSkipVerify")],
    form: TRUTH,
    default: "false",
    doc: "Whether any certificate will do.",
    ..Key::NONE
};

pub(super) static CA: Key = Key {
    names: &[Name::current(FILE, "clickHouse.tls.caCert")],
    form: TRUTH,
    default: "false",
    doc: "Whether its certificate must be of the authority that is mounted at \
          /etc/flow-aggregator/certs/clickhouse/ca.crt.",
    ..Key::NONE
};

pub(super) static USERNAME: Key = Key {
    variable: Some("CH_USERNAME"),
    form: "a name",
    doc: "Who we are to ClickHouse.",
    ..Key::NONE
};

pub(super) static PASSWORD: Key = Key {
    variable: Some("CH_PASSWORD"),
    form: "a password",
    doc: "The password for that.",
    ..Key::NONE
};

/// Whose certificate is believed with `caCert: true`; where Antrea's chart mounts it.
const AUTHORITY: &str = "/etc/flow-aggregator/certs/clickhouse/ca.crt";

const NOT_SET: &str = "must be set, and not empty, for clickHouse.enable";

/// A server that records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouseServer {
    pub address: Address,
    pub database: String,
    pub trust: Trust,
}

/// The output to ClickHouse.
#[derive(Debug, Clone, PartialEq)]
pub struct ClickHouse {
    pub enable: Setting<bool>,
    database: Setting<String>,
    url: Setting<Url>,
    debug: Setting<bool>,
    compress: Setting<bool>,
    interval: Setting<Duration>,
    skip_verify: Setting<bool>,
    ca: Setting<bool>,
    username: Setting<Option<Secret>>,
    password: Setting<Option<Secret>>,
}

impl ClickHouse {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&ENABLE, read::truth)?;
        let before = sources.findings.iter().count();
        let is_on = enable.value;
        let picked = Self::pick_rest(sources, enable);
        if !is_on {
            sources.findings.soften_after(before);
        } else if let Some(picked) = &picked {
            picked.check(sources);
        }
        picked
    }

    /// Says what is missing, and what is otherwise than it was meant.
    fn check(&self, sources: &mut Sources) {
        for (name, secret) in [("CH_USERNAME", &self.username), ("CH_PASSWORD", &self.password)] {
            let what = match &secret.value {
                Some(secret) if secret.reveal().is_empty() => NOT_SET,
                Some(secret) if values::is_sendable(secret) => continue,
                Some(_) => values::NOT_SENDABLE,
                None => NOT_SET,
            };
            let origin = self.enable.origin.clone();
            sources.findings.note(Severity::Error, origin, name, what);
        }
        let address = &self.url.value.address;
        if let Some(note) = address.note().filter(|_| address.is_guess()) {
            let origin = self.url.origin.clone();
            sources.findings.note(Severity::Doubt, origin, URL.name(), note);
        }
    }

    /// Which server it is, whether records go there or not.
    pub fn server(&self) -> ClickHouseServer {
        let authorities = if self.ca.value { AUTHORITY } else { SYSTEM_AUTHORITIES };
        let trust = if self.skip_verify.value {
            Trust::Anybody
        } else {
            Trust::Authorities(authorities.into())
        };
        let (address, database) = (self.url.value.address.clone(), self.database.value.clone());
        ClickHouseServer { address, database, trust }
    }

    /// How records get there; `None` if they do not. `note` is a file of the output's own, beside
    /// the spool if there is one.
    pub(super) fn options(&self, uuid: Option<Uid>, note: Option<PathBuf>) -> Option<Options> {
        let ClickHouseServer { address, database, trust } = self.server();
        let secret = |it: &Setting<Option<Secret>>| it.value.clone();
        self.enable.value.then_some(())?;
        Some(Options {
            address,
            database,
            username: secret(&self.username)?,
            password: secret(&self.password)?,
            compress: self.compress.value,
            interval: self.interval.value,
            trust,
            cluster_uuid: uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
            note,
        })
    }

    fn pick_rest(sources: &mut Sources, enable: Setting<bool>) -> Option<Self> {
        let database = sources.pick(&DATABASE, values::text);
        let url = sources.pick(&URL, url);
        let debug = sources.pick(&DEBUG, read::truth);
        let compress = sources.pick(&COMPRESS, read::truth);
        let interval = sources.pick(&INTERVAL, read::timeout);
        let skip_verify = sources.pick(&SKIP_VERIFY, read::truth);
        let ca = sources.pick(&CA, read::truth);
        let username = Setting::optional(sources.pick(&USERNAME, values::secret));
        let password = Setting::optional(sources.pick(&PASSWORD, values::secret));
        Some(Self {
            enable,
            database: database?,
            url: url?,
            debug: debug?,
            compress: compress?,
            interval: interval?,
            skip_verify: skip_verify?,
            ca: ca?,
            username,
            password,
        })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::number(&ENABLE, &self.enable),
            print::quoted(&DATABASE, &self.database),
            print::line(&URL, &self.url, |it| text(&it.text)),
            print::number(&DEBUG, &self.debug),
            print::number(&COMPRESS, &self.compress),
            print::time(&INTERVAL, &self.interval),
            print::number(&SKIP_VERIFY, &self.skip_verify),
            print::number(&CA, &self.ca),
            print::secret("clickHouse.username", &self.username),
            print::secret("clickHouse.password", &self.password),
        ]
    }
}

/// What was written, and what it means.
#[derive(Debug, Clone, PartialEq)]
struct Url {
    text: String,
    address: Address,
}

/// As in Antrea: a scheme, a host, perhaps a port, and nothing else.
fn url(raw: &Raw) -> Result<Url, String> {
    let text = read::text(raw)?.to_owned();
    let address = text.parse().map_err(|why: NoAddress| why.to_string())?;
    Ok(Url { text, address })
}
