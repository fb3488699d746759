//! What Fyke makes of a ClickHouse database, judged by an engine of today.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

#[path = "clickhouse_schema/older.rs"]
mod older; // tables of others
#[path = "clickhouse_schema/fresh.rs"]
mod fresh; // a database that had nothing
#[path = "clickhouse_schema/taken_over.rs"]
mod taken_over; // one that had something
#[path = "clickhouse_schema/interrupted.rs"]
mod interrupted; // and was left half done
#[path = "clickhouse_schema/alone.rs"]
mod alone; // one that two come to
#[path = "clickhouse_schema/operated.rs"]
mod operated; // one that somebody looks after

use std::time::Duration;

use store::clickhouse::migrations::{Asked, MigrateError, Outcome, migrate};
use store::clickhouse::schema::Place;
use store::clickhouse::{Client, Difference, Found, Options, Trust, differences};
use tests::clickhouse::{Engine, PASSWORD, USER};

const SUMS: [&str; 4] =
    ["octetDeltaCount", "reverseOctetDeltaCount", "packetDeltaCount", "reversePacketDeltaCount"];

/// Every roll-up.
const ROLL_UPS: [&str; 12] = [
    "flows_pod_1m",
    "flows_pod_5m",
    "flows_pod_1h",
    "flows_node_1m",
    "flows_node_5m",
    "flows_node_1h",
    "flows_policy_1m",
    "flows_policy_5m",
    "flows_policy_1h",
    "flows_workload_1m",
    "flows_workload_5m",
    "flows_workload_1h",
];

/// A database of the engine.
struct Database<'a> {
    engine: &'a Engine,
    client: Client,
    name: &'static str,
}

impl<'a> Database<'a> {
    fn new(engine: &'a Engine, name: &'static str) -> Self {
        let secret = |text: &str| config::Secret::new(text.to_owned());
        let client = Client::new(Options {
            address: engine.url().parse().unwrap(),
            database: name.into(),
            username: secret(USER),
            password: secret(PASSWORD),
            compress: false,
            trust: Trust::Anybody,
            patience: Duration::from_mins(1),
        });
        Self { engine, client, name }
    }

    fn asked(&self) -> Asked {
        Asked {
            place: Place { database: self.name.parse().unwrap(), cluster: None },
            flows: None,
            minutes: None,
            five_minutes: None,
            hours: None,
            drop_old: false,
        }
    }

    /// Nothing expires, so that nobody looks for what does: that is a rewriting of each table.
    fn asked_for_ever(&self) -> Asked {
        let keep = Some("forever".parse().unwrap());
        Asked { flows: keep, minutes: keep, five_minutes: keep, hours: keep, ..self.asked() }
    }

    async fn migrate_for_ever(&self) -> Result<Outcome, MigrateError> {
        migrate(&self.client, &self.asked_for_ever(), "a test", &mut |_| {}).await
    }

    async fn migrate(&self) -> Result<Outcome, MigrateError> {
        migrate(&self.client, &self.asked(), "a test", &mut |_| {}).await
    }

    async fn differences(&self, asked: &Asked) -> Vec<Difference> {
        let found = Found::read(&self.client, &asked.place.database).await.unwrap();
        differences(asked, &found)
    }

    /// What the engine says; `DB` stands for the database.
    #[track_caller]
    fn ask(&self, statement: &str) -> String {
        self.engine.ask(&statement.replace("DB.", &format!("`{}`.", self.name)))
    }

    #[track_caller]
    fn number(&self, statement: &str) -> u64 {
        let answer = self.ask(statement);
        answer.trim().parse().unwrap_or_else(|_| panic!("{statement}: {answer}"))
    }

    /// Every roll-up, and what is left of Theia's views, has the sums that flows have.
    #[track_caller]
    fn sums_agree(&self) {
        let sums = SUMS.map(|name| format!("sum({name})")).join(", ");
        let flows = self.ask(&format!("SELECT count(), {sums} FROM DB.flows"));
        let views = ["flows_pod_view", "flows_node_view", "flows_policy_view"];
        for table in ROLL_UPS.iter().chain(&views) {
            let table_sums = self.ask(&format!("SELECT sum(records), {sums} FROM DB.{table}"));
            assert_eq!(table_sums, flows, "{table}");
        }
    }
}
