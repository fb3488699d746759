//! A database that had flows in a table of somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use store::clickhouse::migrations::{MigrateError, Outcome, Told, migrate};
use tests::clickhouse::{Engine, Fault};
use tokio::task::JoinHandle;

use crate::Database;
use crate::older::{ALL, Older};

/// One of each kind; those that are interrupted are others.
const FEW: [&str; 2] = ["theia_0_8_fresh", "antrea_2_0"];

#[tokio::test]
async fn an_older_table_is_taken_over_with_its_rows() {
    let engine = Engine::start();
    for older in FEW {
        is_taken_over(&engine, Older::of(older)).await;
    }
    for older in FEW {
        nothing_of_it_stays(&engine, Older::of(older)).await;
    }
}

#[tokio::test]
#[ignore = "soak: as above, for each of eleven schemas"]
async fn every_older_table_is_taken_over_with_its_rows() {
    let engine = Engine::start();
    for older in ALL {
        is_taken_over(&engine, older).await;
    }
}

/// Counts and sums of every column, by its name: the order is another one in each table.
async fn is_taken_over(engine: &Engine, older: Older) {
    let database = Database::new(engine, older.database);
    older.make(&database, 1000, 1);
    if older.name != "flows" {
        older.make_front(&database, "{cluster}", "rand()");
        assert_eq!(database.number("SELECT count() FROM DB.flows"), 1000);
    }
    let before = older.fingerprint(&database, older.name);
    let told = database.differences(&database.asked()).await;
    assert!(!told.is_empty());
    let outcome = database.migrate().await.unwrap();
    assert_eq!(outcome.rows, 1000, "{older:?}");
    assert!(outcome.kept.contains(&older.kept_as.to_owned()), "{:?}", outcome.kept);
    assert_eq!(older.fingerprint(&database, "flows"), before, "{older:?}");
    assert_eq!(older.fingerprint(&database, older.kept_as), before, "it is as it was");
    database.sums_agree();
    assert_eq!(database.differences(&database.asked()).await, []);
    assert_eq!(database.migrate().await.unwrap().changes, 0);
    let left = database.ask(&format!(
        "SELECT name FROM system.tables WHERE database = '{}' AND name LIKE 'fyke%'",
        older.database
    ));
    assert_eq!(left, "fyke_migrations\n");
}

async fn nothing_of_it_stays(engine: &Engine, older: Older) {
    let database = Database::new(engine, older.database);
    let mut asked = database.asked();
    asked.drop_old = true;
    let outcome = migrate(&database.client, &asked, "a test", &mut |_| {}).await.unwrap();
    assert_eq!(outcome.kept, Vec::<String>::new());
    let strangers = database.ask(&format!(
        "SELECT name FROM system.tables WHERE database = '{}' AND comment != 'Fyke' \
             AND engine NOT IN ('View', 'MaterializedView')",
        older.database
    ));
    assert_eq!(strangers, "");
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 1000);
    assert_eq!(migrate(&database.client, &asked, "a test", &mut |_| {}).await.unwrap().changes, 0);
}

/// Somebody inserts a few times a second, and tries again when he is refused, as every writer does.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_meanwhile_are_not_lost() {
    let engine = Engine::start();
    let older = Older::of("antrea_e2e");
    let database = Database::new(&engine, "written_to");
    older.make(&database, 3000, 2);
    let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (stop, taken, client) =
            (Arc::clone(&stop), Arc::clone(&taken), database.client.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = taken.load(Ordering::Relaxed);
                let insert = format!(
                    "INSERT INTO flows (flowEndSeconds, sourcePodName, octetDeltaCount) \
                     SELECT now(), 'late-{number}', 3"
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
                match client.execute(insert).await {
                    Ok(()) => _ = taken.fetch_add(1, Ordering::Relaxed),
                    Err(error) => assert_eq!(error.code(), Some(252), "{error}"),
                }
            }
        })
    };
    let mut copied = Vec::new();
    let mut tell = |told| {
        if let Told::Copied { rows, of } = told {
            copied.push((rows, of));
        }
    };
    let outcome =
        migrate(&database.client, &database.asked_for_ever(), "a test", &mut tell).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let taken = taken.load(Ordering::Relaxed);
    assert!(outcome.rows > 3000, "none came before the swap");
    assert!(taken > outcome.rows - 3000, "none came after it");
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 3000 + taken);
    let late = "SELECT uniqExact(sourcePodName) FROM DB.flows WHERE sourcePodName LIKE 'late-%'";
    assert_eq!(database.number(late), taken);
    database.sums_agree();
    assert!(copied.iter().all(|(rows, of)| rows <= of), "{copied:?}");
    assert!(copied.len() >= 4, "each hour is told");
}

/// A writer that says itself when a row came names a day that has been copied.
#[tokio::test]
async fn rows_that_come_late_to_a_day_are_not_left_behind() {
    let engine = Engine::start();
    let database = Database::new(&engine, "late");
    Older::of("antrea_e2e").make(&database, 1000, 1);
    let text = "EXCHANGE TABLES".to_owned();
    engine.fault(&Fault { text, times: 1, code: Some(1002), ..Fault::default() });
    database.migrate_for_ever().await.unwrap_err();
    let copied = "SELECT sum(rows) FROM DB.fyke_migrations WHERE step = 'day'";
    assert_eq!(database.number(copied), 500);
    let late = "SELECT min(timeInserted), 'late', 3 FROM DB.flows";
    let columns = "timeInserted, sourcePodName, octetDeltaCount";
    database.ask(&format!("INSERT INTO DB.flows ({columns}) {late}"));
    let outcome = database.migrate_for_ever().await.unwrap();
    assert_eq!(outcome.rows, 1001);
    let found = "SELECT count(), countIf(sourcePodName = 'late') FROM DB.flows";
    assert_eq!(database.ask(found), "1001\t1\n");
    database.sums_agree();
}

/// Takes over, and comes back while the first statement with this text is held.
async fn migrating_up_to(
    engine: &Engine,
    database: &Database<'_>,
    text: &str,
) -> JoinHandle<Result<Outcome, MigrateError>> {
    engine.fault(&Fault { text: text.to_owned(), times: 1, hold: true, ..Fault::default() });
    let (client, asked) = (database.client.clone(), database.asked_for_ever());
    let migrating =
        tokio::spawn(async move { migrate(&client, &asked, "a test", &mut |_| {}).await });
    while engine.stats().held == 0 {
        tokio::task::yield_now().await;
    }
    migrating
}

/// An insert that began before the swap ends behind it, and is the first of its day.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_a_late_insert_begins_is_taken_over() {
    let engine = Engine::start();
    let older = Older::of("antrea_e2e");
    let database = Database::new(&engine, "late");
    older.make(&database, 600, 1);
    // It goes on for as long as the engine does not say that there is none.
    let migrating = migrating_up_to(&engine, &database, "query_kind = 'Insert'").await;
    database.ask(&format!(
        "INSERT INTO DB.{} (timeInserted, flowEndSeconds, octetDeltaCount) \
         SELECT now() - INTERVAL 30 DAY, now() - INTERVAL 30 DAY, 3",
        older.kept_as
    ));
    engine.release();
    assert_eq!(migrating.await.unwrap().unwrap().rows, 601);
    assert_eq!(older.fingerprint(&database, "flows"), older.fingerprint(&database, older.kept_as));
    assert_eq!(database.number("SELECT count() FROM DB.flows WHERE octetDeltaCount = 3"), 1);
    database.sums_agree();
}

/// Rows for a server that is away rest in front of the table, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_has_rows_is_not_dropped() {
    let engine = Engine::start();
    let older = Older::of("theia_0_6_migrated");
    let database = Database::new(&engine, "in_front");
    older.make(&database, 600, 1);
    // Even ones go to the table behind it, odd ones elsewhere.
    older.make_front(&database, "half", "octetDeltaCount");
    let insert = |value: u8| {
        database.ask(&format!(
            "INSERT INTO DB.flows (flowEndSeconds, sourcePodName, octetDeltaCount) \
             SELECT now(), 'new', {value}"
        ));
    };
    let kept = "SELECT `table`, data_files > 0 FROM system.distribution_queue ORDER BY data_files";
    insert(4);
    insert(3);
    let unreachable = |outcome: Result<_, MigrateError>| match outcome {
        Err(MigrateError::Server(error)) => assert_eq!(error.code(), Some(279), "{error}"),
        other => panic!("{other:?}"),
    };
    unreachable(database.migrate_for_ever().await);
    // Nobody is refused for that.
    insert(6);
    assert_eq!(database.ask(kept), "flows\t1\n");
    database.ask("TRUNCATE TABLE DB.flows");
    // One that comes in the last moment.
    let migrating = migrating_up_to(&engine, &database, "EXCHANGE TABLES").await;
    insert(5);
    insert(8);
    engine.release();
    unreachable(migrating.await.unwrap());
    assert_eq!(database.ask(kept), "fyke_next_flows\t1\n");
    database.ask("TRUNCATE TABLE DB.fyke_next_flows");
    assert_eq!(database.migrate_for_ever().await.unwrap().rows, 603);
    let new = "SELECT arraySort(groupArray(octetDeltaCount)) FROM DB.flows \
               WHERE sourcePodName = 'new'";
    assert_eq!(database.ask(new), "[4,6,8]\n");
    database.sums_agree();
    assert_eq!(database.differences(&database.asked_for_ever()).await, []);
}

/// An insert through the front that began before the swap ends behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_is_there_until_no_insert_goes_through_it() {
    let engine = Engine::start();
    let older = Older::of("theia_0_4_migrated");
    let database = Database::new(&engine, "through_it");
    older.make(&database, 600, 1);
    older.make_front(&database, "{cluster}", "rand()");
    let migrating = migrating_up_to(&engine, &database, "query_kind = 'Insert'").await;
    database
        .ask("INSERT INTO DB.fyke_next_flows (flowEndSeconds, octetDeltaCount) SELECT now(), 3");
    engine.release();
    assert_eq!(migrating.await.unwrap().unwrap().rows, 601);
    assert_eq!(database.number("SELECT count() FROM DB.flows WHERE octetDeltaCount = 3"), 1);
    database.sums_agree();
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_refused() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "strange");
    database.ask("CREATE DATABASE strange");
    database.ask("CREATE VIEW DB.flows AS SELECT 1 AS one");
    let refused = database.migrate().await;
    assert!(matches!(refused, Err(MigrateError::Unknown { .. })), "{refused:?}");
    database.ask("DROP TABLE DB.flows");
    Older::of("antrea_e2e").make(&database, 10, 1);
    let mut asked = database.asked();
    asked.place.cluster = Some("clickhouse".parse().unwrap());
    let refused = migrate(&database.client, &asked, "a test", &mut |_| {}).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 10);
}
