//! A table that is spread over servers.

use store::clickhouse::Reason;
use tempfile::TempDir;
use tests::clickhouse::{Engine, Fault, antrea_table};

use crate::delivery::{Delivery, SUMS, options, records, sums};

fn front(engine: &Engine, cluster: &str) {
    engine.ask(&format!(
        "CREATE TABLE flows AS flows_local \
         ENGINE = Distributed('{cluster}', 'default', 'flows_local', rand())"
    ));
}

/// An engine with a table in front of the one that has the rows, and who writes to it.
async fn spread(cluster: &str) -> (Engine, TempDir, Delivery) {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows_local"));
    front(&engine, cluster);
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    (engine, folder, delivery)
}

/// The shard knows what it has, also when the answer does not arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_twice_to_a_spread_table_is_stored_once() {
    let (engine, _folder, mut delivery) = spread("{cluster}").await;
    let text = "INSERT".to_owned();
    engine.fault(&Fault { text, times: 2, no_answer: true, ..Fault::default() });
    delivery.give(&records(0..2000));
    delivery.fails(Reason::Unreachable, 1).await;
    delivery.delivers(2000).await;
    assert_eq!(delivery.done().rows_in_doubt, 0, "the shard notices");
    assert_eq!(engine.ask(SUMS), sums(0..2000));
    for seen in engine.stats().inserts {
        let told = |name| seen.settings.get(name).map(String::as_str);
        assert_eq!(told("insert_distributed_sync"), Some("1"));
        assert_eq!(told("insert_shard_id"), Some("1"));
    }
    delivery.end().await;
}

/// Nothing counts as stored that waits for a server which is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_for_a_shard_that_is_away_are_held() {
    let (engine, _folder, mut delivery) = spread("half").await;
    // Which shard a block goes to is a matter of chance.
    let mut all = 0;
    while delivery.failures(Reason::Replicas) == 0 {
        assert!(all < 5000, "a server that is away has taken rows");
        delivery.give(&records(all..all + 10));
        all += 10;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        engine.ask("SELECT count() FROM system.distribution_queue WHERE data_files > 0"),
        "0\n"
    );
    let stored = engine.number("SELECT count() FROM flows_local");
    assert_eq!(delivery.done().rows, stored);
    assert!(stored < all);
    // The shards are others now.
    engine.ask("DROP TABLE flows");
    front(&engine, "alone");
    delivery.delivers(all).await;
    assert_eq!(engine.ask(SUMS), sums(0..all));
    delivery.end().await;
}
