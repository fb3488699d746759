//! Migrations that end in the middle, at each kind of statement, before it is done and after.

use tests::clickhouse::{Engine, Fault};

use crate::Database;
use crate::older::Older;

/// What a migration says to the server, and something that only one kind of statement has.
const STATEMENTS: [&str; 15] = [
    "INSERT INTO `DB`.`fyke_stage_flows`",
    "`DB`.`flows_node_5m` REPLACE PARTITION",
    "EXCHANGE TABLES",
    "SYSTEM FLUSH DISTRIBUTED `DB`.`fyke_next_flows`",
    "`fyke_stage_flows` MOVE PARTITION",
    "`flows_pod_5m_feed` TO",
    "RENAME TABLE",
    "CREATE TABLE IF NOT EXISTS `DB`.`fyke_next_flows`",
    "`fyke_next_flows` REPLACE PARTITION",
    "INSERT INTO `DB`.`fyke_migrations`",
    "MODIFY SETTING max_parts_in_total",
    "CREATE OR REPLACE VIEW",
    "RESET SETTING",
    "`fyke_stage_flows_policy_1h` MOVE PARTITION",
    "DROP TABLE IF EXISTS `DB`.`fyke_stage_flows`",
];
/// Those that a short test tries.
const FEW: usize = 5;

async fn goes_on(database: &Database<'_>, older: Older, fault: Fault) {
    older.make(database, 600, 1);
    if fault.text.contains("FLUSH") {
        older.make_front(database, "{cluster}", "rand()");
    }
    let before = older.fingerprint(database, older.name);
    let told = format!("{fault:?}");
    database.engine.fault(&fault);
    let interrupted = database.migrate_for_ever().await;
    database.engine.heal();
    assert!(interrupted.is_err(), "nothing happened: {told}");
    // Rows come at any time: to the older table, to ours, or not now.
    let insert = "INSERT INTO flows (flowEndSeconds, octetDeltaCount) SELECT now(), 1";
    let is_late = database.client.execute(insert).await.is_ok();
    database.migrate_for_ever().await.unwrap();
    let late = u64::from(is_late);
    assert_eq!(database.number("SELECT count() FROM DB.flows"), 600 + late, "{told}");
    database
        .ask("ALTER TABLE DB.flows DELETE WHERE octetDeltaCount = 1 SETTINGS mutations_sync = 1");
    assert_eq!(older.fingerprint(database, "flows"), before, "{told}");
    let sums = database.ask("SELECT 600, sum(octetDeltaCount) FROM DB.flows");
    let sum = database.ask(&format!(
        "SELECT sum(records) - {late}, sum(octetDeltaCount) - {late} FROM DB.flows_policy_1h"
    ));
    assert_eq!(sum, sums, "{told}");
    assert_eq!(database.differences(&database.asked_for_ever()).await, [], "{told}");
    assert_eq!(database.migrate_for_ever().await.unwrap().changes, 0, "{told}");
    database.ask(&format!("DROP DATABASE `{}`", database.name));
}

/// Fails, or is done without an answer.
async fn is_interrupted(engine: &Engine, number: usize, is_done: bool) {
    let (e2e, theia) = (Older::of("antrea_e2e"), Older::of("theia_0_4_migrated"));
    let database = Database::new(engine, "half_done");
    let text = STATEMENTS[number].replace("DB", database.name);
    let fault = Fault { text, times: 1, no_answer: is_done, ..Fault::default() };
    let fault = Fault { code: (!is_done).then_some(999), ..fault };
    let of_theia = number.is_multiple_of(3);
    goes_on(&database, if of_theia { theia } else { e2e }, fault).await;
}

#[tokio::test]
async fn what_was_interrupted_goes_on() {
    let engine = Engine::start();
    for number in 0..FEW {
        is_interrupted(&engine, number, number % 2 == 1).await;
    }
}

#[tokio::test]
#[ignore = "soak: every kind of statement, before it is done and after, takes minutes"]
async fn whatever_was_interrupted_goes_on() {
    let engine = Engine::start();
    for number in 0..STATEMENTS.len() {
        for is_done in [false, true] {
            is_interrupted(&engine, number, is_done).await;
        }
    }
}

/// The server itself is killed while rows are copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_goes_on_where_it_was() {
    let mut engine = Engine::start();
    let older = Older::of("theia_0_1");
    {
        let database = Database::new(&engine, "killed");
        older.make(&database, 600, 1);
    }
    let before = older.fingerprint(&Database::new(&engine, "killed"), "flows");
    let text = "`fyke_next_flows` REPLACE PARTITION ID".to_owned();
    engine.fault(&Fault { text, times: 1, hold: true, ..Fault::default() });
    let client = Database::new(&engine, "killed").client;
    let asked = Database::new(&engine, "killed").asked_for_ever();
    let migrating = tokio::spawn(async move {
        store::clickhouse::migrations::migrate(&client, &asked, "a test", &mut |_| {}).await
    });
    while engine.stats().held == 0 {
        tokio::task::yield_now().await;
    }
    engine.kill();
    migrating.await.unwrap().unwrap_err();
    engine.start_again();
    let database = Database::new(&engine, "killed");
    database.migrate_for_ever().await.unwrap();
    assert_eq!(older.fingerprint(&database, "flows"), before);
    database.sums_agree();
}
