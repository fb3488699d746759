use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exporter::destination::Spec;
use ipfix::transport::{Destination, SessionError, export::ExportSession};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tests::api_server::StandIn;
use tests::ports::free_port;
use tokio::net::TcpListener;

use crate::world::{PATIENCE, World, destination, documented_rules, over_tcp};

fn service(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" }, "spec": spec,
    })
}

/// The only destination that is wanted, ready to connect.
async fn only(world: &World, address: &str) -> (Spec, Destination) {
    world.wants(&[("crd/a", address)]).await;
    let spec = world.resources.specs.borrow()[0].clone();
    let to = world.way.to(&spec).unwrap();
    (spec, to)
}

fn told(error: &SessionError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn refusal(to: &Destination) -> String {
    told(&ExportSession::open(to).await.map(drop).unwrap_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_looked_up_before_each_connect() {
    let world = World::allowed().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("shop/collector:{port}");
    world.apply(&destination("a", &over_tcp(&address)));
    let (_, to) = only(&world, &address).await;

    let missing = refusal(&to).await;
    assert!(missing.contains("Service shop/collector does not exist"), "{missing}");
    // 127.0.0.0/8 is all this machine's: whoever takes the first address gets through.
    let dual = json!({ "clusterIP": "127.0.0.1", "clusterIPs": ["127.0.0.1", "fd00::1"] });
    world.apply(&service("collector", &dual));
    ExportSession::open(&to).await.unwrap();
    for (spec, why) in [
        (json!({ "clusterIP": "None", "clusterIPs": ["None"] }), "is headless"),
        (json!({ "type": "ExternalName" }), "has no cluster address"),
        (json!({ "clusterIP": "somewhere" }), "none: \"somewhere\""),
    ] {
        world.delete_in("shop", "service", "collector");
        world.apply(&service("collector", &spec));
        let said = refusal(&to).await;
        assert!(said.contains(why), "{said}");
    }
    let lost = |why| format!("fyke_exporter_services_not_located_total{{reason=\"{why}\"}}");
    for why in ["missing", "headless", "no_address", "not_an_address"] {
        assert_eq!(world.metric(&lost(why)), Some(1), "{why}");
    }
    assert_eq!(world.metric("fyke_exporter_services_located_total"), Some(1));

    world.allow(" [{apiGroups: [crd.antrea.io], resources: ['*'], verbs: [list, watch]}]");
    let denied = refusal(&to).await;
    assert!(denied.contains("resources: [services]\n  resourceNames: [collector]"), "{denied}");
}

/// A CA, and what it has signed for one exporter and one collector.
struct Authority {
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What the collector is called if nobody says otherwise.
const SERVER: &str = "collector.shop.svc";

impl Authority {
    fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let common = rcgen::DnType::CommonName;
        params.distinguished_name.push(common, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { name, issuer }
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, format!("{name} of {}", self.name));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The two objects of an exporter.
    fn objects(&self) -> [Value; 2] {
        let (certificate, key) = self.issue("exporter");
        let meta = |name: &str| json!({ "namespace": "certs", "name": name });
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("ca"),
            "data": { "ca.crt": self.issuer.pem() },
        });
        let encode = |text: &str| base64(text.as_bytes());
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": meta("pair"),
            "data": { "tls.crt": encode(&certificate), "tls.key": encode(&key) },
        });
        [map, secret]
    }
}

fn base64(bytes: &[u8]) -> String {
    use k8s_openapi::ByteString;
    let text = serde_json::to_value(ByteString(bytes.to_vec())).unwrap();
    text.as_str().unwrap().to_owned()
}

/// `openssl s_server`, which wants to see a certificate of its CA.
struct Collector(Child, tempfile::TempDir);

impl Collector {
    fn start(authority: &Authority, port: u16, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.issue(SERVER);
        let files = [("ca", authority.issuer.pem()), ("crt", certificate), ("key", key)];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let output = |name| Stdio::from(File::create(folder.path().join(name)).unwrap());
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-brief"]);
        command.args(["-cert", "crt", "-key", "key", "-CAfile", "ca", "-Verify", "1"]);
        command.args(["-verify_return_error"]).args(more);
        command.current_dir(folder.path()).stdin(Stdio::piped());
        let child = command.stdout(output("out")).stderr(output("err")).spawn();
        let collector = Self(child.expect("openssl is installed: run `cargo xtask setup`"), folder);
        let listens =
            || fs::read_to_string("/proc/net/tcp").unwrap().contains(&format!(":{port:04X} "));
        let came = tests::binary::eventually(Duration::from_secs(20), listens);
        assert!(came, "openssl does not listen");
        collector
    }

    /// Waits until it says something.
    async fn says(&self, what: &str) {
        let read = |name: &str| fs::read_to_string(self.1.path().join(name)).unwrap_or_default();
        let said = || read("err") + &read("out");
        let waiting = async {
            while !said().contains(what) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "{what:?} is not in {}", said());
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn over_tls(address: &str, more: &Value) -> Value {
    let mut tls = json!({
        "caConfigMap": { "namespace": "certs", "name": "ca" },
        "clientSecret": { "namespace": "certs", "name": "pair" },
    });
    for (field, value) in more.as_object().unwrap() {
        tls[field] = value.clone();
    }
    json!({ "address": address, "protocol": { "ipfix": { "transport": "tls" } }, "tlsConfig": tls })
}

/// Leave to read the two objects, beside what is documented.
fn rules() -> String {
    let objects = "\n  - {apiGroups: [''], resources: [configmaps, secrets], verbs: [get], \
                   namespaces: [certs], resourceNames: [ca, pair]}";
    documented_rules() + objects
}

fn message() -> Vec<u8> {
    // An empty IPFIX message (RFC 7011, section 3.1).
    [0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7].to_vec()
}

async fn send(session: &mut ExportSession) -> Result<(), SessionError> {
    session.write(&message(), &mut 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_rotate_without_a_restart_and_without_ending_a_session() {
    let world = World::new(StandIn::start_tls(), &rules()).await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let [map, secret] = old.objects();
    world.apply(&map);
    world.apply(&secret);
    world.apply(&service("collector", &json!({ "clusterIP": "127.0.0.1" })));
    let port = free_port();
    let address = format!("shop/collector:{port}");
    // No serverName: a Service has one of its own.
    world.apply(&destination("a", &over_tls(&address, &json!({}))));
    let (_, to) = only(&world, &address).await;

    let first = Collector::start(&old, port, &[]);
    let mut session = ExportSession::open(&to).await.unwrap();
    send(&mut session).await.unwrap();
    first.says("CN = exporter of old").await;

    let [map, secret] = new.objects();
    world.apply(&map);
    world.apply(&secret);
    let elsewhere = free_port();
    let second = Collector::start(&new, elsewhere, &[]);
    world.apply(&service("collector", &json!({ "clusterIP": "127.0.0.1" })));
    // The same destination, of which the collector has moved.
    let mut moved = to.clone();
    moved.locator = None;
    moved.address = format!("127.0.0.1:{elsewhere}");
    // The first connect after an unannounced rotation makes the new certificates be read.
    let stale = refusal(&moved).await;
    assert!(stale.contains("TLS handshake"), "{stale}");
    world.until_metric("fyke_exporter_certificates_configurations_total", |it| it == 2).await;
    let mut next = ExportSession::open(&moved).await.unwrap();
    send(&mut next).await.unwrap();
    second.says("CN = exporter of new").await;
    send(&mut session).await.unwrap();
    assert!(session.ended().await.is_none(), "the session that was open still is");
    assert_eq!(world.metric("fyke_exporter_certificates_readings_failed_total"), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_version_and_the_server_name_count() {
    let world = World::new(StandIn::start_tls(), &rules()).await;
    let authority = Authority::new("one");
    for object in authority.objects() {
        world.apply(&object);
    }
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let collector = Collector::start(&authority, port, &["-tls1_2"]);
    let named = |version: &str| json!({ "serverName": SERVER, "minTLSVersion": version });
    world.apply(&destination("a", &over_tls(&address, &named("VersionTLS12"))));
    let (_, to) = only(&world, &address).await;
    let mut session = ExportSession::open(&to).await.unwrap();
    send(&mut session).await.unwrap();
    collector.says("Protocol version: TLSv1.2").await;
    // It has time for one at once.
    drop(session);

    world
        .changed(|world| {
            world.apply(&destination("a", &over_tls(&address, &named("VersionTLS13"))));
        })
        .await;
    let (_, to) = only(&world, &address).await;
    assert!(refusal(&to).await.contains("TLS handshake"));
    // Without a name it is the address, for which the certificate is not.
    world.changed(|world| world.apply(&destination("a", &over_tls(&address, &json!({}))))).await;
    let (_, to) = only(&world, &address).await;
    let stranger = refusal(&to).await;
    assert!(stranger.contains("certificate"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_are_missing_or_denied_are_told_and_waited_for() {
    let world = World::new(StandIn::start_tls(), &documented_rules()).await;
    let port = free_port();
    let address = format!("localhost:{port}");
    let spec = over_tls(&address, &json!({ "serverName": SERVER }));
    world.apply(&destination("a", &spec));
    let (_, to) = only(&world, &address).await;
    let denied = refusal(&to).await;
    let role = "kind: Role\nmetadata:\n  name: fyke-configmaps-ca\n  namespace: certs\nrules:\n\
                - apiGroups: [\"\"]\n  resources: [configmaps]\n  resourceNames: [ca]\n  verbs: [get]";
    assert!(denied.contains(role), "{denied}");

    world.allow(&rules());
    let (_, again) = only(&world, &address).await;
    let missing = refusal(&again).await;
    assert!(missing.contains("ConfigMap certs/ca is missing, or has no ca.crt"), "{missing}");
    let authority = Authority::new("one");
    for object in authority.objects() {
        world.apply(&object);
    }
    let collector = Collector::start(&authority, port, &[]);
    // Both were told to wait, and come to it by themselves.
    world.until_metric("fyke_exporter_certificates_configurations_total", |it| it == 2).await;
    for to in [to, again] {
        let mut session = ExportSession::open(&to).await.unwrap();
        send(&mut session).await.unwrap();
        drop(session);
    }
    collector.says("CN = exporter of one").await;
}
