//! Two migrations of one database.

use store::clickhouse::migrations::{MigrateError, Outcome, Told, migrate};
use tests::clickhouse::{Engine, Fault};
use tokio::task::JoinHandle;

use crate::Database;

const LOCKS: &str = "SELECT count() FROM system.tables WHERE database = 'alone' \
                     AND startsWith(name, 'fyke_migrating')";

/// One that has come to the middle.
async fn held(database: &Database<'_>) -> JoinHandle<Result<Outcome, MigrateError>> {
    let text = format!("`{}`.`flows_pod_5m_feed` TO", database.name);
    database.engine.fault(&Fault { text, times: 1, hold: true, ..Fault::default() });
    let (client, asked) = (database.client.clone(), database.asked());
    let first = tokio::spawn(async move { migrate(&client, &asked, "one", &mut |_| {}).await });
    while database.engine.stats().held == 0 {
        tokio::task::yield_now().await;
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_migrates_a_database_at_a_time() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "alone");
    let first = held(&database).await;
    let second = migrate(&database.client, &database.asked(), "two", &mut |_| {}).await;
    let told = second.expect_err("somebody is at it");
    assert!(matches!(&told, MigrateError::Busy { who, .. } if who == "one"), "{told}");
    engine.release();
    assert!(first.await.unwrap().unwrap().changes > 0);
    assert_eq!(database.number(LOCKS), 0);
    assert_eq!(database.migrate().await.unwrap().changes, 0);

    // Somebody who has not been heard for a while, and then for too long.
    let silent = async |seconds: u32| {
        database.ask(
            "CREATE OR REPLACE TABLE DB.fyke_migrating_3 (at DateTime64(3)) ENGINE = MergeTree \
             ORDER BY at COMMENT 'somebody'",
        );
        database.ask(&format!("INSERT INTO DB.fyke_migrating_3 SELECT now64(3) - {seconds}"));
        let mut told = Vec::new();
        let mut tell = |it| told.push(it);
        let outcome = migrate(&database.client, &database.asked(), "one", &mut tell).await;
        (outcome, told)
    };
    let (refused, _) = silent(30).await;
    assert!(matches!(refused, Err(MigrateError::Busy { who, .. }) if who == "somebody"));
    let (outcome, told) = silent(3600).await;
    outcome.unwrap();
    let Some(Told::Done(told)) = told.first() else { panic!("{told:?}") };
    assert!(told.starts_with("taken over from somebody, silent for 36"), "{told}");
    assert_eq!(database.number(LOCKS), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: it is noticed after ten seconds"]
async fn whoever_was_taken_over_from_stops() {
    let engine = Engine::shared();
    let database = Database::new(&engine, "replaced");
    let first = held(&database).await;
    database.ask("DROP TABLE DB.fyke_migrating_1");
    assert!(matches!(first.await.unwrap(), Err(MigrateError::Lost)));
}
