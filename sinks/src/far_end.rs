//! Where an output sends what it makes, and what protects it on the way.

use k8s::certificates::ClientOrigin;

/// The authorities that Debian and most images without a shell trust, for collectors whose
/// certificates are of a public one.
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A far end on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarEnd {
    /// `host:port`; the name is looked up anew for each connection.
    pub address: String,
    pub transport: Transport,
}

/// What carries records to a far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
    Tls(Tls),
}

/// What a connection over TLS is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Who the far end must be, and the name it is asked for; the host of its address if none.
    pub server_name: Option<String>,
    /// Whom to trust, and who we are. Read anew for each connection.
    pub origin: ClientOrigin,
    /// No connection with TLS 1.2.
    pub tls13_only: bool,
}
