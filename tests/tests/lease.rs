//! Who of several leads: never two, and soon another one when one is gone.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s::lease::{Election, Leadership, Options};
use kube::{Client, Config};
use tests::api_server::{Counters, Failure, Keep, StandIn, Verb};
use tests::way::hold_writes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// One replica that stands for election.
struct Replica {
    leadership: Leadership,
    shutdown: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Replica {
    fn start(api: SocketAddr, identity: &str, duration: Duration) -> Self {
        let config = Config::new(format!("http://{api}").parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let options = Options {
            namespace: "flow-aggregator".to_owned(),
            name: "fyke".to_owned(),
            identity: identity.to_owned(),
            duration,
        };
        let election = Election::new(&client, &options);
        let shutdown = watch::Sender::new(false);
        let wall_ms = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::try_from(now.as_millis()).unwrap()
        };
        let leadership = election.leadership();
        let running = tokio::spawn(election.run(wall_ms, shutdown.subscribe()));
        Self { leadership, shutdown, running }
    }

    /// Waits until it leads, or leads no more.
    async fn until(&mut self, leads: bool) {
        let waiting = async { while self.leadership.changed().await != leads {} };
        timeout(PATIENCE, waiting).await.expect("leadership changes");
    }

    async fn stop(self) {
        self.shutdown.send_replace(true);
        self.running.await.unwrap();
    }
}

fn holder(server: &StandIn) -> String {
    let lease = server.get("coordination.k8s.io/v1", "Lease", "flow-aggregator", "fyke");
    lease.unwrap()["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// The Lease would last for longer than the test waits.
#[tokio::test]
async fn another_one_leads_as_soon_as_one_has_gone_in_good_order() {
    let server = StandIn::start();
    let mut first = Replica::start(server.address(), "a", 30 * SECOND);
    first.until(true).await;
    let mut second = Replica::start(server.address(), "b", 30 * SECOND);
    server.until("the second to ask", |seen| seen.connections > 1).await;
    assert!(first.leadership.is_leader() && !second.leadership.is_leader());
    assert!(holder(&server).starts_with("a_"));
    let mut told = first.leadership.clone();
    first.stop().await;
    assert!(!told.is_leader() && !told.changed().await, "it told so");
    second.until(true).await;
    assert!(holder(&server).starts_with("b_"));
    second.stop().await;
    assert_eq!(holder(&server), "", "released");
}

#[tokio::test]
async fn another_one_leads_when_one_has_vanished() {
    let server = StandIn::start();
    let mut first = Replica::start(server.address(), "a", SECOND);
    first.until(true).await;
    let mut second = Replica::start(server.address(), "b", SECOND);
    first.running.abort();
    second.until(true).await;
    assert!(!first.leadership.is_leader());
}

/// Its renewal is under way for so long that another one leads before it arrives.
#[tokio::test]
async fn a_leader_that_is_cut_off_has_stopped_before_another_one_begins() {
    let server = StandIn::start();
    let held = watch::Sender::new(false);
    let way = hold_writes(server.address(), held.subscribe()).await;
    let mut first = Replica::start(way, "a", SECOND);
    first.until(true).await;
    let mut second = Replica::start(server.address(), "b", SECOND);
    held.send_replace(true);
    second.until(true).await;
    assert!(!first.leadership.is_leader());
    assert!(!first.leadership.changed().await, "it was told");

    held.send_replace(false);
    server.until("the late renewal to be refused", |seen| seen.refused.contains_key(&409)).await;
    for _ in 0..10 {
        let renewals = server.counters().requests(Verb::Update, "leases");
        let renewed = move |seen: &Counters| seen.requests(Verb::Update, "leases") > renewals;
        server.until("the second to renew", renewed).await;
        assert!(second.leadership.is_leader() && !first.leadership.is_leader());
        assert!(holder(&server).starts_with("b_"));
    }
}

/// An API server that refuses and breaks off while leaders vanish: there may be no leader, but
/// never two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_api_server_never_make_two_leaders() {
    let mut server = StandIn::start();
    let mut replicas: Vec<_> =
        ["a", "b", "c"].map(|name| Replica::start(server.address(), name, SECOND)).into();
    let watched = Arc::new(Mutex::new(Vec::new()));
    watched.lock().unwrap().extend(replicas.iter().map(|replica| replica.leadership.clone()));
    let (done, is_done) = watch::channel(false);
    let watching = tokio::spawn(count_looks(Arc::clone(&watched), is_done));
    for round in 0..6_u32 {
        for status in [500, 409, 403] {
            server.fail(Failure {
                verb: None,
                resource: Some("leases"),
                times: 1 + 3 * round,
                status,
                retry_after: None,
            });
        }
        let asked = server.counters().requests(Verb::Get, "leases");
        let wanted = asked + u64::from(10 * round);
        server.until("some to ask", move |seen| seen.requests(Verb::Get, "leases") > wanted).await;
        server.restart(Keep::Everything);
        server.fail_no_more();
        // The leader vanishes without a word; somebody new stands for election.
        if let Some(leader) = replicas.iter().position(|replica| replica.leadership.is_leader()) {
            replicas.swap_remove(leader).running.abort();
            let new = Replica::start(server.address(), "d", SECOND);
            watched.lock().unwrap().push(new.leadership.clone());
            replicas.push(new);
        }
        let somebody = async {
            while !replicas.iter().any(|replica| replica.leadership.is_leader()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, somebody).await.expect("somebody leads again");
    }
    done.send_replace(true);
    let (looks, led) = watching.await.unwrap();
    assert!(looks > led && led > 0, "{looks} looks, {led} of them at a leader");
}

/// Looks again and again who leads, those included that have vanished.
async fn count_looks(
    watched: Arc<Mutex<Vec<Leadership>>>,
    is_done: watch::Receiver<bool>,
) -> (u64, u64) {
    let (mut looks, mut led) = (0, 0);
    while !*is_done.borrow() {
        let leaders = {
            let watched = watched.lock().unwrap();
            let once: Vec<_> = watched.iter().filter(|one| one.is_leader()).collect();
            // Who still leads when all have been looked at did so all the while: one may have led
            // after the other if the look took long.
            once.iter().filter(|one| one.is_leader()).count()
        };
        assert!(leaders <= 1, "{leaders} lead");
        looks += 1;
        led += u64::from(leaders == 1);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (looks, led)
}
