//! A destination as somebody wants it: where records go, which of them, and in what form.
//!
//! A [`Spec`] is made of the configuration (the destination `static`, and those that
//! `flow-exporter.conf` lists) or of a `FlowExporterDestination` (`crd/NAME`). Whoever makes them
//! hands on all of them at once, as `watch::Receiver<Arc<[Spec]>>`.
mod filter; // which records
mod redaction; // and what of them is left out

use std::path::PathBuf;
use std::time::Duration;

use config::address::{Address, Host};
use flow::Profile;

pub use filter::{Directions, Filter};
pub use k8s::LabelSelector;
pub use redaction::Redaction;

/// The name of the one destination that Antrea's keys and the command line describe.
pub const STATIC: &str = "static";
/// What the names of custom resources begin with here; no other name has a slash.
pub const CUSTOM_RESOURCE: &str = "crd/";

/// Everything about one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Unique: [`STATIC`], a name from `flow-exporter.conf`, or [`CUSTOM_RESOURCE`] and a name.
    pub name: String,
    /// Host and port; what is spoken there is [`Spec::transport`]'s to say.
    pub address: Address,
    pub transport: Transport,
    pub filter: Filter,
    pub profile: Profile,
    pub compatibility: Compatibility,
    pub timeouts: Timeouts,
    pub redaction: Redaction,
    /// How often Templates are sent over UDP.
    pub template_refresh: Duration,
}

/// What carries records to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
    Tls(TlsSpec),
    Grpc(TlsSpec),
}

/// How a destination proves who it is, and this exporter too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSpec {
    /// The name in its certificate; `None` for the host of its address.
    pub server_name: Option<String>,
    pub min_version: TlsVersion,
    pub ca: Authorities,
    /// `None` to show no certificate.
    pub identity: Option<Identity>,
}

/// The words of Antrea's `minTLSVersion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// A PEM file.
    File(PathBuf),
    /// `ca.crt` of a `ConfigMap`.
    ConfigMap(ObjectName),
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// PEM files.
    Files { certificate: PathBuf, key: PathBuf },
    /// `tls.crt` and `tls.key` of a Secret.
    Secret(ObjectName),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

/// How messages are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// One record per message, since Antrea's Flow Aggregator takes no more. A connection that has
    /// fallen silent is told again with nothing new, and one that was denied has always ended, as
    /// Antrea's exporter has it.
    Antrea,
    /// As many records as a message holds (RFC 7011).
    Ipfix,
}

/// When a connection is told to a destination: see [`crate::meter::Timeouts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub active: Duration,
    pub idle: Duration,
}

impl Spec {
    /// How often Templates are sent over UDP, unless the configuration says otherwise.
    pub const TEMPLATE_REFRESH: Duration = Duration::from_mins(1);

    /// Whether a session for `other` is of no use for this one.
    pub fn goes_elsewhere(&self, other: &Self) -> bool {
        (&self.address, &self.transport, self.profile, self.compatibility)
            != (&other.address, &other.transport, other.profile, other.compatibility)
            || (&self.redaction, self.template_refresh)
                != (&other.redaction, other.template_refresh)
    }

    /// `host:port`, for a resolver.
    pub fn target(&self) -> String {
        let host = Host::Named(self.host());
        Address { host, port: self.address.port, protocol: None }.to_string()
    }

    /// The name that a certificate must be for, unless [`TlsSpec::server_name`] says another. A
    /// Service is known by this name inside of its cluster.
    pub fn host(&self) -> String {
        match &self.address.host {
            Host::Named(host) => host.clone(),
            Host::Service { namespace, name } => format!("{name}.{namespace}.svc"),
        }
    }
}

impl Compatibility {
    /// What goes with a profile unless somebody says otherwise.
    pub const fn of(profile: Profile) -> Self {
        match profile {
            Profile::Antrea => Self::Antrea,
            Profile::Fyke => Self::Ipfix,
        }
    }
}

impl TlsVersion {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tls12 => "VersionTLS12",
            Self::Tls13 => "VersionTLS13",
        }
    }
}
