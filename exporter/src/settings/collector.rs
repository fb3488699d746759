//! Where to send, and what keeps that from working.

use std::path::PathBuf;

use config::address::{Address, Host, Protocol};
use config::{Origin, Raw, Reading, Setting, Severity, Sources, read};

use super::keys::{self, AGENT};
use super::values;
use crate::destination::{Authorities, Identity, TlsSpec, TlsVersion, Transport};
use crate::destinations::of_aggregator;

/// The one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// With its protocol.
    pub address: Setting<Address>,
    pub ca: Setting<Option<PathBuf>>,
    pub certificate: Setting<Option<PathBuf>>,
    pub key: Setting<Option<PathBuf>>,
    pub server_name: Setting<Option<String>>,
    /// What is not given is read from the objects of Antrea's Flow Aggregator.
    pub objects: bool,
}

impl Collector {
    /// The name that a certificate must be for, unless another is given.
    fn host(&self) -> String {
        match &self.address.value.host {
            Host::Named(host) => host.clone(),
            Host::Service { namespace, name } => format!("{name}.{namespace}.svc"),
        }
    }

    /// `None` if something is missing, which the findings have told.
    pub fn transport(&self) -> Option<Transport> {
        match self.address.value.protocol? {
            Protocol::Tcp => Some(Transport::Tcp),
            Protocol::Udp => Some(Transport::Udp),
            Protocol::Tls => Some(Transport::Tls(self.tls()?)),
            Protocol::Grpc => Some(Transport::Grpc(self.tls()?)),
        }
    }

    fn tls(&self) -> Option<TlsSpec> {
        let server_name = self.server_name.value.clone();
        let pair = self.certificate.value.clone().zip(self.key.value.clone());
        let files = pair.map(|(certificate, key)| Identity::Files { certificate, key });
        match &self.ca.value {
            Some(path) => Some(TlsSpec {
                server_name,
                min_version: TlsVersion::default(),
                ca: Authorities::File(path.clone()),
                identity: files,
            }),
            None if self.objects => {
                let objects = of_aggregator();
                Some(TlsSpec { server_name, identity: files.or(objects.identity), ..objects })
            }
            None => None,
        }
    }
}

/// As in Antrea, a mistake in an address that is not used keeps nothing from starting.
/// Neither does a missing file for the default address where there are `others`.
///
/// `objects`: there is an API server to read from what no file is named for.
pub(super) fn pick(
    sources: &mut Sources,
    exports: bool,
    others: bool,
    objects: bool,
) -> Option<Collector> {
    let severity = if exports { Severity::Error } else { Severity::Doubt };
    let with_tls = sources.pick(&keys::WITH_TLS, read::truth).map(|it| it.value);
    let before = sources.findings.iter().count();
    let mut address = sources.pick(&keys::COLLECTOR, |raw: &Raw| {
        let mut reading = Reading::from(read::address(raw));
        reading.wrong.iter_mut().for_each(|wrong| wrong.severity = severity);
        reading
    })?;
    // A default that stands in for a mistake has none of its own.
    let stands_in = address.origin == Origin::Default && sources.findings.iter().count() > before;
    let protocol = protocol(sources, &address, with_tls);
    address.value.protocol = Some(protocol);
    let collector = Collector {
        address,
        ca: Setting::optional(sources.pick(&keys::CA, values::path)),
        certificate: Setting::optional(sources.pick(&keys::CERTIFICATE, values::path)),
        key: Setting::optional(sources.pick(&keys::PRIVATE_KEY, values::path)),
        server_name: Setting::optional(sources.pick(&keys::SERVER_NAME, values::server_name)),
        objects,
    };
    let is_unused = others && collector.address.origin == Origin::Default;
    if exports && !stands_in && !is_unused {
        check(sources, &collector);
    }
    Some(collector)
}

/// What an address that does not say means depends on who wrote it.
fn protocol(sources: &Sources, address: &Setting<Address>, with_tls: Option<bool>) -> Protocol {
    let given = address.value.protocol;
    match (&address.origin, with_tls) {
        (Origin::Flag(_), _) => given.unwrap_or(Protocol::Tcp),
        (origin, Some(with_tls)) if is_old(sources, origin) => match (given, with_tls) {
            (None, false) => Protocol::Tcp,
            (None | Some(Protocol::Tcp), true) => Protocol::Tls,
            (Some(given), _) => given,
        },
        _ => given.unwrap_or(Protocol::Tls),
    }
}

/// Whether an address was written for an Antrea that had a separate switch for TLS.
fn is_old(sources: &Sources, origin: &Origin) -> bool {
    let newer = ["flowExporter.flowCollectorAddr", "flowExporter.collectorAddress"];
    *origin != Origin::Default
        && sources.place(AGENT, "flowCollectorAddr") == Some(origin)
        && newer.iter().all(|path| sources.place(AGENT, path).is_none())
}

/// Checks what several keys say together.
fn check(sources: &mut Sources, collector: &Collector) {
    let Collector { address, ca, certificate, key, server_name, objects } = collector;
    let mut error = |key: &config::Key, origin: Option<&Origin>, what: String| {
        sources.findings.note(Severity::Error, origin.cloned(), key.name(), what);
    };
    if matches!(address.value.protocol, Some(Protocol::Tls | Protocol::Grpc)) {
        if ca.value.is_none() && !objects {
            let what = format!(
                "expected {} for {}, found nothing; name the file of the authority in \
                 flow-exporter.conf, or end the address with :tcp",
                keys::CA.form,
                address.value
            );
            error(&keys::CA, None, what);
        }
        let host = collector.host();
        if server_name.value.is_none() && values::server_name(&Raw::Text(host.clone())).is_err() {
            let what = format!("no certificate can be for {host:?}; say which name it is for");
            error(&keys::SERVER_NAME, Some(&address.origin), what);
        }
    }
    let half = "a certificate and its key are given together; this one is alone".to_owned();
    match (&certificate.value, &key.value) {
        (Some(_), None) => error(&keys::CERTIFICATE, Some(&certificate.origin), half),
        (None, Some(_)) => error(&keys::PRIVATE_KEY, Some(&key.origin), half),
        _ => {}
    }
}
