//! Where records come from, and what protects them on the way.
mod keys; // as they are written and explained

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::write::{Line, text};
use config::{Findings, Origin, Raw, Setting, Severity, Sources, read};
use k8s::certificates::{KeyKind, PairFiles, ServerFiles};
use rustls::pki_types::ServerName;

use super::print;
use super::values::{self, Listener, Transport};
use crate::collect::Claims;
pub(super) use keys::*;

const CLAIM_WORDS: [(&str, Claims); 2] = [("count", Claims::Count), ("refuse", Claims::Refuse)];
const KEY_TYPES: [(&str, KeyKind); 2] = [("rsa", KeyKind::Rsa2048), ("ecdsa", KeyKind::EcdsaP256)];

/// Where records come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `None` for none.
    pub transport: Setting<Option<Transport>>,
    pub reached_by: Setting<Option<String>>,
    pub ipfix: Setting<SocketAddr>,
    pub grpc: Setting<Option<SocketAddr>>,
    pub more: Setting<Vec<Listener>>,
    pub netflow: Setting<Vec<SocketAddr>>,
    pub claims: Setting<Claims>,
    pub silent_after: Setting<Duration>,
    pub certificate: Setting<Option<PathBuf>>,
    pub key: Setting<Option<PathBuf>>,
    pub client_ca: Setting<Option<PathBuf>>,
    pub key_type: Setting<KeyKind>,
    pub check_interval: Setting<Duration>,
}

impl Input {
    /// `is_plain`: there is no file, and so nothing but the command line to go by.
    pub(super) fn pick(sources: &mut Sources, is_plain: bool) -> Option<Self> {
        let mut transport = sources.pick(&TRANSPORT, transport)?;
        let mut grpc = sources.pick(&GRPC, grpc)?;
        if is_plain && transport.origin == Origin::Default {
            transport.value = Some(Transport::Tcp);
        }
        if is_plain && grpc.origin == Origin::Default {
            grpc.value = None;
        }
        let reached_by = Setting::optional(sources.pick(&SERVER_ADDRESS, server_name));
        let ipfix = sources.pick(&IPFIX, read::socket);
        let more = or_none(sources.pick(&MORE, values::listeners));
        let netflow = or_none(sources.pick(&NETFLOW, values::sockets));
        let claims = sources.pick(&CLAIMS, |raw| read::word(raw, &CLAIM_WORDS));
        let silent_after = sources.pick(&SILENT, read::timeout);
        let certificate = Setting::optional(sources.pick(&CERTIFICATE, read::path));
        let key = Setting::optional(sources.pick(&PRIVATE_KEY, read::path));
        let client_ca = Setting::optional(sources.pick(&CLIENT_CA, read::path));
        let key_type = sources.pick(&KEY_TYPE, |raw| read::word(raw, &KEY_TYPES));
        let check_interval = sources.pick(&CHECK_INTERVAL, read::timeout);
        check_pair(&mut sources.findings, &certificate, &key);
        let input = Self {
            transport,
            reached_by,
            ipfix: ipfix?,
            grpc,
            more,
            netflow,
            claims: claims?,
            silent_after: silent_after?,
            certificate,
            key,
            client_ca,
            key_type: key_type?,
            check_interval: check_interval?,
        };
        input.check(&mut sources.findings);
        Some(input)
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let protocol = |it: &Option<Transport>| it.map_or("none", Transport::word).to_owned();
        let or_off = |it: &Option<SocketAddr>| {
            it.map_or_else(|| "off".to_owned(), |address| text(&address.to_string()))
        };
        let claims = |it: &Claims| match it {
            Claims::Count => "count".to_owned(),
            Claims::Refuse => "refuse".to_owned(),
        };
        let key_type = |kind: &KeyKind| match kind {
            KeyKind::Rsa2048 => "rsa".to_owned(),
            KeyKind::EcdsaP256 => "ecdsa".to_owned(),
        };
        vec![
            print::line(&TRANSPORT, &self.transport, protocol),
            print::maybe(&SERVER_ADDRESS, &self.reached_by),
            print::quoted(&IPFIX, &self.ipfix),
            print::line(&GRPC, &self.grpc, or_off),
            print::line(&MORE, &self.more, |it| print::list(it)),
            print::line(&NETFLOW, &self.netflow, |it| print::list(it)),
            print::line(&CLAIMS, &self.claims, claims),
            print::time(&SILENT, &self.silent_after),
            print::maybe_path(&CERTIFICATE, &self.certificate),
            print::maybe_path(&PRIVATE_KEY, &self.key),
            print::maybe_path(&CLIENT_CA, &self.client_ca),
            print::line(&KEY_TYPE, &self.key_type, key_type),
            print::time(&CHECK_INTERVAL, &self.check_interval),
        ]
    }

    /// Where IPFIX is taken.
    pub fn listeners(&self) -> Vec<Listener> {
        let first = self.transport.value.map(|transport| {
            let address = self.ipfix.value;
            Listener { address, transport }
        });
        first.into_iter().chain(self.more.value.iter().copied()).collect()
    }

    /// The files with certificates, if files have them.
    pub fn server_files(&self) -> Option<ServerFiles> {
        let pair = self.certificate.value.clone().zip(self.key.value.clone());
        let (certificates, key) = pair?;
        let clients = self.client_ca.value.clone();
        Some(ServerFiles { pair: PairFiles { certificates, key }, clients })
    }

    /// Whether anything is taken over TLS.
    pub fn is_tls(&self) -> bool {
        let is_tls = |it: &Listener| it.transport == Transport::Tls;
        self.grpc.value.is_some() || self.listeners().iter().any(is_tls)
    }

    fn check(&self, findings: &mut Findings) {
        for (key, file) in [(&CERTIFICATE, &self.certificate), (&CLIENT_CA, &self.client_ca)] {
            if file.value.is_some() && !self.is_tls() {
                let what = "has no effect: nothing is taken over TLS";
                findings.note(Severity::Doubt, file.origin.clone(), key.name(), what);
            }
        }
        for address in &self.netflow.value {
            let is_udp = |it: &Listener| it.transport == Transport::Udp && it.address == *address;
            if address.port() != 0 && self.listeners().iter().any(is_udp) {
                let what = format!("{address} is taken for IPFIX over UDP; choose another port");
                findings.note(Severity::Error, self.netflow.origin.clone(), NETFLOW.name(), what);
            }
        }
        let listeners = self.listeners();
        for (at, listener) in listeners.iter().enumerate() {
            let is_udp = |it: &Listener| it.transport == Transport::Udp;
            let is_same =
                |it: &Listener| it.address == listener.address && is_udp(it) == is_udp(listener);
            if listener.address.port() != 0 && listeners[..at].iter().any(is_same) {
                let what = format!("{listener} is taken already; choose another port");
                findings.note(Severity::Error, self.more.origin.clone(), MORE.name(), what);
            }
        }
    }
}

fn or_none<T>(picked: Option<Setting<Vec<T>>>) -> Setting<Vec<T>> {
    picked.unwrap_or_else(|| Setting::new(Vec::new(), Origin::Default))
}

fn check_pair(
    findings: &mut Findings,
    certificate: &Setting<Option<PathBuf>>,
    key: &Setting<Option<PathBuf>>,
) {
    for (name, it, other) in [(&CERTIFICATE, certificate, key), (&PRIVATE_KEY, key, certificate)] {
        if it.value.is_some() && other.value.is_none() {
            let what = "a certificate and its key are given together; this one is alone";
            findings.note(Severity::Error, it.origin.clone(), name.name(), what);
        }
    }
}

fn transport(raw: &Raw) -> Result<Option<Transport>, &'static str> {
    let word = read::text(raw)?.to_ascii_lowercase();
    if word == "none" {
        return Ok(None);
    }
    let known = Transport::ALL.into_iter().find(|it| it.word() == word);
    known.map(Some).ok_or("it is none of them")
}

fn grpc(raw: &Raw) -> Result<Option<SocketAddr>, &'static str> {
    // YAML 1.1 takes the word for a truth, which Antrea's parser would write as such.
    match read::text(raw)? {
        "off" | "false" => Ok(None),
        _ => read::socket(raw).map(Some),
    }
}

fn server_name(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    match ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("no certificate has such a name"),
    }
}
