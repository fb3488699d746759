use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

type Client = TlsStream<TcpStream>;

/// Both ends of a connection after the handshake.
async fn connected(version: &'static SupportedProtocolVersion) -> (Client, Accepted) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["collector.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let name = ServerName::try_from("collector.test").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    tokio::try_join!(
        connector.connect(name, stream),
        Accepted::handshake(accepted, Arc::new(server)),
    )
    .unwrap()
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[tokio::test]
async fn text_arrives_whole_however_little_is_asked_for_at_once() {
    let expected = text(150_000);
    for version in [&TLS12, &TLS13] {
        for step in [1, 1000, RECORD - 1, RECORD, 200_000] {
            let (mut client, mut accepted) = connected(version).await;
            let to_send = expected.clone();
            let sending = tokio::spawn(async move {
                // Records of all sizes.
                for part in to_send.chunks(70_001) {
                    let (short, long) = part.split_at(17);
                    client.write_all(short).await.unwrap();
                    client.write_all(long).await.unwrap();
                }
                client.shutdown().await.unwrap();
                client
            });
            let (mut arrived, mut buffer) = (Vec::new(), vec![0; step]);
            loop {
                let read = accepted.read(&mut buffer).await.unwrap();
                if read == 0 {
                    break;
                }
                arrived.extend_from_slice(&buffer[..read]);
            }
            assert!(arrived == expected, "{version:?}, {step} bytes at once");
            assert_eq!(accepted.read(&mut buffer).await.unwrap(), 0);
            drop(sending.await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_not_taken_for_one_that_ended() {
    let (mut client, mut accepted) = connected(&TLS13).await;
    client.write_all(b"last words").await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    let mut buffer = [0; 64];
    let read = accepted.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], b"last words");
    let error = accepted.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_came_before_a_broken_record_is_read_and_its_sender_told() {
    let (mut client, mut accepted) = connected(&TLS13).await;
    let mut sent = Vec::new();
    let (stream, tls) = client.get_mut();
    io::Write::write_all(&mut tls.writer(), b"sound").unwrap();
    tls.write_tls(&mut sent).unwrap();
    // An encrypted record nobody has the key of.
    sent.extend_from_slice(&[23, 3, 3, 0, 20]);
    sent.extend_from_slice(&[0xab; 20]);
    stream.write_all(&sent).await.unwrap();

    let mut buffer = vec![0; RECORD * 2];
    let read = accepted.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], b"sound");
    let error = accepted.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(accepted.read(&mut buffer).await.unwrap(), 0, "it is over");
    let told = client.read(&mut [0; 64]).await.unwrap_err();
    assert!(told.to_string().contains("BadRecordMac"), "{told}");
}

#[tokio::test]
async fn a_peer_may_change_its_keys_and_ask_for_others() {
    let (mut client, mut accepted) = connected(&TLS13).await;
    let mut buffer = [0; 64];
    for words in [b"before", b"after1", b"after2"] {
        client.write_all(words).await.unwrap();
        let read = accepted.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], words);
        client.get_mut().1.refresh_traffic_keys().unwrap();
    }
    client.shutdown().await.unwrap();
    assert_eq!(accepted.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_peer_that_never_ends_its_hello_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let sending = tokio::spawn(async move {
        // A ClientHello of 16 MiB (RFC 8446, section 4), in records of 16 KiB.
        let mut hello = vec![1, 0xff, 0xff, 0xff];
        loop {
            hello.resize(RECORD, 0);
            let mut record = vec![22, 3, 1, 0x40, 0];
            record.append(&mut hello);
            if stream.write_all(&record).await.is_err() {
                break;
            }
        }
    });
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let resolver = Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let error = Accepted::handshake(accepted, Arc::new(config)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    sending.await.unwrap();
}
