//! The exporter's end: messages that are there already, as fast as they are taken or at a pace.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    thread::{self, JoinHandle},
};

use benches::{
    datagrams::Pace,
    workload::{Messages, RECORDS},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    crypto::aws_lc_rs::{
        self,
        cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384},
    },
    pki_types::{PrivateKeyDer, ServerName},
    version::TLS13,
};

use crate::receiver::Carrier;

/// Bytes per write.
const WRITE: usize = 256 * 1024;

/// Both ends of a TLS session, which trust each other.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["collector.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let versions = [&TLS13];
        let server = ServerConfig::builder_with_protocol_versions(&versions)
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a configuration");
        // The order of Go's TLS, and so of Antrea's exporters.
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384];
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&versions)
            .expect("it has ciphers")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }
}

/// Sends all messages some times over, in one session.
pub(crate) struct Sender {
    /// Each pass, with the sequence numbers it has then.
    passes: Vec<Vec<u8>>,
    carrier: Carrier,
    client: Arc<ClientConfig>,
}

impl Sender {
    pub(crate) fn new(messages: &Messages, passes: u32, carrier: Carrier, tls: &Tls) -> Self {
        let passes = (0..passes).map(|pass| replayed(messages.bytes(), pass)).collect();
        Self { passes, carrier, client: Arc::clone(&tls.client) }
    }

    /// What carries the messages.
    pub(crate) const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// How many messages there are in all.
    pub(crate) fn messages(&self) -> usize {
        self.passes.iter().map(|messages| each(messages).count()).sum()
    }

    /// Sends on a thread of its own.
    pub(crate) fn start(self, to: SocketAddr) -> JoinHandle<()> {
        let thread = thread::Builder::new().name("sender".into());
        let work = move || match self.carrier {
            Carrier::Tcp => self.stream(TcpStream::connect(to).expect("it accepts")),
            Carrier::Tls => {
                let name = ServerName::try_from("collector.test").expect("a name");
                let client = ClientConnection::new(self.client.clone(), name).expect("a client");
                let stream = TcpStream::connect(to).expect("it accepts");
                let mut tls = StreamOwned::new(client, stream);
                self.stream(&mut tls);
                tls.conn.send_close_notify();
                tls.flush().expect("it reads");
                // What the collector has said must not be left unread: the kernel would break the
                // connection, and drop what is under way.
                tls.sock.shutdown(Shutdown::Write).expect("it is open");
                tls.read_to_end(&mut Vec::new()).ok();
            }
            Carrier::Udp => self.datagrams(to),
        };
        thread.spawn(work).expect("a thread")
    }

    fn stream(&self, mut stream: impl Write) {
        for messages in &self.passes {
            for part in messages.chunks(WRITE) {
                stream.write_all(part).expect("it reads");
            }
        }
    }

    fn datagrams(&self, to: SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(to).expect("an address");
        let all = self.passes.iter().flat_map(|messages| each(messages));
        Pace::none().send(&socket, all).expect("it is sent");
    }
}

/// All messages with the sequence numbers they have when they are sent again.
fn replayed(messages: &[u8], pass: u32) -> Vec<u8> {
    // The Template has been told.
    let start = if pass > 0 { length(messages) } else { 0 };
    let mut messages = messages[start..].to_vec();
    renumber(&mut messages, pass * u32::try_from(RECORDS).expect("not as many"));
    messages
}

/// Gives all messages sequence numbers that are `more`.
pub(crate) fn renumber(mut messages: &mut [u8], more: u32) {
    while !messages.is_empty() {
        let (message, others) = messages.split_at_mut(length(messages));
        let number = &mut message[8..12];
        let first = u32::from_be_bytes([number[0], number[1], number[2], number[3]]);
        number.copy_from_slice(&first.wrapping_add(more).to_be_bytes());
        messages = others;
    }
}

/// How long the first message is.
pub(crate) fn length(messages: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([messages[2], messages[3]]))
}

pub(crate) fn each(mut messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if messages.is_empty() {
            return None;
        }
        messages.split_off(..length(messages))
    })
}
