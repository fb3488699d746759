//! Who is answered: metrics and health, the API of `antctl`, live streams of flows.

use std::net::SocketAddr;
use std::path::PathBuf;

use config::write::Line;
use config::{Key, Name, Raw, Reading, Setting, Severity, Sources, Wrong, read};

use super::keys::{FILE, Reload, Section, TRUTH};
use super::{print, values};

pub(super) static SECTION: Section = Section {
    title: "API",
    reload: Reload::Restart,
    antrea: &[&PORT, &CIPHER_SUITES, &MIN_VERSION],
    ours: &[&TOKEN, &ADMIN],
};

pub(super) static STREAM: Section = Section {
    title: "Flow stream",
    reload: Reload::Restart,
    antrea: &[&ENABLE],
    ours: &[&STREAM_ADDRESS, &UNAUTHENTICATED],
};

pub(super) static PORT: Key = Key {
    names: &[Name::current(FILE, "apiServer.apiPort")],
    form: "a port, or 0",
    default: "10348",
    doc: "Where antctl's questions are answered.",
    ..Key::NONE
};

pub(super) static CIPHER_SUITES: Key = Key {
    names: &[Name::current(FILE, "apiServer.tlsCipherSuites")],
    form: "a text with names of Go's, between commas",
    doc: "The cipher suites that are used there, of those that are safe. Without, all of these.",
    ..Key::NONE
};

pub(super) static MIN_VERSION: Key = Key {
    names: &[Name::current(FILE, "apiServer.tlsMinVersion")],
    form: "a text: VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13",
    doc: "The oldest TLS that is spoken there. What is older than VersionTLS12 counts as that.",
    ..Key::NONE
};

pub(super) static TOKEN: Key = Key {
    names: &[Name::current(FILE, "apiServer.tokenFile")],
    form: "a path",
    default: "/var/run/antrea/apiserver/loopback-client-token",
    doc: "Where the token is written that opens the API to whoever can read the file, as antctl in \
          the same container does.",
    ..Key::NONE
};

pub(super) static ADMIN: Key = Key {
    names: &[Name::current(FILE, "adminAddress")],
    flag: Some("admin"),
    form: "ADDRESS:PORT",
    default: "127.0.0.1:8088",
    doc: "Where metrics and health are served.",
    ..Key::NONE
};

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "flowStreamService.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether flows are told to clients of antrea_io.antrea.pkg.apis.flow.v1alpha1's \
          FlowStreamService.",
    ..Key::NONE
};

pub(super) static STREAM_ADDRESS: Key = Key {
    names: &[Name::current(FILE, "flowStreamService.address")],
    form: "ADDRESS:PORT",
    default: "[::]:14740",
    doc: "Where they are, over gRPC.",
    ..Key::NONE
};

pub(super) static UNAUTHENTICATED: Key = Key {
    names: &[Name::current(FILE, "flowStreamService.allowUnauthenticated")],
    form: TRUTH,
    default: "false",
    doc: "Tell everybody who can connect, as Antrea's Flow Aggregator does, and not only who \
          shows a certificate or a token of the cluster.",
    ..Key::NONE
};

/// The oldest TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

impl TlsVersion {
    const fn word(self) -> &'static str {
        match self {
            Self::Tls12 => "VersionTLS12",
            Self::Tls13 => "VersionTLS13",
        }
    }
}

impl std::fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Go's names of the cipher suites there are, of which others are left out. Those of TLS 1.3 are
/// always used, as in Go.
const CIPHER_SUITES_KNOWN: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Who is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// 0 for none.
    pub port: Setting<u16>,
    /// Of those that are safe; none for all of them.
    pub cipher_suites: Setting<Vec<&'static str>>,
    pub min_version: Setting<TlsVersion>,
    pub token: Setting<PathBuf>,
    pub admin: Setting<SocketAddr>,
}

/// Live streams of flows.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    pub enable: Setting<bool>,
    pub address: Setting<SocketAddr>,
    pub unauthenticated: Setting<bool>,
}

impl Api {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let port = sources.pick(&PORT, |raw| read::number(raw, 0..=u16::MAX));
        let suites = Setting::optional(sources.pick(&CIPHER_SUITES, cipher_suites));
        let version = Setting::optional(sources.pick(&MIN_VERSION, min_version));
        let token = sources.pick(&TOKEN, read::path);
        let admin = sources.pick(&ADMIN, read::socket);
        Some(Self {
            port: port?,
            cipher_suites: Setting::new(suites.value.unwrap_or_default(), suites.origin),
            min_version: Setting::new(version.value.unwrap_or_default(), version.origin),
            token: token?,
            admin: admin?,
        })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let suites = |it: &Vec<&str>| config::write::text(&it.join(","));
        vec![
            print::number(&PORT, &self.port),
            print::line(&CIPHER_SUITES, &self.cipher_suites, suites),
            print::quoted(&MIN_VERSION, &self.min_version),
            print::line(&TOKEN, &self.token, |it| config::write::text(&it.to_string_lossy())),
            print::quoted(&ADMIN, &self.admin),
        ]
    }
}

impl Stream {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&ENABLE, read::truth);
        let address = sources.pick(&STREAM_ADDRESS, read::socket);
        let unauthenticated = sources.pick(&UNAUTHENTICATED, read::truth);
        Some(Self { enable: enable?, address: address?, unauthenticated: unauthenticated? })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::number(&ENABLE, &self.enable),
            print::quoted(&STREAM_ADDRESS, &self.address),
            print::number(&UNAUTHENTICATED, &self.unauthenticated),
        ]
    }
}

fn cipher_suites(raw: &Raw) -> Reading<Vec<&'static str>> {
    let text = match values::text(raw) {
        Ok(text) => text,
        Err(why) => return Err::<Vec<_>, _>(why).into(),
    };
    let mut suites = Vec::new();
    let mut wrong = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        // Those of TLS 1.3 are always there, under whatever name.
        let is_newer = name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_");
        match CIPHER_SUITES_KNOWN.into_iter().find(|known| *known == name) {
            Some(known) => suites.push(known),
            None if is_newer => {}
            None => {
                let shown: String = name.chars().take(60).collect();
                let why = format!("{shown:?} is none that is safe, and is left out");
                wrong.push(Wrong { severity: Severity::Doubt, item: None, why });
            }
        }
    }
    Reading { value: Some(suites), wrong }
}

fn min_version(raw: &Raw) -> Reading<TlsVersion> {
    let words = [
        ("VersionTLS10", TlsVersion::Tls12),
        ("VersionTLS11", TlsVersion::Tls12),
        ("VersionTLS12", TlsVersion::Tls12),
        ("VersionTLS13", TlsVersion::Tls13),
    ];
    match read::word(raw, &words) {
        Ok(version) => Ok::<_, String>(version).into(),
        // In Antrea an unknown name counts as none.
        Err(why) => Reading {
            value: Some(TlsVersion::default()),
            wrong: vec![Wrong { severity: Severity::Doubt, item: None, why: why.to_owned() }],
        },
    }
}
