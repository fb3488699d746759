//! Sessions while certificates change.
//!
//! Handshakes go by the real time, so the tests begin 280 days ago.

use k8s::certificates::{BUNDLE_CONFIG_MAP, CLIENT_SECRET, Keeper, Options};
use tests::api_server::StandIn;

use crate::cluster::{DAY, Held, NAMESPACE, authority, bundle, client, keeper, now};
use crate::echo::{Echo, Session};

/// So long after a CA was made, the next one is due.
const DUE: u64 = 280 * DAY;

async fn exchange_all(sessions: &mut [Session]) {
    for session in sessions {
        session.exchange().await.expect("the session lives");
    }
}

#[tokio::test]
async fn a_rotation_breaks_no_session_and_refuses_none() {
    let server = StandIn::start();
    let options = Options::new(NAMESPACE).unwrap();
    let mut keeper = Keeper::start(&client(&server), options, now() - DUE).await.unwrap();
    let (echo, old) = (Echo::start(keeper.server()).await, Held::read(&server).await);
    let (old_source, mut sessions) = (old.source().await, Vec::new());
    for _ in 0..100 {
        sessions.push(echo.connect(&old_source).await.unwrap());
    }

    // Some connect while the CA is replaced, and a hundred after.
    let rotation = tokio::spawn(async move {
        keeper.check(now()).await.unwrap();
        keeper
    });
    while !rotation.is_finished() {
        // An exporter that was just started: nothing of an earlier session helps it.
        sessions.push(echo.connect(&old.source().await).await.unwrap());
    }
    assert!(sessions.len() > 100, "some connected meanwhile");
    let mut keeper = rotation.await.unwrap();
    assert_eq!(keeper.counters().borrow().authorities_written, 2);
    let new = Held::read(&server).await;
    assert!(new.authorities.ends_with(&old.authorities), "both are trusted");
    assert_ne!(new.authorities, old.authorities);
    assert_ne!(new.certificates, old.certificates);
    for (who, held) in Held::mixed(&old, &new) {
        let source = held.source().await;
        for _ in 0..25 {
            let session = echo.connect(&source).await;
            sessions.push(session.unwrap_or_else(|error| panic!("{who}: {error}")));
        }
    }
    exchange_all(&mut sessions).await;

    // A day before the overlap ends nothing is different; when it is over, the old CA is nobody.
    keeper.check(now() + 29 * DAY).await.unwrap();
    assert_eq!(keeper.counters().borrow().configurations, 2);
    echo.connect(&old_source).await.unwrap();
    assert_eq!(echo.refused(), [""; 0]);
    keeper.check(now() + 31 * DAY).await.unwrap();
    assert_eq!(bundle(&server).await, authority(&server).await);
    exchange_all(&mut sessions).await;
    let last = Held::read(&server).await;
    let mut refused_by_server = 0;
    for (who, held) in Held::mixed(&old, &last) {
        let connected = echo.connect(&held.source().await).await.map(drop);
        match who {
            "new bundle, new pair" => connected.unwrap(),
            "new bundle, old pair" => {
                connected.expect_err("it is not trusted any more");
                refused_by_server += 1;
                let why = echo.refused().join("\n");
                assert!(why.contains("UnknownIssuer"), "{why}");
            }
            _ => {
                let why = connected.expect_err("nobody it trusts serves").to_string();
                assert!(why.contains("UnknownIssuer"), "{who}: {why}");
            }
        }
    }
    assert_eq!(refused_by_server, 1);
    // What was read during the overlap is good after it.
    echo.connect(&new.source().await).await.unwrap();
}

/// A replica that has not looked again since the CA was replaced.
#[tokio::test]
async fn a_replica_that_is_late_takes_the_same_exporters() {
    let server = StandIn::start();
    let mut first = keeper(&server, now() - DUE).await;
    let late = keeper(&server, now() - DUE).await;
    let old = Held::read(&server).await;
    first.check(now()).await.unwrap();
    let new = Held::read(&server).await;
    for keeper in [first, late] {
        let echo = Echo::start(keeper.server()).await;
        for (who, held) in Held::mixed(&old, &new) {
            let connected = echo.connect(&held.source().await).await;
            connected.map_or_else(|error| panic!("{who}: {error}"), drop);
        }
    }
}

/// A replica that is started in the middle of an overlap has never seen the old CA's key.
#[tokio::test]
async fn a_replica_that_starts_during_the_overlap_takes_the_same_exporters() {
    let server = StandIn::start();
    let mut first = keeper(&server, now() - DUE).await;
    let old = Held::read(&server).await;
    first.check(now() - DAY).await.unwrap();
    drop(first);
    let echo = Echo::start(keeper(&server, now()).await.server()).await;
    for (who, held) in Held::mixed(&old, &Held::read(&server).await) {
        let connected = echo.connect(&held.source().await).await;
        connected.map_or_else(|error| panic!("{who}: {error}"), drop);
    }
}

/// A CA that somebody removes or replaces may be one that has leaked.
#[tokio::test]
async fn a_ca_that_was_removed_is_not_trusted_any_more() {
    let server = StandIn::start();
    let mut keeper = keeper(&server, now()).await;
    let echo = Echo::start(keeper.server()).await;
    let old = Held::read(&server).await;
    server.remove("v1", "Secret", "flow-aggregator", "flow-aggregator-ca-tls");
    keeper.check(now()).await.unwrap();
    echo.connect(&old.source().await).await.map(drop).expect_err("there is no overlap");
    echo.connect(&Held::read(&server).await.source().await).await.unwrap();
    let counters = *keeper.counters().borrow();
    assert_eq!((counters.authorities_written, counters.clients_written), (2, 2), "{CLIENT_SECRET}");
    assert_eq!(counters.bundles_written, 2, "{BUNDLE_CONFIG_MAP}");
}
