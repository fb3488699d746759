//! The output to a collector of IPFIX or JSON.
mod keys; // as they are written and explained

use std::path::PathBuf;
use std::time::Duration;

use config::address::{Address, Host, Protocol};
use config::write::{Line, text};
use config::{Findings, Raw, Setting, Severity, Sources, read};
use k8s::certificates::{AuthoritiesOrigin, ClientOrigin, PairFiles, PairOrigin};
use sinks::ipfix::{Directions, Profile};
use sinks::{FarEnd, SYSTEM_AUTHORITIES, Tls, Transport};

use super::{print, values};
pub(super) use keys::*;

/// What less than a second stands for, as in the library that Antrea uses.
const TEMPLATE_REFRESH: Duration = Duration::from_mins(10);

/// What records are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ipfix,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProfileName {
    Antrea,
    Standard,
    Iana,
}

const FORMATS: [(&str, Format); 2] = [("IPFIX", Format::Ipfix), ("JSON", Format::Json)];
const PROFILES: [(&str, ProfileName); 3] = [
    ("antrea", ProfileName::Antrea),
    ("standard", ProfileName::Standard),
    ("iana", ProfileName::Iana),
];
const VERSIONS: [(&str, bool); 2] = [("VersionTLS12", false), ("VersionTLS13", true)];

/// The output to a collector of IPFIX or JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowCollector {
    pub enable: Setting<bool>,
    address: Setting<Option<Address>>,
    pub domain: Setting<Option<u32>>,
    pub format: Setting<Format>,
    template_refresh: Setting<Duration>,
    max_message: Setting<u16>,
    tls: Setting<bool>,
    ca_secret: Setting<Option<String>>,
    server_name: Setting<Option<String>>,
    client_secret: Setting<Option<String>>,
    tls13_only: Setting<Option<bool>>,
    pub names: Setting<bool>,
    pub uids: Setting<bool>,
    certificates: Setting<PathBuf>,
    profile: Setting<ProfileName>,
    biflow: Setting<bool>,
}

impl FlowCollector {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&ENABLE, read::truth);
        let before = sources.findings.iter().count();
        let picked = Self::pick_rest(sources, enable.clone()?);
        match &picked {
            Some(it) if it.enable.value => it.check(&mut sources.findings),
            _ => sources.findings.soften_after(before),
        }
        picked
    }

    fn pick_rest(sources: &mut Sources, enable: Setting<bool>) -> Option<Self> {
        let mistakes = sources.findings.iter().count();
        let address = Setting::optional(sources.pick(&ADDRESS, address));
        if enable.value && address.value.is_none() && sources.findings.iter().count() == mistakes {
            let what = format!("expected {}, found nothing", ADDRESS.form);
            sources.findings.note(Severity::Error, enable.origin.clone(), ADDRESS.name(), what);
        }
        let domain =
            Setting::optional(sources.pick(&DOMAIN, |raw| read::number(raw, 0..=u32::MAX)));
        let format = sources.pick(&FORMAT, |raw| read::word(raw, &FORMATS));
        let template_refresh = sources.pick(&TEMPLATE_REFRESH_KEY, read::duration);
        let max_message = sources.pick(&MAX_MESSAGE, max_message);
        let tls = sources.pick(&TLS_ENABLE, read::truth);
        let ca_secret = Setting::optional(sources.pick(&CA_SECRET, values::text));
        let server_name = Setting::optional(sources.pick(&SERVER_NAME, values::text));
        let client_secret = Setting::optional(sources.pick(&CLIENT_SECRET, values::text));
        let version = sources.pick(&MIN_VERSION, |raw| read::word(raw, &VERSIONS));
        let names = sources.pick(&NAMES, read::truth);
        let uids = sources.pick(&UIDS, read::truth);
        let certificates = sources.pick(&CERTIFICATES, read::path);
        let profile = sources.pick(&PROFILE, |raw| read::word(raw, &PROFILES));
        let biflow = sources.pick(&BIFLOW, read::truth);
        Some(Self {
            enable,
            address,
            domain,
            format: format?,
            template_refresh: template_refresh?,
            max_message: max_message?,
            tls: tls?,
            ca_secret,
            server_name,
            client_secret,
            tls13_only: Setting::optional(version),
            names: names?,
            uids: uids?,
            certificates: certificates?,
            profile: profile?,
            biflow: biflow?,
        })
    }

    fn check(&self, findings: &mut Findings) {
        let protocol = self.address.value.as_ref().and_then(|address| address.protocol);
        if self.tls.value && protocol == Some(Protocol::Udp) {
            let what = "DTLS is not spoken; choose tcp, or set tls.enable to false";
            findings.note(Severity::Error, self.tls.origin.clone(), TLS_ENABLE.name(), what);
        }
        if self.profile.value == ProfileName::Antrea && !self.biflow.value {
            let what = "has no effect with the profile antrea, whose records tell of both";
            findings.note(Severity::Doubt, self.biflow.origin.clone(), BIFLOW.name(), what);
        }
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let word = |it: &Format| match it {
            Format::Ipfix => "IPFIX".to_owned(),
            Format::Json => "JSON".to_owned(),
        };
        let domain =
            |it: &Option<u32>| it.map_or_else(|| "null".to_owned(), |domain| domain.to_string());
        let version = |it: &Option<bool>| {
            let word = VERSIONS.iter().find(|(_, only)| Some(*only) == *it);
            text(word.map_or("", |(word, _)| word))
        };
        let profile = |it: &ProfileName| {
            let word = PROFILES.iter().find(|(_, name)| name == it);
            word.map_or("", |(word, _)| word).to_owned()
        };
        vec![
            print::number(&ENABLE, &self.enable),
            print::maybe(&ADDRESS, &self.address),
            print::line(&DOMAIN, &self.domain, domain),
            print::line(&FORMAT, &self.format, word),
            print::time(&TEMPLATE_REFRESH_KEY, &self.template_refresh),
            print::number(&MAX_MESSAGE, &self.max_message),
            print::number(&TLS_ENABLE, &self.tls),
            print::maybe(&CA_SECRET, &self.ca_secret),
            print::maybe(&SERVER_NAME, &self.server_name),
            print::maybe(&CLIENT_SECRET, &self.client_secret),
            print::line(&MIN_VERSION, &self.tls13_only, version),
            print::number(&NAMES, &self.names),
            print::number(&UIDS, &self.uids),
            print::line(&CERTIFICATES, &self.certificates, |it| text(&it.to_string_lossy())),
            print::line(&PROFILE, &self.profile, profile),
            print::number(&BIFLOW, &self.biflow),
        ]
    }

    /// Where records go; `None` if they go nowhere.
    pub fn far_end(&self) -> Option<FarEnd> {
        let address = self.address.value.as_ref().filter(|_| self.enable.value)?;
        let host = match &address.host {
            Host::Named(host) if host.contains(':') => format!("[{host}]"),
            Host::Named(host) => host.clone(),
            Host::Service { namespace, name } => format!("{name}.{namespace}.svc"),
        };
        let is_tls = self.tls.value || address.protocol == Some(Protocol::Tls);
        let transport = match address.protocol {
            Some(Protocol::Udp) => Transport::Udp,
            _ if is_tls => Transport::Tls(self.tls_material()),
            _ => Transport::Tcp,
        };
        Some(FarEnd { address: format!("{host}:{}", address.port), transport })
    }

    fn tls_material(&self) -> Tls {
        let file = |name: &str| self.certificates.value.join(name);
        let authorities = match &self.ca_secret.value {
            Some(_) => file("ca.crt"),
            None => SYSTEM_AUTHORITIES.into(),
        };
        let pair = || PairFiles { certificates: file("tls.crt"), key: file("tls.key") };
        let origin = ClientOrigin {
            authorities: AuthoritiesOrigin::File(authorities),
            pair: self.client_secret.value.as_ref().map(|_| PairOrigin::Files(pair())),
        };
        Tls {
            server_name: self.server_name.value.clone(),
            origin,
            tls13_only: self.tls13_only.value.unwrap_or_default(),
        }
    }

    pub fn max_message(&self) -> Option<u16> {
        Some(self.max_message.value).filter(|bytes| *bytes > 0)
    }

    pub fn template_refresh(&self) -> Duration {
        let asked = self.template_refresh.value;
        if asked < Duration::from_secs(1) { TEMPLATE_REFRESH } else { asked }
    }

    pub fn profile(&self) -> Profile {
        let directions = if self.biflow.value { Directions::Biflow } else { Directions::Uniflow };
        match self.profile.value {
            ProfileName::Antrea => Profile::Antrea,
            ProfileName::Standard => Profile::Standard(directions),
            ProfileName::Iana => Profile::Iana,
        }
    }
}

fn address(raw: &Raw) -> Result<Address, String> {
    let mut address = read::address(raw)?;
    if address.protocol == Some(Protocol::Grpc) {
        return Err("IPFIX and JSON are not sent over gRPC".into());
    }
    address.protocol.get_or_insert(Protocol::Tcp);
    Ok(address)
}

fn max_message(raw: &Raw) -> Result<u16, String> {
    match read::text(raw)? {
        "0" => Ok(0),
        _ => read::number(raw, 512..=u16::MAX),
    }
}
