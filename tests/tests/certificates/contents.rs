//! What is made, and what is made anew when it is not as it should be.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::{fs, io};

use k8s::certificates::{AUTHORITY_SECRET, BUNDLE_CONFIG_MAP, CLIENT_SECRET, Counters, KeyKind};
use k8s::certificates::{CheckError, Keeper};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::PostParams;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tests::api_server::StandIn;

use crate::cluster::{
    DAY, Held, NAMESPACE, authority, bundle, client, keeper, now, options, secret,
};
use crate::echo::Echo;

/// How often the CA, the clients' pair and the bundle were written.
fn written(counters: &Counters) -> (u64, u64, u64) {
    (counters.authorities_written, counters.clients_written, counters.bundles_written)
}

/// Replaces entries of a Secret, as a stranger might.
async fn set(server: &StandIn, name: &str, entries: &[(&str, &str)]) {
    let api: Api<Secret> = Api::namespaced(client(server), NAMESPACE);
    let mut secret = api.get(name).await.unwrap();
    let data = secret.data.as_mut().unwrap();
    for (key, value) in entries {
        data.insert((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
    }
    api.replace(name, &PostParams::default(), &secret).await.unwrap();
}

/// A certificate that nobody here has signed, and its key.
fn stranger(is_ca: bool) -> (String, String) {
    let mut params = CertificateParams::new(["stranger.test".to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Beside those of our own CA; the file may be exchanged.
#[tokio::test]
async fn a_file_may_have_authorities_of_further_clients() {
    let server = StandIn::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.crt");
    let (certificates, key) = stranger(false);
    fs::write(&file, &certificates).unwrap();
    let options = options().also_trusting(file.clone());
    let mut keeper = Keeper::start(&client(&server), options, now()).await.unwrap();
    let own = Held::read(&server).await;
    let other = Held { authorities: own.authorities.clone(), certificates, key };
    let (own, other) = (own.source().await, other.source().await);
    let echo = Echo::start(keeper.server()).await;
    for source in [&own, &other] {
        echo.connect(source).await.unwrap();
    }
    fs::write(&file, stranger(false).0).unwrap();
    keeper.check(now()).await.unwrap();
    echo.connect(&own).await.unwrap();
    echo.connect(&other).await.err().expect("it is not in the file any more");
    fs::write(&file, "no PEM at all").unwrap();
    let failed = keeper.check(now()).await;
    assert!(matches!(failed, Err(CheckError::Further(_))), "{failed:?}");
    echo.connect(&own).await.unwrap();
}

async fn serves(server: &StandIn, keeper: &Keeper) {
    let source = Held::read(server).await.source().await;
    Echo::start(keeper.server()).await.connect(&source).await.unwrap();
}

#[tokio::test]
async fn a_ca_that_is_of_no_use_is_replaced_with_all_it_signed() {
    let server = StandIn::start();
    let (other_ca, other_key) = stranger(true);
    let (leaf, leaf_key) = stranger(false);
    for entries in [
        [("tls.crt", "no PEM at all"), ("tls.key", "nor this")],
        [("tls.crt", other_ca.as_str()), ("tls.key", leaf_key.as_str())],
        [("tls.crt", leaf.as_str()), ("tls.key", leaf_key.as_str())],
        [
            ("tls.crt", other_ca.as_str()),
            ("tls.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END"),
        ],
        [("tls.crt", ""), ("tls.key", other_key.as_str())],
    ] {
        let mut keeper = keeper(&server, now()).await;
        let before = *keeper.counters().borrow();
        set(&server, AUTHORITY_SECRET, &entries).await;
        keeper.check(now()).await.unwrap();
        let after = *keeper.counters().borrow();
        let (authorities, clients, bundles) = written(&before);
        assert_eq!(written(&after), (authorities + 1, clients + 1, bundles + 1), "{entries:?}");
        serves(&server, &keeper).await;
    }
}

#[tokio::test]
async fn a_ca_of_somebody_else_is_used() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let (certificate, key) = stranger(true);
    set(&server, AUTHORITY_SECRET, &[("tls.crt", &certificate), ("tls.key", &key)]).await;
    keeper.check(now()).await.unwrap();
    assert_eq!(written(&keeper.counters().borrow()), (1, 2, 2));
    assert_eq!(bundle(&server).await.trim(), certificate.replace('\r', "").trim());
    serves(&server, &keeper).await;
}

#[tokio::test]
async fn a_clients_pair_that_is_of_no_use_is_replaced_alone() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let (certificate, key) = stranger(false);
    let good = secret(&server, CLIENT_SECRET, "tls.key").await;
    for entries in [
        [("tls.crt", "no PEM at all"), ("tls.key", "nor this")],
        [("tls.crt", certificate.as_str()), ("tls.key", key.as_str())],
        [("tls.crt", certificate.as_str()), ("tls.key", good.as_str())],
    ] {
        let (_, clients, _) = written(&keeper.counters().borrow());
        set(&server, CLIENT_SECRET, &entries).await;
        keeper.check(now()).await.unwrap();
        assert_eq!(written(&keeper.counters().borrow()), (1, clients + 1, 1), "{entries:?}");
        serves(&server, &keeper).await;
    }
    // The server's own certificate is of the same CA, but for something else.
    server.remove("v1", "Secret", NAMESPACE, CLIENT_SECRET);
    keeper.check(now()).await.unwrap();
    serves(&server, &keeper).await;
}

#[tokio::test]
async fn the_bundle_is_what_exporters_need_and_the_rest_of_its_map_is_left_alone() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let api: Api<ConfigMap> = Api::namespaced(client(&server), NAMESPACE);
    let mut map = api.get(BUNDLE_CONFIG_MAP).await.unwrap();
    let data = map.data.as_mut().unwrap();
    data.insert("ca.crt".to_owned(), stranger(true).0);
    data.insert("note".to_owned(), "mine".to_owned());
    map.metadata.labels = Some([("team".to_owned(), "net".to_owned())].into());
    api.replace(BUNDLE_CONFIG_MAP, &PostParams::default(), &map).await.unwrap();

    keeper.check(now()).await.unwrap();
    assert_eq!(bundle(&server).await, authority(&server).await);
    let map = api.get(BUNDLE_CONFIG_MAP).await.unwrap();
    assert_eq!(map.data.unwrap()["note"], "mine");
    let labels = map.metadata.labels.unwrap();
    assert_eq!((labels["team"].as_str(), labels["app"].as_str()), ("net", "flow-aggregator"));
}

/// Ninety days before a certificate ends it is replaced, and not a day earlier.
#[tokio::test]
async fn what_ends_in_ninety_days_is_replaced() {
    let server = StandIn::start();
    let begin = now();
    let mut keeper = keeper(&server, begin).await;
    let first = authority(&server).await;
    keeper.check(begin + 274 * DAY).await.unwrap();
    assert_eq!(written(&keeper.counters().borrow()), (1, 1, 1));
    keeper.check(begin + 276 * DAY).await.unwrap();
    assert_eq!(written(&keeper.counters().borrow()), (2, 2, 2));
    assert_eq!(bundle(&server).await, authority(&server).await + &first);
    keeper.check(begin + 307 * DAY).await.unwrap();
    assert_eq!(bundle(&server).await, authority(&server).await);
    // Nobody looked for years.
    keeper.check(begin + 2000 * DAY).await.unwrap();
    assert_eq!(bundle(&server).await, authority(&server).await, "nothing to overlap with");
}

/// Replicas whose clocks differ by months must not replace each other's CAs.
#[tokio::test]
async fn a_ca_from_the_future_is_told_and_left_alone() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let before = authority(&server).await;
    let error = keeper.check(now() - DAY).await.unwrap_err();
    assert!(matches!(error, CheckError::NotYetValid), "{error}");
    assert_eq!(authority(&server).await, before);
}

#[tokio::test]
async fn ecdsa_keys_are_made_where_they_are_asked_for() {
    let server = StandIn::start();
    serves(&server, &keeper(&server, now()).await).await;
    let (rsa, options) = (StandIn::start(), options().keys(KeyKind::Rsa2048));
    serves(&rsa, &Keeper::start(&client(&rsa), options, now()).await.unwrap()).await;
    let lengths = [authority(&server).await.len(), authority(&rsa).await.len()];
    assert!(lengths[0] * 3 < lengths[1] * 2, "ECDSA is shorter: {lengths:?}");
}

#[tokio::test]
async fn no_key_is_told() {
    let server = StandIn::start();
    let keeper = keeper(&server, now()).await;
    let source = Held::read(&server).await.source().await;
    let told = format!("{keeper:#?}{:#?}{source:#?}", keeper.server());
    assert!(told.contains("***") && !told.contains("PRIVATE"), "{told}");
    assert!(told.len() < 4000, "no bytes of certificates or keys: {told}");
}

/// What one thread has logged.
#[derive(Clone)]
struct Log(ThreadId, Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if thread::current().id() == self.0 {
            self.1.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_key_is_logged() {
    let (log, server) = (Log(thread::current().id(), Arc::default()), StandIn::start());
    let (to, all) = (log.clone(), tracing::Level::TRACE);
    // For all tests of this program: what is enabled for one thread alone may be cached as
    // disabled by another.
    tracing_subscriber::fmt().with_max_level(all).with_writer(move || to.clone()).init();
    let mut keeper = keeper(&server, now() - 280 * DAY).await;
    let mut keys = Vec::new();
    for at in [now() - 280 * DAY, now()] {
        keeper.check(at).await.unwrap();
        for name in [AUTHORITY_SECRET, CLIENT_SECRET] {
            let secret = server.get("v1", "Secret", NAMESPACE, name).unwrap();
            let encoded = secret["data"]["tls.key"].as_str().unwrap().to_owned();
            // The beginning is that of any key.
            keys.push(encoded[100..160].to_owned());
            let pem = self::secret(&server, name, "tls.key").await;
            keys.push(pem.lines().nth(2).unwrap().to_owned());
        }
    }
    // A Secret that cannot be read at all.
    let mut broken = server.get("v1", "Secret", NAMESPACE, CLIENT_SECRET).unwrap();
    broken["data"]["tls.crt"] = 7.into();
    server.put(broken);
    keeper.check(now()).await.expect_err("it is no Secret");
    let log = String::from_utf8(log.1.lock().unwrap().clone()).unwrap();
    for part in ["made a new CA", "/secrets/"] {
        assert!(log.contains(part), "{part} is not logged");
    }
    assert!(!keys.iter().any(|key| log.contains(key)), "a key is in the log");
}
