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
    Answer, Column, Condition, Function, GroupOrder, Grouping, Key, Limits, Listing, Predicate,
    Query, Range, RowOrder, Wanted, evaluate,
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
#[ignore = "soak: 500 stores of up to 2,000 rows"]
fn answers_from_files_are_those_of_the_plain_judge_at_length() {
    for seed in 0..500 {
        check(seed, 4 * usize::try_from(seed).unwrap()).unwrap();
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
