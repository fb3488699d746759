//! A large cluster, and faults all the time.

use std::time::Duration;

use k8s::client::Reason;
use k8s::watch::Options;
use tests::api_server::{End, Failure, Keep, StandIn};

use super::world::{Changes, World, options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_cluster_is_right_after_many_faults() {
    let mut server = StandIn::start_tls();
    server.load(1_000, 20_000);
    let options = Options { page_size: 500, silence: Duration::from_secs(2), ..options() };
    let world = World::watch(&server, options).await;
    world.ready().await;

    let mut changes = Changes::new();
    for round in 0..40 {
        changes.make(&server, 25);
        server.until("a watch", |counters| counters.all_open_watches() > 0).await;
        let before = world.all_restarts();
        let reason = fault(&mut server, round);
        changes.make(&server, 25);
        world.until_restarts(reason, &before).await;
        server.stall_watches(false);
        if round % 20 == 19 {
            server.fail_no_more();
            world.settled(&server).await;
        }
    }
    assert!(world.is_running());
}

/// Does one of everything that can go wrong, in turn; returns what it is counted as.
fn fault(server: &mut StandIn, round: u32) -> Reason {
    let fail = |status| {
        server.fail(Failure { verb: None, resource: None, times: 5, status, retry_after: None });
        server.end_watches(End::Reset);
    };
    match round % 10 {
        0 => server.end_watches(End::Clean),
        1 => server.end_watches(End::Reset),
        2 => {
            server.compact();
            server.end_watches(End::Clean);
        }
        3 => server.end_watches(End::Gone),
        4 => fail(500),
        5 => fail(429),
        6 => fail(401),
        7 => server.restart(Keep::Everything),
        8 => {
            server.refuse_streaming_lists(true);
            server.end_watches(End::Gone);
        }
        _ => server.stall_watches(true),
    }
    [
        Reason::Ended,
        Reason::Broken,
        Reason::Expired,
        Reason::Expired,
        Reason::ServerError,
        Reason::Throttled,
        Reason::Unauthorized,
        Reason::Broken,
        Reason::Expired,
        Reason::Stalled,
    ][round as usize % 10]
}
