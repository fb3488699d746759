//! What programs we did not write make of our certificates: kubectl reads them, openssl and
//! Python judge them and shake hands.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use k8s::certificates::{AUTHORITY_SECRET, CLIENT_SECRET, Keeper, KeyKind};
use tests::api_server::StandIn;

use crate::cluster::{DAY, Files, Held, NAMESPACE, SERVER, bundle, client, now, options};
use crate::echo::Echo;

fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| {
        panic!("{} is missing ({error}): run `cargo xtask setup`", program.display())
    })
}

/// What a program says that must succeed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

fn openssl(arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder);
    command
}

/// An entry of a Secret, as kubectl reads it.
fn kubectl(server: &StandIn, secret: &str, template: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("kubectl");
    command.args(["--kubeconfig=/dev/null", "--server", &server.url(), "-n", NAMESPACE]);
    command.args(["get", "secret", secret, "-o", &format!("go-template={template}")]);
    said(command.env("HOME", folder.path()))
}

/// A cluster in the middle of a rotation: what was held before, and the keeper.
async fn rotating(server: &StandIn, kind: KeyKind) -> (Held, Held, Keeper) {
    let begin = now() - 280 * DAY;
    let mut keeper = Keeper::start(&client(server), options().keys(kind), begin).await.unwrap();
    let old = Held::read(server).await;
    keeper.check(now()).await.unwrap();
    (old, Held::read(server).await, keeper)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_and_openssl_read_what_the_table_says() {
    for (kind, label, algorithm) in [
        (KeyKind::Rsa2048, "BEGIN RSA PRIVATE KEY", "(2048 bit)"),
        (KeyKind::EcdsaP256, "BEGIN PRIVATE KEY", "(256 bit)"),
    ] {
        let server = StandIn::start();
        let begin = now();
        let keeper = Keeper::start(&client(&server), options().keys(kind), begin).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (secret, usage, alternatives) in [
            (AUTHORITY_SECRET, "Digital Signature, Certificate Sign", "CA:TRUE"),
            (CLIENT_SECRET, "Digital Signature", "TLS Web Client Authentication"),
        ] {
            assert_eq!(kubectl(&server, secret, "{{.type}}"), "kubernetes.io/tls");
            let entry = |key| format!(r#"{{{{index .data "{key}" | base64decode}}}}"#);
            let certificate = kubectl(&server, secret, &entry("tls.crt"));
            let key = kubectl(&server, secret, &entry("tls.key"));
            assert!(key.contains(label), "{kind:?}");
            fs::write(folder.path().join(secret), &certificate).unwrap();
            fs::write(folder.path().join("key"), &key).unwrap();
            let text =
                said(&mut openssl(&format!("x509 -noout -text -in {secret}"), folder.path()));
            let name = if secret == CLIENT_SECRET { "client-certificate" } else { "ca" };
            let name = format!("Subject: CN = flow-aggregator-{name}@{begin}\n");
            for part in [name.as_str(), algorithm, usage, alternatives] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
            // openssl derives the same public key from both.
            let of_key = said(&mut openssl("pkey -in key -pubout", folder.path()));
            let of_certificate = format!("x509 -noout -pubkey -in {secret}");
            assert_eq!(of_key, said(&mut openssl(&of_certificate, folder.path())));
            check_dates(&text, folder.path(), secret, begin);
        }
        let verify = "verify -x509_strict -purpose sslclient -CAfile flow-aggregator-ca-tls \
                      flow-aggregator-client-tls";
        said(&mut openssl(verify, folder.path()));
        drop(keeper);
    }
}

/// A year, from an hour ago.
fn check_dates(text: &str, folder: &Path, file: &str, begin: u64) {
    for (argument, at) in [("-startdate", begin - 3600), ("-enddate", begin + 365 * DAY)] {
        let told = said(&mut openssl(&format!("x509 -noout {argument} -in {file}"), folder));
        let date = told.trim().split_once('=').unwrap().1.to_owned();
        let seconds = said(Command::new("date").args(["-d", &date, "+%s"]));
        assert_eq!(seconds.trim(), at.to_string(), "{text}");
    }
}

/// Connects with openssl, and returns what it says.
fn s_client(address: SocketAddr, files: &Files, version: &str) -> Output {
    let arguments = format!(
        "s_client -brief -connect {address} -servername {SERVER} -verify_hostname {SERVER} \
         -verify_return_error -CAfile ca.crt -cert tls.crt -cert_chain tls.crt -key tls.key \
         {version}"
    );
    run(&mut openssl(&arguments, files.folder.path()))
}

fn python(address: SocketAddr, files: &Files) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/foreign.py");
    let mut command = Command::new("python3");
    command.args([script, &address.port().to_string(), SERVER]).current_dir(files.folder.path());
    run(&mut command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_and_python_connect_with_all_that_exporters_may_hold() {
    for kind in [KeyKind::Rsa2048, KeyKind::EcdsaP256] {
        let server = StandIn::start();
        let (old, new, mut keeper) = rotating(&server, kind).await;
        let echo = Echo::start(keeper.server()).await;
        for (who, held) in Held::mixed(&old, &new) {
            let files = held.files();
            for version in ["-tls1_2", "-tls1_3"] {
                let output = s_client(echo.address, &files, version);
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{kind:?}, {who}: {told}");
                assert!(told.contains("Verification: OK"), "{told}");
                assert!(told.contains("Verified peername: flow-aggregator"), "{told}");
            }
            let output = python(echo.address, &files);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{kind:?}, {who}: {told}");
        }
        assert_eq!(echo.refused(), [""; 0]);

        keeper.check(now() + 31 * DAY).await.unwrap();
        let last = Held::read(&server).await;
        for (who, held) in Held::mixed(&old, &last) {
            let connected = python(echo.address, &held.files()).status.success();
            assert_eq!(connected, who == "new bundle, new pair", "{kind:?}, {who}");
        }
    }
}

/// A server of openssl that only trusts the CA it is given.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// Signs a certificate with our CA's key, and serves with it in `folder`.
    fn start(folder: &Path, port: u16) -> Self {
        let request = format!(
            "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=s \
            -addext subjectAltName=DNS:{SERVER} -addext extendedKeyUsage=serverAuth"
        );
        said(&mut openssl(&request, folder));
        let sign = "x509 -req -in s.csr -CA sign.crt -CAkey sign.key -CAcreateserial -days 1 \
                    -copy_extensions copy -out s.crt";
        said(&mut openssl(sign, folder));
        let serve = format!(
            "s_server -rev -accept {port} -cert s.crt -key s.key \
                             -CAfile trusted.crt -Verify 3 -verify_return_error"
        );
        let log = File::create(folder.join("log")).unwrap();
        let mut command = openssl(&serve, folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = Self(command.spawn().expect("openssl is there"));
        let listens = || fs::read_to_string(folder.join("log")).unwrap().contains("ACCEPT");
        let patience = std::time::Duration::from_secs(20);
        assert!(tests::binary::eventually(patience, listens), "openssl did not start");
        server
    }
}

/// The pair that is new is taken by who knows only the old CA, as a late replica does; and what
/// the CA's key from the Secret signs, openssl serves with and our clients trust.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_takes_our_clients() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for kind in [KeyKind::Rsa2048, KeyKind::EcdsaP256] {
        let server = StandIn::start();
        let (old, new, _keeper) = rotating(&server, kind).await;
        let folder = tempfile::tempdir().unwrap();
        let mut sign = String::new();
        write!(sign, "{}", crate::cluster::authority(&server).await).unwrap();
        let key = crate::cluster::secret(&server, AUTHORITY_SECRET, "tls.key").await;
        fs::write(folder.path().join("sign.crt"), sign).unwrap();
        fs::write(folder.path().join("sign.key"), key).unwrap();
        fs::write(folder.path().join("trusted.crt"), &old.authorities).unwrap();
        assert!(bundle(&server).await.contains(&old.authorities));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], tests::ports::free_port()));
        let _openssl = Server::start(folder.path(), address.port());
        for pair in [&old, &new] {
            let source = new.with_pair_of(pair).source().await;
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(source.config());
            let name = rustls::pki_types::ServerName::try_from(SERVER).unwrap();
            let mut stream = connector.connect(name, stream).await.unwrap();
            stream.write_all(b"flow\n").await.unwrap();
            let mut answer = [0; 5];
            let read = stream.read_exact(&mut answer).await;
            let log = fs::read_to_string(folder.path().join("log")).unwrap();
            read.unwrap_or_else(|error| panic!("{kind:?}: {error}: {log}"));
            assert_eq!(&answer, b"wolf\n");
        }
    }
}
