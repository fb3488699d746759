//! The same question has the same answer from ClickHouse, from the embedded store, and from plain
//! evaluation; and rows go from one store to another, by the command line.
//!
//! Rows are put into the engine by hand, as JSON, and questions are random.

#[path = "stores/dice.rs"]
mod dice; // chance that repeats itself
#[path = "stores/rows.rs"]
mod rows; // random flows, and how the engine gets them
#[path = "stores/questions.rs"]
mod questions; // random questions
#[path = "stores/sums.rs"]
mod sums; // what roll-ups answer
#[path = "stores/command.rs"]
mod command; // `fyke store`, and who judges what it has done
#[path = "stores/looked_after.rs"]
mod looked_after; // a store that somebody looks after
#[path = "stores/touched.rs"]
mod touched; // which of its files are looked into
#[path = "stores/copied.rs"]
mod copied; // rows in other stores, and in files
#[path = "stores/flows.rs"]
mod flows; // records put together, from any store
#[path = "stores/interrupted.rs"]
mod interrupted; // and what is left of a copy that was killed

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use config::Secret;
use flow::Field;
use store::clickhouse::{Asker, Client, Options, Trust};
use store::query::{Answer, Limits, Query, Rows, Wanted, evaluate};
use store::{AskOptions, Hot, MaintenanceOptions, Reader, Row, Writer, WriterOptions};
use tempfile::TempDir;
use tests::clickhouse::{ANTREA_COLUMNS, Engine, PASSWORD, USER, antrea_table};

use dice::Dice;

/// Questions for each table.
const QUESTIONS: u64 = 250;

fn client(engine: &Engine) -> Client {
    client_of(engine, "default")
}

fn client_of(engine: &Engine, database: &str) -> Client {
    Client::new(Options {
        address: engine.url().parse().expect("an address"),
        database: database.to_owned(),
        username: Secret::new(USER.to_owned()),
        password: Secret::new(PASSWORD.to_owned()),
        compress: false,
        trust: Trust::Anybody,
        patience: Duration::from_mins(1),
    })
}

/// Rows in the embedded store: in merged files, in small ones, and waiting for their file.
struct Embedded {
    _dir: TempDir,
    reader: Reader,
    hot: Hot,
}

impl Embedded {
    fn of(rows: &[Row]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = WriterOptions { flush_rows: 16, ..WriterOptions::default() };
        let mut writer = Writer::with_options(dir.path(), options).expect("a store");
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.inserted_ms);
        let append = |writer: &mut Writer, rows: &[Row]| {
            for row in rows {
                let records = std::slice::from_ref(&row.record);
                writer.append(records, row.inserted_ms).expect("there is room");
            }
        };
        let (merged, rest) = rows.split_at(rows.len() / 3);
        let (small, waiting) = rest.split_at(rest.len() / 2);
        append(&mut writer, merged);
        writer.flush().expect("files");
        let options =
            MaintenanceOptions { raw: None, limit: None, ..MaintenanceOptions::default() };
        let mut maintenance = writer.maintenance(options).expect("its directory");
        let later_ms = rows::UNTIL_MS + 86_400_000;
        maintenance.pass(later_ms, &AtomicBool::new(false)).expect("merged files");
        append(&mut writer, small);
        writer.flush().expect("files");
        append(&mut writer, waiting);
        let reader = Reader::open(dir.path()).expect("a store");
        Self { hot: writer.hot(), _dir: dir, reader }
    }

    fn ask(&self, query: &Query) -> Answer {
        let hot = Some(self.hot.clone());
        let options = AskOptions { threads: 2, hot, ..AskOptions::default() };
        let answered = self.reader.ask(query, &options).expect("an answer");
        assert_eq!(answered.scan.skipped, 0, "{:?}", answered.scan.first_skipped);
        answered.answer
    }
}

/// Asks as often as there are pages, and compares each.
async fn compare(asker: &Asker, embedded: &Embedded, rows: &[Row], mut query: Query, what: u64) {
    loop {
        query.check().expect("a question that makes sense");
        let expected = evaluate(&query, rows);
        let found = asker.ask(&query).await;
        let statement = asker.statement(&query).map(|it| it.text);
        let (found, _) = found.unwrap_or_else(|error| panic!("{what}: {error}\n{statement:?}"));
        assert_eq!(found, expected, "{what}: {query:#?}\n{statement:#?}");
        assert_eq!(embedded.ask(&query), expected, "{what}, in files: {query:#?}");
        let (Answer::Rows(Rows { next, .. }), Wanted::Rows(listing)) = (found, &mut query.wanted)
        else {
            return;
        };
        if next.is_none() {
            return;
        }
        listing.after = next;
    }
}

async fn compare_all(asker: &Asker, rows: &[Row], first: u64) {
    let embedded = Embedded::of(rows);
    let mut answered = 0;
    for what in first..first + QUESTIONS {
        let query = questions::question(&mut Dice::new(what), rows);
        if let Answer::Groups(groups) = evaluate(&query, rows) {
            answered += usize::from(!groups.groups.is_empty());
        }
        compare(asker, &embedded, rows, query, what).await;
    }
    assert!(answered > 20, "hardly any question is about rows there are: {answered}");
}

#[tokio::test]
async fn all_stores_answer_as_plain_evaluation_does() {
    let engine = Engine::start();
    engine.ask(&rows::our_table());
    let rows = rows::random(&mut Dice::new(7), 600);
    engine.ask(&rows::insert(&rows, &rows::our_columns()));
    let asker = Asker::open(client(&engine)).await.expect("a table");
    compare_all(&asker, &rows, 1_000).await;
    nothing_of_a_filter_is_in_a_statement(&asker, &rows);
    an_export_has_every_row(&asker, &rows).await;
    limits_hold(&asker).await;
}

#[tokio::test]
#[ignore = "soak: 40 times as many questions"]
async fn all_stores_answer_alike_at_length() {
    let engine = Engine::start();
    engine.ask(&rows::our_table());
    let asker = Asker::open(client(&engine)).await.expect("a table");
    for seed in 100..140 {
        engine.ask("TRUNCATE TABLE flows");
        let rows = rows::random(&mut Dice::new(seed), 50 * (seed - 90));
        engine.ask(&rows::insert(&rows, &rows::our_columns()));
        compare_all(&asker, &rows, seed * 1_000).await;
    }
}

/// What a table of Antrea's does not have counts as not told.
#[tokio::test]
async fn antreas_table_answers_as_if_the_rest_were_not_told() {
    let engine = Engine::start();
    engine.ask(&antrea_table("flows"));
    let mut rows = rows::random(&mut Dice::new(8), 300);
    let has = |name: &str| ANTREA_COLUMNS.iter().any(|(column, _)| *column == name);
    for row in &mut rows {
        let told = std::mem::take(&mut row.record);
        for field in Field::columns().filter(|field| has(&rows::twin(field.name))) {
            rows::copy(field, &told, &mut row.record);
        }
        rows::cut_times(&mut row.record);
    }
    engine.ask(&rows::insert(&rows, &rows::columns_of(&ANTREA_COLUMNS)));
    let asker = Asker::open(client(&engine)).await.expect("a table");
    compare_all(&asker, &rows, 5_000).await;
}

/// Texts of a filter travel beside the statement.
fn nothing_of_a_filter_is_in_a_statement(asker: &Asker, rows: &[Row]) {
    let mut texts = 0;
    for what in 0..10_000 {
        let query = questions::question(&mut Dice::new(what), rows);
        let statement = asker.statement(&query).expect("a question that makes sense");
        for text in questions::texts(&query) {
            texts += 1;
            let is_there = statement.text.contains(&text);
            assert!(!is_there, "{text:?} is part of {}", statement.text);
        }
    }
    assert!(texts > 1_000, "hardly any question has a text: {texts}");
}

async fn an_export_has_every_row(asker: &Asker, rows: &[Row]) {
    let query = questions::everything();
    let Wanted::Rows(listing) = &query.wanted else { unreachable!("an export is of rows") };
    let mut export = asker.export(&query, listing).expect("a question that makes sense");
    let mut found = Vec::new();
    while let Some(part) = export.next().await.expect("rows") {
        found.extend(part);
    }
    let Answer::Rows(Rows { rows: mut expected, .. }) = evaluate(&query, rows) else {
        unreachable!("an export is of rows")
    };
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(found.len(), rows.len());
}

async fn limits_hold(asker: &Asker) {
    let mut query = questions::everything();
    query.limits = Limits { rows: 10, ..Limits::default() };
    let error = asker.ask(&query).await.expect_err("too many rows").to_string();
    assert_eq!(
        error,
        "the query looks at more than 10 rows; ask for a shorter time, or for less, such as one namespace"
    );
    query.limits = Limits { memory: 1_000, ..Limits::default() };
    let error = asker.ask(&query).await.expect_err("too much").to_string();
    assert!(error.starts_with("the query needs more than 1000 bytes of memory"), "{error}");
}
