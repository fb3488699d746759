//! Whatever fails, every record arrives once, and why it took long is told.

use sinks::Sink;
use sinks::click_house::ClickHouseSink;
use store::clickhouse::Reason;
use tests::clickhouse::{Engine, Fault, antrea_table};

use crate::delivery::{Delivery, SUMS, options, records, sums};

fn insert(mut fault: Fault) -> Fault {
    fault.text = "INSERT".into();
    fault
}

fn engine() -> Engine {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    engine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_costs_nothing_but_time() {
    let mut engine = engine();
    let folder = tempfile::tempdir().expect("a folder");
    let mut delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    let mut given = 0;
    let mut give = |delivery: &Delivery| {
        delivery.give(&records(given..given + 2000));
        given += 2000;
        given
    };
    let code = |code| Fault { times: 3, code: Some(code), ..Fault::default() };
    for (fault, reason) in [
        (code(252), Reason::TooManyParts),
        (code(241), Reason::Memory),
        (code(243), Reason::DiskFull),
        (code(242), Reason::ReadOnly),
        (code(202), Reason::Busy),
        (code(319), Reason::Replicas),
        (code(159), Reason::TimedOut),
        (code(1002), Reason::Other),
        (Fault { times: 2, cut_after: Some(1), ..Fault::default() }, Reason::Unreachable),
        (Fault { times: 2, cut_after: Some(20_000), ..Fault::default() }, Reason::Unreachable),
        (Fault { times: 2, no_answer: true, ..Fault::default() }, Reason::Unreachable),
    ] {
        let before = delivery.failures(reason);
        engine.fault(&insert(fault));
        let all = give(&delivery);
        delivery.fails(reason, before).await;
        delivery.delivers(all).await;
        assert_eq!(engine.ask(SUMS), sums(0..all), "{reason}");
    }
    assert_eq!(delivery.done().rows_in_doubt, 0, "the table notices");

    engine.set_password("another");
    let all = give(&delivery);
    delivery.fails(Reason::Credentials, 0).await;
    engine.set_password(tests::clickhouse::PASSWORD);
    delivery.delivers(all).await;

    engine.ask("RENAME TABLE flows TO away");
    let all = give(&delivery);
    delivery.fails(Reason::UnknownTable, 0).await;
    engine.ask("RENAME TABLE away TO flows");
    delivery.delivers(all).await;

    engine.stop();
    let away = delivery.failures(Reason::Unreachable);
    let all = give(&delivery);
    delivery.fails(Reason::Unreachable, away).await;
    engine.start_again();
    delivery.delivers(all).await;
    assert_eq!(engine.ask(SUMS), sums(0..all));
    delivery.end().await;
    assert_eq!(engine.ask(SUMS), sums(0..all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_the_table_lacks_are_left_out() {
    let engine = engine();
    engine.ask("ALTER TABLE flows DROP COLUMN egressNodeName");
    let folder = tempfile::tempdir().expect("a folder");
    let mut delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    delivery.give(&records(0..1000));
    delivery.delivers(1000).await;
    assert_eq!(delivery.done().rows_short, 1000);
    // One that goes while rows are sent is noticed by the error.
    engine.ask("ALTER TABLE flows DROP COLUMN egressIP");
    delivery.give(&records(1000..2000));
    delivery.fails(Reason::Columns, 0).await;
    delivery.delivers(2000).await;
    // One that comes is noticed after the next error.
    engine.ask("ALTER TABLE flows ADD COLUMN egressNodeName String, ADD COLUMN egressIP String");
    engine.fault(&insert(Fault { times: 1, code: Some(252), ..Fault::default() }));
    delivery.give(&records(2000..3000));
    delivery.delivers(3000).await;
    let short = delivery.done().rows_short;
    delivery.give(&records(3000..4000));
    delivery.delivers(4000).await;
    assert_eq!(delivery.done().rows_short, short, "it has all of them");
    assert_eq!(engine.ask(SUMS), sums(0..4000));
    delivery.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_are_filled_though_nothing_fails() {
    let engine = engine();
    engine.ask("ALTER TABLE flows DROP COLUMN sourceIP");
    let folder = tempfile::tempdir().expect("a folder");
    let mut sink = ClickHouseSink::new(options(&engine.url(), folder.path()));
    let mut store = async |now_ms| {
        sink.write(&records(0..10).into(), now_ms).await.expect("there is room");
        sink.flush().await.expect("it is there");
    };
    store(0).await;
    engine.ask("ALTER TABLE flows ADD COLUMN sourceIP String");
    store(59_999).await;
    let filled = "SELECT countIf(sourceIP != ''), count() FROM flows";
    assert_eq!(engine.ask(filled), "0\t20\n");
    store(60_000).await;
    store(60_001).await;
    assert_eq!(engine.ask(filled), "10\t40\n");
    let done = *sink.counters().borrow();
    assert_eq!((done.rows_short, done.failures.iter().sum::<u64>()), (30, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_table_never_takes_do_not_block_the_others() {
    let engine = engine();
    engine.ask("ALTER TABLE flows ADD CONSTRAINT few CHECK packetDeltaCount != 500");
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    delivery.give(&records(400..600));
    delivery.give(&records(600..1000));
    let stored = || engine.number("SELECT count() FROM flows");
    while stored() < 599 {
        tokio::task::yield_now().await;
    }
    let counters = std::sync::Arc::clone(&delivery.counters);
    let sink = delivery.counters_of_sink();
    delivery.end().await;
    assert_eq!((counters.lost(), counters.waiting()), (1, 0));
    let done = *sink.borrow();
    assert_eq!((done.rows, done.rows_refused), (599, 1));
    let missing = "SELECT groupArray(number + 400) FROM numbers(600) \
                   WHERE number + 400 NOT IN (SELECT packetDeltaCount FROM flows)";
    assert_eq!(engine.ask(missing), "[500]\n");
}

/// The table has the rows, and what is behind a view does not take them: they are held until it
/// does, and are then there once on both sides, also where the server's default is otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_fails_loses_and_doubles_nothing() {
    let engine = engine();
    engine.ask(
        "CREATE TABLE sums (packets UInt64, CONSTRAINT few CHECK packets != 500) \
         ENGINE = MergeTree ORDER BY packets SETTINGS non_replicated_deduplication_window = 1000",
    );
    engine.ask(
        "CREATE MATERIALIZED VIEW feed TO sums AS SELECT packetDeltaCount AS packets FROM flows",
    );
    // For as long as nobody says what it is to be.
    engine.ask("SET deduplicate_blocks_in_dependent_materialized_views = 0");
    let folder = tempfile::tempdir().expect("a folder");
    let mut delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    delivery.give(&records(400..600));
    delivery.fails(Reason::Columns, 1).await;
    engine.ask("ALTER TABLE sums DROP CONSTRAINT few");
    delivery.delivers(200).await;
    assert_eq!(delivery.done().rows_refused, 0);
    engine.fault(&insert(Fault { times: 2, no_answer: true, ..Fault::default() }));
    delivery.give(&records(600..900));
    delivery.delivers(500).await;
    assert_eq!(engine.ask("SELECT count(), sum(packetDeltaCount) FROM flows"), "500\t324750\n");
    assert_eq!(engine.ask("SELECT count(), sum(packets) FROM sums"), "500\t324750\n");
    delivery.end().await;
}

/// The server has them and could not say so; a process that comes later sends them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_on_its_way_when_a_process_was_killed_is_stored_once() {
    let engine = engine();
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = 0;
    for _ in 0..3 {
        let mut delivery =
            Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
        let before = delivery.failures(Reason::Unreachable);
        // Stored, unknown to the sink, which is killed at its second attempt.
        engine.fault(&insert(Fault { times: 1, no_answer: true, ..Fault::default() }));
        engine.fault(&insert(Fault { times: 1, hold: true, ..Fault::default() }));
        delivery.give(&records(all..all + 3000));
        all += 3000;
        delivery.fails(Reason::Unreachable, before).await;
        while engine.stats().held == 0 {
            delivery.give(&records(all..all + 100));
            all += 100;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        delivery.kill().await;
        engine.heal();
        engine.release();
    }
    let delivery = Delivery::start(folder.path(), options(&engine.url(), folder.path())).await;
    while engine.number("SELECT count() FROM flows") < all {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    delivery.end().await;
    assert_eq!(engine.ask(SUMS), sums(0..all));
    let stats = engine.stats();
    let mut tokens: Vec<_> = stats.inserts.iter().map(|seen| &seen.token).collect();
    let attempts = tokens.len();
    tokens.sort();
    tokens.dedup();
    assert!(tokens.len() < attempts, "some came twice, under the same token");
}

/// Rows are gathered while the server is slow, and inserted in large blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_as_large_as_traffic_makes_them() {
    let engine = engine();
    let folder = tempfile::tempdir().expect("a folder");
    let options = sinks::click_house::Options {
        interval: std::time::Duration::from_hours(1),
        ..options(&engine.url(), folder.path())
    };
    let delivery = Delivery::start(folder.path(), options).await;
    delivery.give(&records(0..150_000));
    delivery.end().await;
    assert_eq!(engine.ask(SUMS), sums(0..150_000));
    let rows: Vec<_> = engine.stats().inserts.iter().map(|seen| seen.rows).collect();
    assert!(rows.len() == 2 && rows.iter().any(|rows| *rows >= 100_000), "{rows:?}");
}
