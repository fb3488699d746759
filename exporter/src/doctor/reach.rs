//! Whether collectors can be reached, as far as that can be told without a record.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use daemon::Chain;
use k8s::service::ServiceError;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::Certificate;
use super::{Clock, Step};
use crate::destination::{Authorities, Spec, TlsSpec, Transport};
use crate::destinations::Way;

/// How long each look may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// A collector that does not like our certificate says so after the handshake (RFC 8446,
/// section 4.4.2.4), within about a round trip.
const ALERT: Duration = Duration::from_secs(1);
/// The application protocol of gRPC (RFC 7301, RFC 9113).
const H2: &[u8] = b"h2";
/// What a client of HTTP/2 begins with (RFC 9113, section 3.4): the preface, empty settings.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Where a frame has its type, and that of settings.
const H2_SETTINGS: (usize, u8) = (3, 4);

/// Something that keeps records from arriving.
struct Trouble {
    found: String,
    remedy: String,
}

pub(super) async fn look_at(specs: &[Spec], way: &Way, clock: Clock) -> Step {
    let step = Step::new("destinations");
    if specs.is_empty() {
        return step.fail(
            "there is no destination",
            "give --collector, list destinations in flow-exporter.conf, or apply a \
             FlowExporterDestination",
        );
    }
    let mut step = step;
    for spec in specs {
        let name = &spec.name;
        step = match reach(spec, way).await {
            Ok(Reached { told, certificates }) => {
                let step = step.ok(format!("{name}: {told}"));
                certificates
                    .iter()
                    .fold(step, |step, it| it.look_at(step, name, clock() / 1_000_000_000))
            }
            Err(Trouble { found, remedy }) => step.fail(format!("{name}: {found}"), remedy),
        };
    }
    step
}

struct Reached {
    told: String,
    certificates: Vec<Certificate>,
}

impl Reached {
    const fn plainly(told: String) -> Self {
        Self { told, certificates: Vec::new() }
    }
}

async fn reach(spec: &Spec, way: &Way) -> Result<Reached, Trouble> {
    let target = way.locate(&spec.address).await.map_err(|error| not_located(&error))?;
    let addresses: Vec<_> = match timeout(DEADLINE, lookup_host(&target)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unresolved(&target, &error)),
        Err(_) => return Err(unresolved(&target, &"no answer")),
    };
    if addresses.is_empty() {
        return Err(unresolved(&target, &"it has no address"));
    }
    if spec.transport == Transport::Udp {
        let told = format!("{target} has an address; over UDP nobody says whether records arrive");
        return Ok(Reached::plainly(told));
    }
    let refused = |why: &dyn std::fmt::Display| Trouble {
        found: format!("{target} does not answer: {why}"),
        remedy: "start the collector, correct the address, or let a firewall or NetworkPolicy \
                 pass this port"
            .into(),
    };
    let stream = match timeout(DEADLINE, TcpStream::connect(&*addresses)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refused(&error)),
        Err(_) => return Err(refused(&format!("nothing came for {DEADLINE:?}"))),
    };
    let (tls, is_grpc) = match &spec.transport {
        Transport::Tcp | Transport::Udp => {
            return Ok(Reached::plainly(format!("{target} answers over TCP")));
        }
        Transport::Tls(tls) => (tls, false),
        Transport::Grpc(tls) => (tls, true),
    };
    let (mut config, name) = protection(spec, tls, way).await?;
    if is_grpc {
        Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
    }
    let mut certificates: Vec<_> = Certificate::ours(&config).into_iter().collect();
    let mut stream =
        shake_hands(config, name, stream).await.map_err(|error| broken(tls, &error))?;
    certificates.extend(Certificate::of_peer(&stream));
    if is_grpc {
        speaks_h2(&mut stream).await.map_err(|error| broken(tls, &error))?;
        let told = format!("{target} answers over TLS, and speaks HTTP/2");
        return Ok(Reached { told, certificates });
    }
    says_nothing(&mut stream).await.map_err(|error| broken(tls, &error))?;
    Ok(Reached { told: format!("{target} answers over TLS"), certificates })
}

async fn protection(
    spec: &Spec,
    tls: &TlsSpec,
    way: &Way,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), Trouble> {
    let trouble = |found| Trouble {
        found,
        remedy: format!("see to {}, and to our certificate if one is named", authorities(tls)),
    };
    let protected = way.protection(spec, tls);
    let (material, name) = protected.map_err(|error| trouble(Chain(&error).to_string()))?;
    if timeout(2 * DEADLINE, material.tried()).await.is_err() {
        return Err(trouble("certificates could not be read in time".into()));
    }
    let config = material.config();
    let unread = |error| trouble(format!("certificates cannot be used: {}", Chain(&error)));
    Ok((config.map_err(unread)?, name))
}

async fn shake_hands(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let shaken = timeout(DEADLINE, TlsConnector::from(config).connect(name, stream)).await;
    shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// A collector of IPFIX has nothing to say, unless it does not like us.
async fn says_nothing(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    match timeout(ALERT, stream.read(&mut [0])).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Ok(_)) => Err(io::Error::other("it speaks first, so it is no collector of IPFIX")),
        Ok(Err(error)) => Err(error),
    }
}

async fn speaks_h2(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    let is_agreed = stream.get_ref().1.alpn_protocol() == Some(H2);
    if !is_agreed {
        return Err(io::Error::other("it does not agree to HTTP/2, so it speaks no gRPC"));
    }
    let mut head = [0; 9];
    let talked = async {
        stream.write_all(H2_PREFACE).await?;
        stream.read_exact(&mut head).await
    };
    timeout(DEADLINE, talked).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (at, settings) = H2_SETTINGS;
    if head.get(at) == Some(&settings) {
        Ok(())
    } else {
        Err(io::Error::other("what it says is not HTTP/2"))
    }
}

fn unresolved(target: &str, why: &dyn std::fmt::Display) -> Trouble {
    Trouble {
        found: format!("{target} has no address: {why}"),
        remedy: "correct the name; a Pod of the host's network knows the cluster's names only \
                 with dnsPolicy: ClusterFirstWithHostNet"
            .into(),
    }
}

fn not_located(error: &ServiceError) -> Trouble {
    let remedy = match error {
        ServiceError::Unread(..) => "let the API server be reached and asked for it",
        ServiceError::Missing(_) => "create the Service, or correct its namespace and name",
        ServiceError::Headless(_) => "give the Service a cluster address, or name a host",
        ServiceError::NoAddress(_) | ServiceError::NotAnAddress(..) => {
            "see why the Service has no cluster address"
        }
    };
    Trouble { found: Chain(error).to_string(), remedy: remedy.into() }
}

fn broken(tls: &TlsSpec, error: &io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    Trouble { found: format!("no TLS session: {error}"), remedy: remedy(tls, error, inner) }
}

fn remedy(tls: &TlsSpec, error: &io::Error, inner: Option<&rustls::Error>) -> String {
    use rustls::Error as E;
    match inner {
        Some(E::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!(
                    "put the authority that issued the collector's certificate into {}",
                    authorities(tls)
                )
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "say as the server's name (serverName) one that its certificate is for".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the collector's certificate".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "set this Node's clock, or the collector's".into()
            }
            _ => "see the collector's certificate".into(),
        },
        Some(E::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        )) => "agree on a version of TLS (minTLSVersion) and its ciphers".into(),
        Some(E::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            "name the port where the collector takes gRPC, or say tls".into()
        }
        Some(E::AlertReceived(_)) => refused_us(tls),
        Some(E::InvalidMessage(_)) => {
            "nothing speaks TLS there: name the right port, or end the address with :tcp".into()
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => refused_us(tls),
        _ => "see the collector's log".into(),
    }
}

fn refused_us(tls: &TlsSpec) -> String {
    match tls.identity {
        None => "it may want a certificate of ours: name one, with its key".into(),
        Some(_) => "have the collector trust the authority of our certificate".into(),
    }
}

fn authorities(tls: &TlsSpec) -> String {
    match &tls.ca {
        Authorities::File(path) => path.display().to_string(),
        Authorities::ConfigMap(name) => format!("ConfigMap {}/{}", name.namespace, name.name),
    }
}
