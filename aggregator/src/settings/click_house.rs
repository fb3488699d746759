//! The output to ClickHouse, of which this build has the settings alone.

use std::time::Duration;

use config::write::{Line, text};
use config::{Key, Name, Raw, Secret, Setting, Sources, read};

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
    doc: "Whether records go to ClickHouse. This build cannot yet, and refuses to start with true.",
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
    doc: "Where it is. Who we are is told by CH_USERNAME and CH_PASSWORD in the environment.",
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
    doc: "How often records are inserted.",
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

/// The output to ClickHouse.
#[derive(Debug, Clone, PartialEq)]
pub struct ClickHouse {
    pub enable: Setting<bool>,
    database: Setting<String>,
    url: Setting<String>,
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
        }
        picked
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
            print::line(&URL, &self.url, |it| text(it)),
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

/// As in Antrea: a scheme, a host, perhaps a port, and nothing else.
fn url(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
    if !["tcp", "tls", "http", "https"].contains(&scheme) {
        return Err("its scheme is not one of tcp, tls, http, https");
    }
    if rest.contains('@') {
        return Err("it says who we are, which CH_USERNAME and CH_PASSWORD do");
    }
    if rest.contains(['/', '?', '#']) {
        return Err("it has a path or more behind the port");
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match (host.is_empty(), port.is_none_or(is_port)) {
        (true, _) => Err("it has no host"),
        (_, false) => Err("its port is none"),
        _ => Ok(text.to_owned()),
    }
}
