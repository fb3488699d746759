//! Who reads what others keep.

use std::fs;
use std::os::unix::fs::symlink;

use k8s::certificates::{
    AuthoritiesOrigin, ClientOrigin, Follower, PairFiles, PairOrigin, ServerFiles,
};
use tests::api_server::{Failure, StandIn, Verb};

use crate::cluster::{DAY, Held, NAMESPACE, SERVER, keeper, now, of_aggregator, of_client};
use crate::echo::Echo;

/// Lays a volume out as the kubelet does: files are links through `..data`, which is exchanged.
fn project(volume: &std::path::Path, version: &str, held: &Held) {
    let folder = volume.join(version);
    fs::create_dir(&folder).unwrap();
    let texts =
        [("ca.crt", &held.authorities), ("tls.crt", &held.certificates), ("tls.key", &held.key)];
    for (name, text) in texts {
        fs::write(folder.join(name), text).unwrap();
        symlink(format!("..data/{name}"), volume.join(name)).ok();
    }
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[tokio::test]
async fn an_exporter_follows_the_objects() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now() - 280 * DAY).await;
    let mut follower = of_aggregator(&server).await;
    let echo = Echo::start(keeper.server()).await;
    let mut session = echo.connect(&follower.client()).await.unwrap();

    keeper.check(now()).await.unwrap();
    keeper.check(now() + 31 * DAY).await.unwrap();
    echo.connect(&follower.client()).await.map(drop).expect_err("it has not looked yet");
    server.fail(Failure {
        verb: Some(Verb::Get),
        resource: Some("configmaps"),
        times: 1,
        status: 500,
        retry_after: None,
    });
    follower.check().await.expect_err("it was refused");
    follower.check().await.unwrap();
    follower.check().await.unwrap();
    echo.connect(&follower.client()).await.unwrap();
    session.exchange().await.unwrap();
    let counters = *follower.counters().borrow();
    assert_eq!((counters.readings, counters.readings_failed, counters.configurations), (4, 1, 2));
}

/// Connecting to a collector whose CA was replaced without an overlap succeeds the second time:
/// asking for the configuration makes the follower look.
#[tokio::test]
async fn an_exporter_that_connects_looks_again() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let follower = of_aggregator(&server).await;
    let (source, mut counters) = (follower.client(), follower.counters());
    let echo = Echo::start(keeper.server()).await;
    server.remove("v1", "Secret", NAMESPACE, "flow-aggregator-ca-tls");
    keeper.check(now()).await.unwrap();
    let shutdown = tokio::sync::watch::Sender::new(false);
    let running = tokio::spawn(follower.run(shutdown.subscribe()));
    echo.connect(&source).await.map(drop).expect_err("it has not looked yet");
    counters.wait_for(|counters| counters.configurations == 2).await.unwrap();
    echo.connect(&source).await.unwrap();
    shutdown.send_replace(true);
    running.await.unwrap();
}

#[tokio::test]
async fn files_are_followed_through_the_links_of_a_volume() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now() - 280 * DAY).await;
    let echo = Echo::start(keeper.server()).await;
    let volume = tempfile::tempdir().unwrap();
    let held = Held::read(&server).await;
    project(volume.path(), "..1", &held);
    let files = ClientOrigin {
        authorities: AuthoritiesOrigin::File(volume.path().join("ca.crt")),
        pair: Some(PairOrigin::Files(PairFiles {
            certificates: volume.path().join("tls.crt"),
            key: volume.path().join("tls.key"),
        })),
    };
    let mut follower = of_client(files).await.unwrap();
    echo.connect(&follower.client()).await.unwrap();

    keeper.check(now()).await.unwrap();
    keeper.check(now() + 31 * DAY).await.unwrap();
    let new = Held::read(&server).await;
    // Half of it is there: the old pair is used until the key comes too.
    let torn = Held { key: held.key, ..new.clone() };
    project(volume.path(), "..2", &torn);
    follower.check().await.expect_err("the key is of another certificate");
    project(volume.path(), "..3", &new);
    follower.check().await.unwrap();
    echo.connect(&follower.client()).await.unwrap();
    let counters = *follower.counters().borrow();
    assert_eq!((counters.readings_failed, counters.configurations), (1, 2));
}

#[tokio::test]
async fn a_collector_without_kubernetes_serves_from_files() {
    let ca = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::CertifiedIssuer::self_signed(params, ca).unwrap();
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificates = params.signed_by(&key, &issuer).unwrap().pem();
        Held { authorities: issuer.pem(), certificates, key: key.serialize_pem() }
    };
    let (collector, exporter) = (issue(SERVER), issue("node-a"));
    let files = collector.files();
    let pair = PairFiles { certificates: files.certificates.clone(), key: files.key.clone() };
    let clients = Some(files.authorities.clone());
    let server_files = ServerFiles { pair: pair.clone(), clients };
    let mut follower = Follower::server_files(server_files).await.unwrap();
    let echo = Echo::start(follower.server()).await;
    let mut session = echo.connect(&exporter.source().await).await.unwrap();

    // The collector gets a new name; who comes now does not find the old one.
    let moved = issue("elsewhere.test");
    fs::write(&files.certificates, moved.certificates).unwrap();
    fs::write(&files.key, moved.key).unwrap();
    follower.check().await.unwrap();
    echo.connect(&exporter.source().await).await.map(drop).expect_err("the name is another");
    session.exchange().await.unwrap();

    // Without CAs, nobody is asked who they are; with them, everybody is.
    let nobody = Held { certificates: String::new(), ..exporter.clone() }.files();
    let mut as_nobody = nobody.of_client();
    as_nobody.pair = None;
    let anonymous = of_client(as_nobody).await.unwrap().client();
    fs::write(&files.certificates, &collector.certificates).unwrap();
    fs::write(&files.key, &collector.key).unwrap();
    follower.check().await.unwrap();
    echo.connect(&anonymous).await.map(drop).expect_err("a certificate is required");
    let open = Follower::server_files(ServerFiles { pair, clients: None }).await.unwrap();
    Echo::start(open.server()).await.connect(&anonymous).await.unwrap();
}
