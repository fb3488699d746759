//! What the aggregator says of a server that is not as it should be, and what to do about it.

use std::ops::Range;

use store::clickhouse::Reason;
use tests::binary::eventually;
use tests::clickhouse::{ANTREA_COLUMNS, Engine, PASSWORD, antrea_table};

use crate::daemon::{Aggregator, DELIVERED, PATIENCE, failed, totals};
use crate::delivery::{SUMS, sums};

/// Waits until the log has a line with all these words.
#[track_caller]
fn says(aggregator: &Aggregator, words: &[&str]) {
    let is_it = |line: &str| words.iter().all(|words| line.contains(words));
    let said = eventually(PATIENCE, || aggregator.log().lines().any(is_it));
    let log = aggregator.log();
    assert!(said && !log.contains(PASSWORD), "{words:?} are not in one line of:\n{log}");
}

#[test]
fn what_is_wrong_with_the_table_is_told_before_there_are_records() {
    let engine = Engine::start();
    let mut aggregator = Aggregator::new(&engine.url());
    let mut fails = |reason: Reason, words: [&str; 2]| {
        aggregator.start();
        aggregator.wait_for(&failed(reason), |it| it == 1);
        says(&aggregator, &["WARN", "delivery failed", words[0], words[1]]);
        assert_eq!(aggregator.value("fyke_sink_given_total{sink=\"click_house\"}"), 0);
        aggregator.kill();
    };
    engine.set_password("another");
    let advice = "CH_USERNAME and CH_PASSWORD are a user of the server and its password";
    fails(Reason::Credentials, ["Authentication failed", advice]);
    engine.set_password(PASSWORD);
    fails(Reason::UnknownTable, ["flows", "run `fyke clickhouse migrate`, which makes the table"]);
    engine.ask(&antrea_table("flows"));
    engine.ask("ALTER TABLE flows DROP COLUMN egressNodeName, DROP COLUMN egressIP");
    aggregator.start();
    let advice = "`fyke clickhouse migrate` adds them";
    says(&aggregator, &["WARN", "egressIP, egressNodeName", advice]);
    let known = format!("has={}", ANTREA_COLUMNS.len() - 4); // two are the server's
    says(&aggregator, &["INFO", &known, "the columns of the table flows are known"]);
    assert!(engine.stats().inserts.is_empty());
    // What comes then is stored.
    aggregator.send(1..100);
    aggregator.wait_for(DELIVERED, |it| it == 99);
    assert_eq!(totals(&engine.ask(SUMS)), totals(&sums(1..100)));
}

/// An aggregator that has delivered something, so that all is well.
fn at_work(engine: &Engine) -> Aggregator {
    engine.ask(&antrea_table("flows"));
    let mut aggregator = Aggregator::new(&engine.url());
    aggregator.start();
    for (first, end) in [(1, 1000), (1000, 2000)] {
        aggregator.send(first..end);
        aggregator.wait_for(DELIVERED, |it| it == end - 1);
    }
    aggregator
}

/// Nothing of these is stored, and the log says why, until all is well again.
fn suffers(
    (aggregator, engine): (&Aggregator, &Engine),
    flows: Range<u64>,
    (reason, words): (Reason, &[&str]),
    mend: impl Fn(),
) {
    aggregator.send(flows.clone());
    aggregator.wait_for(&failed(reason), |it| it > 1);
    says(aggregator, &[&["WARN", "delivery failed"], words].concat());
    assert!(engine.number("SELECT count() FROM flows") < flows.end - 1);
    let is_over = || {
        mend();
        aggregator.value(DELIVERED) == flows.end - 1
    };
    assert!(eventually(PATIENCE, is_over), "{}", aggregator.log());
    assert_eq!(totals(&engine.ask(SUMS)), totals(&sums(1..flows.end)));
    assert_eq!(aggregator.value("fyke_sink_waiting{sink=\"click_house\"}"), 0);
}

#[test]
fn too_many_parts_are_told_and_waited_for() {
    let engine = Engine::start();
    let aggregator = at_work(&engine);
    let parts = "parts_to_throw_insert = 1, parts_to_delay_insert = 1";
    engine.ask("SYSTEM STOP MERGES flows");
    engine.ask(&format!("ALTER TABLE flows MODIFY SETTING {parts}"));
    let advice = "give it time, raise clickHouse.commitInterval, or see system.merges and its disk";
    let told = (Reason::TooManyParts, ["Code: 252", "Too many parts", advice]);
    suffers((&aggregator, &engine), 2000..6000, (told.0, &told.1), || {
        engine.ask("SYSTEM START MERGES flows");
        engine.ask("ALTER TABLE flows RESET SETTING parts_to_throw_insert, parts_to_delay_insert");
    });
}

#[test]
fn a_disk_of_the_server_that_is_full_is_told_and_waited_for() {
    let engine = Engine::start_on_disk_of("64m");
    let aggregator = at_work(&engine);
    engine.fill_disk();
    let advice = "make room on the server's disk, or keep flows for a shorter time (TTL)";
    let told = (Reason::DiskFull, ["Code: 243", "not enough space", advice]);
    let is_full = std::cell::Cell::new(true);
    suffers((&aggregator, &engine), 2000..6000, (told.0, &told.1), || {
        if is_full.take() {
            engine.clear_disk();
        }
    });
}
