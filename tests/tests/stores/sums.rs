//! Roll-ups of ClickHouse answer as the flows do, and where these are no more.

use std::collections::BTreeSet;

use flow::RollUp;
use store::Row;
use store::clickhouse::Asker;
use store::clickhouse::migrations::{Asked, MigrateError, Outcome, migrate};
use store::clickhouse::schema::Place;
use store::query::{
    Aggregate, Answer, Column, Function, GroupOrder, Grouping, Key, Limits, Predicate, Query,
    Range, Wanted, evaluate,
};
use tests::clickhouse::{Engine, Fault};

use crate::dice::Dice;
use crate::rows::SINCE_MS;
use crate::{client_of, questions, rows};

const QUESTIONS: u64 = 150;
const HOUR_MS: u64 = 3_600_000;

/// Tables as they are made for a cluster, in a database of their own.
struct Made<'a> {
    engine: &'a Engine,
    name: &'static str,
}

impl<'a> Made<'a> {
    async fn new(engine: &'a Engine, name: &'static str) -> Self {
        let made = Self { engine, name };
        made.migrate().await.expect("tables");
        made
    }

    async fn migrate(&self) -> Result<Outcome, MigrateError> {
        let keep = "forever".parse().ok();
        let asked = Asked {
            place: Place { database: self.name.parse().expect("a name"), cluster: None },
            flows: keep,
            minutes: keep,
            five_minutes: keep,
            hours: keep,
            drop_old: false,
        };
        let client = client_of(self.engine, self.name);
        migrate(&client, &asked, "a test", &mut |_| {}).await
    }

    fn insert(&self, rows: &[Row]) {
        let statement = rows::insert(rows, &rows::our_columns());
        self.engine.ask(&statement.replacen("flows", &format!("{}.flows", self.name), 1));
    }

    fn truncate(&self, tables: &str) {
        let listed = format!(
            "SELECT name FROM system.tables WHERE database = '{}' AND name LIKE '{tables}' \
             AND engine LIKE '%MergeTree'",
            self.name
        );
        for table in self.engine.ask(&listed).lines() {
            self.engine.ask(&format!("TRUNCATE TABLE {}.{table}", self.name));
        }
    }

    /// Asks at random what sums may know, and tells which tables the answers came from.
    async fn compare(&self, rows: &[Row], is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let asker = Asker::open(client_of(self.engine, self.name)).await.expect("a table");
        let (mut tables, mut answered) = (BTreeSet::new(), 0);
        for what in 0..QUESTIONS {
            let query = question(&mut Dice::new(what), rows);
            query.check().expect("a question that makes sense");
            let statement = asker.statement(&query).expect("a statement").text;
            let mut words = statement.rsplit([' ', ')']);
            let table = words.find(|it| *it == "flows" || it.starts_with("flows_"));
            let table = table.expect("a table").to_owned();
            if !is_wanted(&table) {
                continue;
            }
            let expected = evaluate(&query, rows);
            if let Answer::Groups(groups) = &expected {
                answered += usize::from(!groups.groups.is_empty());
            }
            let (found, _) = asker.ask(&query).await.expect("an answer");
            assert_eq!(found, expected, "{what}: {query:#?}\n{statement}");
            tables.insert(table);
        }
        assert!(answered > 20, "hardly any question is about rows there are: {answered}");
        tables
    }
}

/// What one roll-up may know, mostly.
fn question(dice: &mut Dice, rows: &[Row]) -> Query {
    let keys = dice.any(&RollUp::ALL).keys();
    let keys = keys.iter().filter_map(|key| Column::by_name(key.name()));
    let keys: Vec<_> = keys.chain(Column::by_name("verdict")).collect();
    let numbers: Vec<_> = keys.iter().copied().filter(|it| it.kind().is_numeric()).collect();
    let sums = RollUp::sums().filter_map(|field| Column::by_name(field.name));
    let sums: Vec<_> =
        sums.chain(["octets", "packets"].into_iter().filter_map(Column::by_name)).collect();
    let step_ms = *dice.any(&[60_000, 300_000, HOUR_MS]);
    let filter = |dice: &mut Dice| {
        let column = *dice.any(&keys);
        match dice.below(3) {
            0 => questions::condition_on(dice, rows, column).into(),
            1 => !Predicate::from(questions::condition_on(dice, rows, column)),
            _ => Predicate::TRUE,
        }
    };
    let mut grouped: Vec<_> = (0..dice.below(4)).map(|_| Key::Column(*dice.any(&keys))).collect();
    if dice.once_in(2) {
        grouped.push(Key::Time { step_ms: step_ms * (1 + dice.below(2)) });
    }
    let aggregate = |dice: &mut Dice| {
        let function = match dice.below(6) {
            0 => Function::Count,
            1 => Function::Rate(*dice.any(&sums)),
            2 => Function::Distinct(*dice.any(&keys)),
            3 if !numbers.is_empty() => Function::Min(*dice.any(&numbers)),
            4 if !numbers.is_empty() => Function::Max(*dice.any(&numbers)),
            _ => Function::Sum(*dice.any(&sums)),
        };
        Aggregate { function, only: dice.once_in(4).then(|| filter(dice)) }
    };
    let aggregates: Vec<_> = (0..=dice.below(4)).map(|_| aggregate(dice)).collect();
    let since_ms = SINCE_MS / HOUR_MS * HOUR_MS + dice.below(12) * step_ms;
    Query {
        range: Range { since_ms, until_ms: since_ms + (1 + dice.below(24)) * step_ms },
        as_of_ms: None,
        filter: filter(dice),
        wanted: Wanted::Groups(Grouping {
            keys: grouped,
            aggregates,
            order: GroupOrder::Aggregate { index: 0, descending: dice.once_in(2) },
            limit: usize::try_from(1 + dice.below(8)).expect("small"),
            others: dice.once_in(2),
        }),
        limits: Limits::default(),
    }
}

#[tokio::test]
async fn sums_answer_as_flows_do_and_when_these_are_gone() {
    let engine = Engine::start();
    let made = Made::new(&engine, "summed").await;
    let rows = rows::random(&mut Dice::new(11), 400);
    for part in rows.chunks(50) {
        made.insert(part);
    }
    let tables = made.compare(&rows, |_| true).await;
    for roll_up in RollUp::ALL {
        let is_of = |table: &&String| table.contains(&format!("flows_{}_", roll_up.name));
        assert!(tables.iter().any(|table| is_of(&table)), "{}: {tables:?}", roll_up.name);
    }
    for tier in ["1m", "5m", "1h"] {
        assert!(tables.iter().any(|table| table.ends_with(tier)), "{tier}: {tables:?}");
    }
    made.truncate("flows");
    assert!(!made.compare(&rows, |table| table != "flows").await.is_empty());
}

/// Those that were made when flows were there, or have lost more days than these, do not answer.
#[tokio::test]
async fn sums_that_do_not_know_every_flow_are_not_asked() {
    let engine = Engine::start();
    let made = Made::new(&engine, "late").await;
    let mut rows = rows::random(&mut Dice::new(12), 300);
    let (early, late) = rows.split_at_mut(150);
    made.insert(early);
    made.truncate("flows\\_%_1m");
    made.truncate("flows\\_node\\_%");
    for row in &mut *late {
        row.inserted_ms += HOUR_MS;
    }
    made.insert(late);
    let tables = made.compare(&rows, |_| true).await;
    assert!(tables.contains("flows") && tables.contains("flows_pod_1h"), "{tables:?}");
    let is_late = |table: &&String| table.ends_with("_1m") || table.contains("_node_");
    assert_eq!(tables.iter().find(is_late), None);
}

/// What fills them was not there when some flows came. What is made of them knows as little.
#[tokio::test]
async fn sums_with_a_gap_are_not_asked_while_flows_are_as_old() {
    let engine = Engine::start();
    let made = Made::new(&engine, "gap").await;
    let rows = rows::random(&mut Dice::new(13), 300);
    let mut parts = rows.chunks(60);
    let mut insert = || made.insert(parts.next().expect("rows"));
    let mut count = 0;
    let mut so_far = || {
        count += 60;
        &rows[..count]
    };
    insert();
    let whole = made.compare(so_far(), |_| true).await;
    let is_late = |table: &&String| ["flows_pod_5m", "flows_pod_1h"].contains(&table.as_str());
    assert_eq!(whole.iter().filter(is_late).count(), 2, "{whole:?}");
    engine.ask("DROP TABLE gap.flows_pod_5m_feed");
    let before: BTreeSet<_> = whole.iter().filter(|it| !is_late(it)).cloned().collect();
    let unasked = |tables: &BTreeSet<String>| {
        assert_eq!(tables.iter().find(is_late), None);
        assert!(tables.is_superset(&before), "{tables:?}");
    };
    insert();
    unasked(&made.compare(so_far(), |_| true).await);
    // It is made, and nobody hears of it.
    let text = "`flows_pod_5m_feed` TO".to_owned();
    engine.fault(&Fault { text, times: 1, no_answer: true, ..Fault::default() });
    made.migrate().await.expect_err("no answer");
    insert();
    unasked(&made.compare(so_far(), |_| true).await);
    made.migrate().await.expect("tables");
    insert();
    unasked(&made.compare(so_far(), |_| true).await);
    // Also those that were not there themselves.
    engine.ask("DROP TABLE gap.flows_node_1h");
    engine.ask("DROP TABLE gap.flows_node_1h_feed");
    made.migrate().await.expect("tables");
    insert();
    let tables = made.compare(so_far(), |_| true).await;
    assert!(!tables.contains("flows_node_1h") && whole.contains("flows_node_1h"), "{tables:?}");
    // When flows that they do not know are gone.
    made.truncate("flows%");
    let now = engine.number("SELECT toUnixTimestamp(now())");
    let mut rows = rows;
    for row in &mut rows {
        row.inserted_ms = (now + 7200) * 1000;
    }
    made.insert(&rows);
    let tables = made.compare(&rows, |_| true).await;
    assert!(tables.is_superset(&whole), "{tables:?}");
}
