//! Transport Sessions over TLS, and certificates that change while the processes run.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ipfix::transport::{
    ClientTls, Deadlines, Destination, ServerTls, SessionError, Transport,
    collect::{Limits, Protocol},
    export::{ExportingProcess, Messages},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use support::{Collecting, Numbers, exporter, tcp};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// An authority, and what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A collector that only talks to exporters with a certificate of this authority.
    fn server(&self, (certificate, key): Identity) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder(self.roots()).build().unwrap();
        let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
        Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
    }

    fn client(
        &self,
        identity: Option<Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }
}

fn destination(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Destination {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tls = ClientTls::new(name, move || Arc::clone(&config));
    Destination::new(address.to_string(), Transport::Tls(tls))
}

/// Sends one number in a session of its own.
async fn send(process: &mut ExportingProcess<Numbers>, number: u64) -> Result<(), SessionError> {
    process.push(number);
    process.flush(0).await
}

/// A collector for `collector.test`, its authority, and where it listens.
async fn collecting() -> (Collecting, Authority, SocketAddr) {
    let authority = Authority::new();
    let config = authority.server(authority.issue("collector.test"));
    let collecting = Collecting::new(Limits::default());
    let tls = ServerTls::new(move || Arc::clone(&config));
    let address = collecting.tls("127.0.0.1:0", tls).await;
    (collecting, authority, address)
}

#[tokio::test]
async fn both_ends_prove_who_they_are_with_tls_1_2_and_1_3() {
    let (mut collecting, authority, address) = collecting().await;
    for (number, version) in [(12, &TLS12), (13, &TLS13)] {
        let identity = authority.issue("node-a");
        let certificate = identity.0.clone();
        let config = authority.client(Some(identity), &[version]);
        let mut process = exporter(destination(address, "collector.test", config));
        send(&mut process, number).await.unwrap();
        let peer = collecting.opened().await;
        assert_eq!(peer.protocol, Protocol::Tls);
        assert_eq!(peer.certificate.as_deref(), Some(certificate.as_ref()));
        assert_eq!(collecting.numbers(1).await, [number]);
        process.close().await.unwrap();
        assert_eq!(collecting.ended().await, "closed by the exporter");
    }
}

#[tokio::test]
async fn what_was_sent_right_before_the_end_arrives() {
    let (mut collecting, authority, address) = collecting().await;
    let config = authority.client(Some(authority.issue("node-a")), &[&TLS13]);
    for records in [100, 200, 300, 400, 600] {
        let destination = destination(address, "collector.test", Arc::clone(&config));
        let messages = Messages::conservative(7, &destination);
        let export = Numbers { name: "x".repeat(1900), ..Numbers::default() };
        let mut process = ExportingProcess::new(destination, messages, export).unwrap();
        (0..records).for_each(|number| process.push(number));
        // The collector says how to resume when it is done with the handshake, which is later than
        // all of this: it has not had its turn.
        process.flush(0).await.unwrap();
        process.close().await.unwrap();
        let count = usize::try_from(records).unwrap();
        assert_eq!(collecting.numbers(count).await, (0..records).collect::<Vec<_>>());
        assert_eq!(collecting.ended().await, "closed by the exporter");
    }
}

#[tokio::test]
async fn a_collector_with_another_name_is_refused() {
    let (mut collecting, authority, address) = collecting().await;
    let config = authority.client(Some(authority.issue("node-a")), &[&TLS13]);
    let mut process = exporter(destination(address, "another.test", config));
    let error = send(&mut process, 1).await.unwrap_err();
    assert!(matches!(error, SessionError::Handshake(_)), "{error}");
    assert_eq!(collecting.refused().await, "TLS handshake was not successful");
    assert_eq!(process.pending(), 1);
}

#[tokio::test]
async fn an_exporter_without_a_certificate_gets_no_session() {
    let (mut collecting, authority, address) = collecting().await;
    let config = authority.client(None, &[&TLS13]);
    let mut process = exporter(destination(address, "collector.test", config));
    // With TLS 1.3 a client is done before the server has judged it.
    let sent = send(&mut process, 1).await;
    assert_eq!(collecting.refused().await, "TLS handshake was not successful");
    if sent.is_ok() {
        process.closed().await;
    }
    assert_eq!(collecting.process.counters().opened, 0);
    assert_eq!(collecting.process.counters().refused_handshake, 1);
}

#[tokio::test]
async fn who_speaks_no_tls_gets_no_session() {
    let (mut collecting, _, address) = collecting().await;
    let mut process = exporter(tcp(address));
    send(&mut process, 1).await.unwrap();
    assert_eq!(collecting.refused().await, "TLS handshake was not successful");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let authority = Authority::new();
    let config = authority.server(authority.issue("collector.test"));
    let handshake = Duration::from_millis(50);
    let mut collecting = Collecting::new(Limits { handshake, ..Limits::default() });
    let address = collecting.tls("127.0.0.1:0", ServerTls::new(move || Arc::clone(&config))).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(collecting.refused().await, "no TLS handshake within 50ms");
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = authority.client(None, &[&TLS13]);
    let deadlines = Deadlines { connect: handshake, ..Deadlines::default() };
    let mute = destination(listener.local_addr().unwrap(), "collector.test", config);
    let mut process = exporter(Destination { deadlines, ..mute });
    let error = send(&mut process, 1).await.unwrap_err();
    assert!(matches!(error, SessionError::HandshakeDeadline(_)), "{error}");
}

#[tokio::test]
async fn certificates_may_be_renewed_between_handshakes() {
    let mut collecting = Collecting::new(Limits::default());
    let [old, new] = [Authority::new(), Authority::new()];
    let served = Arc::new(Mutex::new(old.server(old.issue("collector.test"))));
    let to_serve = Arc::clone(&served);
    let tls = ServerTls::new(move || Arc::clone(&to_serve.lock().unwrap()));
    let address = collecting.tls("[::1]:0", tls).await;
    let used = Arc::new(Mutex::new(old.client(Some(old.issue("node-a")), &[&TLS13])));
    let to_use = Arc::clone(&used);
    let name = ServerName::try_from("collector.test").unwrap();
    let client = ClientTls::new(name, move || Arc::clone(&to_use.lock().unwrap()));
    let destination = Destination::new(address.to_string(), Transport::Tls(client));
    let mut before = exporter(destination.clone());
    send(&mut before, 1).await.unwrap();

    *served.lock().unwrap() = new.server(new.issue("collector.test"));
    let mut after = exporter(destination);
    send(&mut after, 2).await.unwrap_err();
    *used.lock().unwrap() = new.client(Some(new.issue("node-a")), &[&TLS13]);
    after.flush(0).await.unwrap();
    send(&mut before, 3).await.unwrap();
    let mut numbers = collecting.numbers(3).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
}
