//! The IPFIX output over TLS, to OpenSSL.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flow::{Contents, Mode};
use k8s::certificates::{AuthoritiesOrigin, ClientOrigin, PairFiles, PairOrigin};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use sinks::ipfix::{IpfixSink, Options, Profile};
use sinks::{FarEnd, Sink, SinkError, Tls, Transport};
use tests::ports::free_port;

use super::{NOW_MS, batch, options, reading};

/// An authority, and certificates of a collector and an exporter, as files.
fn issue(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
    write("ca.crt", authority.pem());
    for name in ["collector.example", "exporter.example"] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("it signs");
        write(&format!("{name}.crt"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

/// A collector that asks exporters who they are, and prints what the first one says.
struct OpenSsl(Child);

impl OpenSsl {
    fn start(folder: &Path, port: u16, version: &str) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-verify_return_error", "-Verify", "1", version]);
        command.args(["-CAfile", "ca.crt", "-cert", "collector.example.crt"]);
        command.args(["-key", "collector.example.key", "-naccept", "1"]);
        command.args(["-accept", &format!("127.0.0.1:{port}")]).current_dir(folder);
        // At the end of its input it would end the connection.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().expect("openssl is there");
        let deadline = Instant::now() + Duration::from_secs(20);
        let is_there = || {
            let sockets = fs::read_to_string("/proc/net/tcp").expect("procfs");
            sockets.contains(&format!(":{port:04X} 00000000:0000 0A"))
        };
        while !is_there() {
            assert!(Instant::now() < deadline, "openssl does not listen");
            // Between two looks.
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }

    fn said(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        self.0.stdout.take().expect("a pipe").read_to_end(&mut said).expect("it ends");
        said
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().expect("it ends");
    }
}

fn protected(folder: &Path, port: u16, pair: Option<&str>, name: &str) -> Options {
    let file = |name: String| -> PathBuf { folder.join(name) };
    let pair = pair.map(|name| {
        PairOrigin::Files(PairFiles {
            certificates: file(format!("{name}.crt")),
            key: file(format!("{name}.key")),
        })
    });
    let origin =
        ClientOrigin { authorities: AuthoritiesOrigin::File(file("ca.crt".to_owned())), pair };
    let tls = Tls { server_name: Some(name.to_owned()), origin, tls13_only: false };
    let contents = Contents { names: true, uids: true, mode: Mode::Aggregate };
    Options {
        to: FarEnd { address: format!("127.0.0.1:{port}"), transport: Transport::Tls(tls) },
        ..options("", contents, Profile::Antrea)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_gets_records_from_who_it_trusts_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    issue(folder.path());
    for version in ["-tls1_2", "-tls1_3"] {
        let port = free_port();
        let mut collector = OpenSsl::start(folder.path(), port, version);
        let options = protected(folder.path(), port, Some("exporter.example"), "collector.example");
        let mut sink = IpfixSink::new(options).expect("it may");
        sink.write(&batch(), NOW_MS).await.expect("there is room");
        sink.flush().await.expect("it is sent");
        drop(sink);
        assert_eq!(reading::pypi(&collector.said()).len(), 3, "{version}");
    }
    // A collector of another name, and an exporter of none.
    for (pair, name) in
        [(Some("exporter.example"), "elsewhere.example"), (None, "collector.example")]
    {
        let port = free_port();
        let mut collector = OpenSsl::start(folder.path(), port, "-tls1_2");
        let mut sink = IpfixSink::new(protected(folder.path(), port, pair, name)).expect("it may");
        sink.write(&batch(), NOW_MS).await.expect("there is room");
        let refused = sink.flush().await;
        assert!(matches!(refused, Err(SinkError::Unavailable(_))), "{name}");
        assert_eq!(collector.said(), b"", "{name}");
    }
}
