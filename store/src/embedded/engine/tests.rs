//! Answers from real files, beside those of [`evaluate`](crate::query::evaluate).
mod random; // what is stored and asked
mod data; // how it is stored

use std::ops::ControlFlow;

use proptest::prelude::*;

use self::data::{store, write_file};
use self::random::{NOON, Random, query, row};
use super::*;
use crate::embedded::Reader;
use crate::query::{
    Answer, AskError, Column, Condition, Function, GroupOrder, Grouping, Key, Limits, Listing,
    Predicate, Query, Range, RowOrder, Wanted, evaluate,
};
use crate::{Row, Writer};

/// Queries for each store: making one takes longer than asking.
const QUERIES: usize = 25;

/// So many pages of one answer are read.
const PAGES: usize = 5;

/// The whole answer: pages one by one, and what has no order is given one.
fn whole(query: &Query, mut ask: impl FnMut(&Query) -> Answer) -> Vec<Answer> {
    let mut query = query.clone();
    let mut answers = Vec::new();
    loop {
        let mut answer = ask(&query);
        let (Answer::Rows(rows), Wanted::Rows(listing)) = (&mut answer, &mut query.wanted) else {
            return vec![answer];
        };
        if listing.order == RowOrder::AsStored {
            rows.rows.sort();
        }
        listing.after = rows.next;
        answers.push(answer);
        if listing.after.is_none() || answers.len() == PAGES {
            return answers;
        }
    }
}

fn check(seed: u64, count: usize) -> Result<(), TestCaseError> {
    let mut random = Random(seed);
    let mut rows: Vec<Row> = (0..count).map(|_| row(&mut random)).collect();
    rows.sort_by_key(|row| row.inserted_ms);
    let (dir, writer) = store(&rows, &mut random);
    let reader = Reader::open(dir.path()).unwrap();
    for _ in 0..QUERIES {
        let query = query(&mut random);
        let options = AskOptions {
            threads: 1 + random.below(2),
            hot: Some(writer.hot()),
            ..AskOptions::default()
        };
        let expected = whole(&query, |query| evaluate(query, &rows));
        let found = whole(&query, |query| {
            let answered = reader.ask(query, &options).unwrap();
            assert_eq!(answered.scan.skipped, 0, "{:?}", answered.scan.first_skipped);
            answered.answer
        });
        prop_assert_eq!(found, expected, "{:#?}", query);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn answers_from_files_are_those_of_the_plain_judge(seed: u64, rows in 0_usize..400) {
        check(seed, rows)?;
    }
}

#[test]
#[ignore = "soak: 500 stores of up to 2,000 rows take minutes"]
fn answers_from_files_are_those_of_the_plain_judge_at_length() {
    for seed in 0..500_u64 {
        // Each fourth is large.
        let rows = if seed.is_multiple_of(4) { 4 * seed } else { seed };
        check(seed, usize::try_from(rows).unwrap()).unwrap();
    }
}

fn column(name: &str) -> Column {
    Column::by_name(name).unwrap()
}

fn count(since_ms: u64, until_ms: u64) -> Query {
    Query {
        range: Range { since_ms, until_ms },
        as_of_ms: None,
        filter: Predicate::TRUE,
        wanted: Wanted::Groups(Grouping {
            keys: vec![],
            aggregates: vec![Function::Count.into()],
            order: GroupOrder::Keys,
            limit: 1,
            others: false,
        }),
        limits: Limits::default(),
    }
}

fn ask(dir: &std::path::Path, query: &Query) -> Answered {
    Reader::open(dir).unwrap().ask(query, &AskOptions::default()).unwrap()
}

fn counted(answered: &Answered) -> u64 {
    match &answered.answer {
        Answer::Groups(groups) => match groups.groups[0].values[0] {
            crate::query::Value::Number(number) => number,
            _ => panic!("no number"),
        },
        Answer::Rows(_) => panic!("no groups"),
    }
}

/// A row that was inserted when its flow ended.
fn row_at(time_ms: u64, pod: &str) -> Row {
    let mut row = Row { inserted_ms: time_ms, ..Row::default() };
    row.record.end_ms = time_ms;
    row.record.start_ms = time_ms - 1000;
    row.record.source.pod = pod.into();
    row.record.forward.octets_delta = 100;
    row
}

const HOUR: u64 = 3_600_000;

/// All files of other hours are garbage, which nobody notices who does not open them.
#[test]
fn one_hour_of_thirty_days_touches_the_files_of_that_hour() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = NOON + 17 * 24 * HOUR;
    let hours = (0..30 * 24).map(|hour| NOON + hour * HOUR);
    for (number, hour) in (0..).zip(hours) {
        let rows = [row_at(hour, "web-0"), row_at(hour + HOUR - 1, "web-1")];
        if hour == wanted {
            write_file(dir.path(), &rows, number, &mut || 1);
        } else {
            data::write_garbage(dir.path(), &rows, number);
        }
    }
    let answered = ask(dir.path(), &count(wanted, wanted + HOUR));
    assert_eq!(counted(&answered), 2);
    assert_eq!((answered.scan.files, answered.scan.pruned, answered.scan.skipped), (1, 719, 0));
    // Sums might tell of most of that, but there are none.
    let answered = ask(dir.path(), &count(wanted, wanted + HOUR - 301_001));
    assert_eq!((counted(&answered), answered.scan.files, answered.scan.skipped), (1, 1, 0));
    let answered = ask(dir.path(), &count(wanted - HOUR, wanted + HOUR));
    assert_eq!((counted(&answered), answered.scan.files, answered.scan.skipped), (2, 2, 1));
    let skipped = answered.scan.first_skipped.unwrap();
    assert!(skipped.path.exists() && !skipped.reason.is_empty());
}

/// A store of one file with 10,000 rows in ten row groups, each of a Pod of its own.
fn pods() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<Row> =
        (0..10_000).map(|n| row_at(NOON + n, &format!("web-{}", n / 1000))).collect();
    write_file(dir.path(), &rows, 0, &mut || 1000);
    dir
}

fn named(pattern: &str) -> Predicate {
    let test = crate::query::TextTest::Glob(crate::query::Glob::new(pattern));
    Condition::Text { column: column("sourcePodName"), test }.into()
}

#[test]
fn row_groups_are_ruled_out_by_their_dictionaries_and_numbers() {
    let dir = pods();
    let looked_at = |filter: Predicate| {
        let options = AskOptions::default();
        let query = Query { filter, ..count(0, NOON + HOUR) };
        let answered = Reader::open(dir.path()).unwrap().ask(&query, &options).unwrap();
        (counted(&answered), options.progress.rows())
    };
    assert_eq!(looked_at(Predicate::TRUE), (10_000, 10_000));
    assert_eq!(looked_at(named("web-[0-9]")), (0, 0));
    assert_eq!(looked_at(named("web-3")), (1000, 1000));
    assert_eq!(looked_at(Predicate::Or(vec![named("web-3"), named("*-5")])), (2000, 2000));
    assert_eq!(looked_at(!named("web-3")), (9000, 10_000), "a complement is not looked up");
    let ends = |comparison| {
        let column = column("flowEndMilliseconds");
        Predicate::Is(Condition::Number { column, comparison, value: NOON + 4500 })
    };
    assert_eq!(looked_at(ends(crate::query::Comparison::Less)), (4500, 5000));
    let range = |query: &Query| {
        let options = AskOptions::default();
        let reader = Reader::open(dir.path()).unwrap();
        (counted(&reader.ask(query, &options).unwrap()), options.progress.rows())
    };
    assert_eq!(range(&count(NOON + 2999, NOON + 4000)), (1001, 2000));
}

#[test]
fn a_limit_stops_a_query_and_says_what_to_narrow() {
    let dir = pods();
    let reader = Reader::open(dir.path()).unwrap();
    let mut query = count(0, NOON + HOUR);
    query.limits.rows = 5999;
    let error = reader.ask(&query, &AskOptions::default()).unwrap_err();
    assert!(matches!(error, AskError::Rows { limit: 5999 }), "{error}");
    query.limits = Limits { memory: 200_000, ..Limits::default() };
    reader.ask(&query, &AskOptions::default()).unwrap();
    if let Wanted::Groups(grouping) = &mut query.wanted {
        grouping.keys = vec![Key::Column(column("flowEndMilliseconds"))];
    }
    let error = reader.ask(&query, &AskOptions::default()).unwrap_err();
    assert!(error.to_string().contains("ask for a shorter time"), "{error}");
    if let Wanted::Groups(grouping) = &mut query.wanted {
        grouping.keys = vec![];
        grouping.aggregates = vec![Function::Distinct(column("flowEndMilliseconds")).into()];
    }
    assert!(matches!(
        reader.ask(&query, &AskOptions::default()),
        Err(AskError::Memory { limit: 200_000 })
    ));
    query.wanted = Wanted::Rows(listing(RowOrder::AsStored, u64::MAX));
    assert!(matches!(
        reader.ask(&query, &AskOptions::default()),
        Err(AskError::Memory { limit: 200_000 })
    ));
    query.wanted = Wanted::Rows(listing(RowOrder::OldestFirst, 5000));
    assert!(matches!(
        reader.ask(&query, &AskOptions::default()),
        Err(AskError::Memory { limit: 200_000 })
    ));
}

#[test]
fn a_filter_that_looks_at_nothing_is_tried() {
    let dir = pods();
    let mut query = count(0, NOON + HOUR);
    for (filter, expected) in [
        (Predicate::TRUE, 10_000),
        (!Predicate::TRUE, 0),
        (!!Predicate::Or(vec![]), 0),
        (!Predicate::Or(vec![]), 10_000),
    ] {
        query.filter = filter;
        assert_eq!(counted(&ask(dir.path(), &query)), expected, "{:?}", query.filter);
    }
}

fn listing(order: RowOrder, limit: u64) -> Listing {
    Listing { columns: vec![column("sourcePodName")], order, limit, after: None }
}

#[test]
fn rows_are_streamed_in_batches_until_somebody_stops_them() {
    let dir = pods();
    let reader = Reader::open(dir.path()).unwrap();
    let mut query = count(0, NOON + HOUR);
    query.wanted = Wanted::Rows(listing(RowOrder::AsStored, 2500));
    let stream = |stop: usize, cancel: usize| {
        let options = AskOptions::default();
        let mut sizes = Vec::new();
        let result = reader.stream(&query, &options, &mut |rows| {
            sizes.push(rows.len());
            if sizes.len() == cancel {
                options.progress.cancel();
            }
            if sizes.len() == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (sizes, result.map(|_| ()), options.progress.rows())
    };
    assert!(matches!(stream(9, 9), (sizes, Ok(()), 3000) if sizes == [1000, 1000, 500]));
    assert!(matches!(stream(2, 9), (sizes, Ok(()), 2000) if sizes == [1000, 1000]));
    assert!(matches!(
        stream(9, 2), (sizes, Err(AskError::Cancelled), 2000) if sizes == [1000, 1000]
    ));
}

#[test]
fn a_page_is_filled_from_the_newest_row_groups_alone() {
    let dir = pods();
    let options = AskOptions::default();
    let mut query = count(0, NOON + HOUR);
    query.wanted = Wanted::Rows(listing(RowOrder::NewestFirst, 10));
    let reader = Reader::open(dir.path()).unwrap();
    let Answer::Rows(rows) = reader.ask(&query, &options).unwrap().answer else {
        panic!("not rows")
    };
    assert_eq!(rows.rows, vec![vec!["web-9".into()]; 10]);
    assert_eq!(options.progress.rows(), 1000);
    assert!(options.progress.bytes() > 0);
}

/// The best places in a file that turns out to be damaged are free for the rows of others.
#[test]
fn a_damaged_file_costs_its_own_rows() {
    let dir = tempfile::tempdir().unwrap();
    let rows =
        |first: u64| (first..first + 50).map(|n| row_at(NOON + n, "web-0")).collect::<Vec<_>>();
    write_file(dir.path(), &rows(0), 0, &mut || 10);
    write_file(dir.path(), &rows(100), 1, &mut || 50);
    let newest = data::path_of(dir.path(), &rows(100), 1);
    let bytes = std::fs::read(&newest).unwrap();
    let mut query = count(0, NOON + HOUR);
    query.wanted = Wanted::Rows(listing(RowOrder::NewestFirst, 20));
    // The pages lie before the footer, in the order of the columns: all columns are damaged, or
    // only the later ones, so that some rows have been looked at.
    for from in (4..bytes.len() / 2).step_by(200) {
        let mut damaged = bytes.clone();
        damaged[from..bytes.len() / 2].fill(0xff);
        std::fs::write(&newest, damaged).unwrap();
        let answered = ask(dir.path(), &query);
        let Answer::Rows(found) = answered.answer else { panic!("not rows") };
        let expected = if answered.scan.skipped == 1 { NOON + 49 } else { NOON + 149 };
        assert_eq!(found.next.map(|next| next.end_ms), Some(expected - 19), "from {from}");
    }
}

/// The same store with its sums, and without the records that they sum up.
#[test]
fn sums_answer_what_records_would() {
    let mut random = Random(5);
    let keys = ["sourcePodNamespace", "destinationServicePortName", "verdict"];
    let mut rows: Vec<Row> = (0..500).map(|_| row(&mut random)).collect();
    for row in &mut rows {
        row.inserted_ms = NOON;
        row.record.end_ms = NOON + random.below(7200) as u64 * 500;
        row.record.forward.octets_delta >>= 8;
        row.record.reverse.octets_delta >>= 8;
    }
    let dir = tempfile::tempdir().unwrap();
    write_file(dir.path(), &rows, 0, &mut || 100);
    data::write_sums(dir.path(), &rows, 0);
    let records = data::path_of(dir.path(), &rows, 0);
    let late = [row_at(NOON + 90_000, "web-0")];
    write_file(dir.path(), &late, 1, &mut || 1);
    rows.extend(late);
    let mut query = count(NOON, NOON + HOUR);
    query.filter = !Predicate::Is(Condition::Has(column("destinationPodNamespace")));
    query.wanted = Wanted::Groups(Grouping {
        keys: keys
            .iter()
            .map(|key| Key::Column(column(key)))
            .chain([Key::Time { step_ms: 600_000 }])
            .collect(),
        aggregates: vec![
            Function::Sum(column("octets")).into(),
            Function::Count.into(),
            Function::Distinct(column("sourceNodeName")).into(),
            Function::Rate(column("octetDeltaCount")).into(),
        ],
        order: GroupOrder::Aggregate { index: 0, descending: true },
        limit: 5,
        others: true,
    });
    // Records alone tell of what is less than a minute at either end.
    let whole = query.range;
    for _ in 0..50 {
        let [one, other] = [0; 2].map(|_| NOON + random.below(3_700_000) as u64);
        query.range = Range { since_ms: one.min(other), until_ms: one.max(other) + 1 };
        let answered = ask(dir.path(), &query);
        assert_eq!(answered.answer, evaluate(&query, &rows), "{:?}", query.range);
    }
    query.range = whole;
    std::fs::remove_file(records).unwrap();
    let answered = ask(dir.path(), &query);
    assert_eq!(answered.choice.tier, crate::Tier::FiveMinutes);
    assert_eq!((answered.scan.files, answered.scan.first_skipped), (2, None));
    assert_eq!(answered.answer, evaluate(&query, &rows));
    query.range.since_ms += 60_000;
    query.filter = Predicate::TRUE;
    // Files of either tier, and the records that came late: for five minutes and for the minutes.
    let answered = ask(dir.path(), &query);
    assert_eq!(answered.choice.tier, crate::Tier::FiveMinutes);
    assert_eq!((answered.scan.files, answered.scan.coarser), (3, 0));
    assert_eq!(answered.answer, evaluate(&query, &rows));
    query.range = Range { since_ms: whole.since_ms + 1, ..whole };
    let answered = ask(dir.path(), &query);
    assert_eq!(answered.scan.coarser, 2, "of the first minute there are sums of two tiers alone");
}

#[test]
fn what_waits_is_seen_with_the_writer_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let query = count(0, NOON + HOUR);
    let with = AskOptions { hot: Some(writer.hot()), ..AskOptions::default() };
    let seen = || {
        [&AskOptions::default(), &with]
            .map(|options| counted(&reader.ask(&query, options).unwrap()))
    };
    writer.append(&[row_at(NOON, "web-0").record], NOON).unwrap();
    assert_eq!(seen(), [0, 1]);
    writer.flush().unwrap();
    assert_eq!(seen(), [1, 1]);
    writer.append(&[row_at(NOON, "web-0").record], NOON).unwrap();
    assert_eq!(seen(), [1, 2]);
}
