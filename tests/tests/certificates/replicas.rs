//! Many replicas at once.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s::certificates::{AUTHORITY_SECRET, CLIENT_SECRET, Keeper};
use kube::Client;
use tests::api_server::{Failure, StandIn, Verb};
use tests::way::hold_writes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cluster::{DAY, Held, NAMESPACE, client, client_at, keeper, now, options};
use crate::echo::Echo;

/// The versions of the three objects.
fn versions(server: &StandIn) -> BTreeSet<String> {
    let objects = [
        ("Secret", AUTHORITY_SECRET),
        ("Secret", CLIENT_SECRET),
        ("ConfigMap", "flow-aggregator-ca"),
    ];
    let version = |(kind, name)| {
        let object = server.get("v1", kind, NAMESPACE, name).expect("it is there");
        object["metadata"]["resourceVersion"].to_string()
    };
    objects.into_iter().map(version).collect()
}

async fn all_serve_the_same_exporter(server: &StandIn, keepers: &[Keeper]) {
    let source = Held::read(server).await.source().await;
    for keeper in keepers {
        Echo::start(keeper.server()).await.connect(&source).await.unwrap();
    }
}

async fn start(client: Client) -> Keeper {
    Keeper::start(&client, options(), now() - 280 * DAY).await.unwrap()
}

/// All have seen that there is no CA before the first of them writes one.
#[tokio::test]
async fn replicas_that_start_at_once_agree_on_one_ca() {
    let server = StandIn::start();
    let held = watch::Sender::new(true);
    let way = hold_writes(server.address(), held.subscribe()).await;
    let starting: JoinSet<Keeper> = (0..5).map(|_| start(client_at(way))).collect();
    server.until("all to have read", |seen| seen.requests(Verb::Get, "configmaps") == 5).await;
    held.send_replace(false);
    let keepers = starting.join_all().await;
    let sum = |of: fn(&k8s::certificates::Counters) -> u64| -> u64 {
        keepers.iter().map(|keeper| of(&keeper.counters().borrow())).sum()
    };
    assert_eq!(sum(|counters| counters.authorities_written), 1);
    let conflicts = sum(|counters| counters.conflicts);
    assert!(conflicts >= 4, "{conflicts} found that another one was faster");
    let ends: BTreeSet<_> =
        keepers.iter().map(|keeper| keeper.counters().borrow().authority_ends_s).collect();
    assert_eq!(ends.len(), 1);
    all_serve_the_same_exporter(&server, &keepers).await;

    // And they agree on the next one.
    let checking = keepers.into_iter().map(|mut keeper| async {
        keeper.check(now()).await.unwrap();
        keeper
    });
    let keepers = checking.collect::<JoinSet<_>>().join_all().await;
    let written = keepers.iter().map(|keeper| keeper.counters().borrow().authorities_written);
    assert_eq!(written.sum::<u64>(), 2);
    all_serve_the_same_exporter(&server, &keepers).await;

    // What is right stays as it is.
    let before = versions(&server);
    for mut keeper in keepers {
        keeper.check(now() + DAY).await.unwrap();
    }
    assert_eq!(versions(&server), before);
}

/// Who cannot ask goes on with what it has.
#[tokio::test]
async fn an_api_server_that_fails_changes_nothing() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let echo = Echo::start(keeper.server()).await;
    let source = Held::read(&server).await.source().await;
    let failure = |verb, status| Failure {
        verb: Some(verb),
        resource: Some("secrets"),
        times: 1,
        status,
        retry_after: None,
    };
    for (verb, status) in [(Verb::Get, 500), (Verb::Get, 403)] {
        server.fail(failure(verb, status));
        keeper.check(now()).await.expect_err("it was refused");
        echo.connect(&source).await.unwrap();
    }
    assert_eq!(keeper.counters().borrow().checks_failed, 2);
    // A write that is refused half-way is made good by the next check.
    server.fail(failure(Verb::Update, 500));
    keeper.check(now() + 280 * DAY).await.expect_err("it was refused");
    echo.connect(&source).await.unwrap();
    keeper.check(now() + 280 * DAY).await.unwrap();
    assert_eq!(keeper.counters().borrow().authorities_written, 2);
}

#[tokio::test]
async fn a_replica_that_runs_looks_again_and_again() {
    let server = StandIn::start();
    let options = options().checked_every(Duration::from_secs(1));
    let keeper = Keeper::start(&client(&server), options, now()).await.unwrap();
    let (mut counters, shutdown) = (keeper.counters(), watch::Sender::new(false));
    let running = tokio::spawn(keeper.run(now, shutdown.subscribe()));
    server.remove("v1", "ConfigMap", NAMESPACE, "flow-aggregator-ca");
    counters.wait_for(|counters| counters.bundles_written == 2).await.unwrap();
    server.fail(Failure {
        verb: Some(Verb::Get),
        resource: Some("secrets"),
        times: 1,
        status: 403,
        retry_after: None,
    });
    counters.wait_for(|counters| counters.checks_failed == 1).await.unwrap();
    server.remove("v1", "Secret", NAMESPACE, CLIENT_SECRET);
    counters.wait_for(|counters| counters.clients_written == 2).await.unwrap();
    shutdown.send_replace(true);
    running.await.unwrap();
}
