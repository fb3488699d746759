//! Records that were handed over are delivered, whatever becomes of the process, the disk and the
//! sinks in between; what is lost is counted.

#[path = "spool/stand.rs"]
mod stand;

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use stand::{Account, Pipe, Stand};
use tests::numbered::Sender;

const LOG: &str = "log";
const STORE: &str = "store";

/// What the log tells of each flow, and how many lines tell what another did: one record told
/// twice, which is one whose every attribute is the same.
fn distinct(lines: &[String]) -> (HashSet<u64>, usize) {
    let texts: HashSet<&String> = lines.iter().collect();
    let flows: HashSet<u64> = lines.iter().map(|line| stand::number_in(line)).collect();
    assert_eq!(texts.len(), flows.len(), "each flow was told once: other lines repeat the first");
    (flows, lines.len() - texts.len())
}

/// Kills the aggregator once a third of `records` is on disk, while more are coming.
fn kill_in_the_middle(records: u64) {
    let mut stand = Stand::new();
    stand.start(&[]);
    let sender = Sender::start(stand.listen(), 0..records);
    let written = stand.wait_for("fyke_spool_records_written_total", |it| it > records / 3);
    stand.kill();
    let sent = sender.finish();
    assert!(sent < records || written < records, "it was killed in the middle");

    stand.start(&[]);
    for sink in [LOG, STORE] {
        stand.wait_for(&format!("fyke_sink_waiting{{sink=\"{sink}\"}}"), |it| it == 0);
        let account = Account::of(&stand, sink);
        assert_eq!(account.dropped, 0, "{account:?}");
        account.check();
    }
    stand.end(Duration::from_secs(5));

    let (logged, repeated) = distinct(&stand.log_lines());
    let stored = stand.stored();
    let in_store: HashSet<u64> = stored.iter().copied().collect();
    assert_eq!(stored.len(), in_store.len(), "the store has nothing twice");
    assert_eq!(logged, in_store, "what one sink has seen, all see");
    assert!(in_store.len() as u64 >= written, "{} of {written}", in_store.len());
    assert!(in_store.iter().all(|number| *number < sent), "only what was sent");
    eprintln!("{} delivered of {sent} sent, {repeated} repeated in the log", in_store.len());
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_handed_over() {
    kill_in_the_middle(40_000);
}

#[test]
#[ignore = "takes minutes; part of cargo xtask soak"]
fn a_process_that_is_killed_loses_nothing_of_a_million() {
    kill_in_the_middle(1_000_000);
}

#[test]
fn a_sink_that_never_answers_holds_nobody_up_and_gets_everything_later() {
    const RECORDS: u64 = 20_000;
    let mut stand = Stand::new();
    let pipe = Pipe::new(&stand.log());
    stand.start(&[]);
    assert_eq!(Sender::start(stand.listen(), 0..RECORDS).finish(), RECORDS);
    stand.wait_for("fyke_sink_delivered_total{sink=\"store\"}", |it| it == RECORDS);
    let account = Account::of(&stand, LOG);
    assert!(account.waiting > RECORDS / 2, "a pipe has no room for it: {account:?}");
    account.check();
    // Asked to end in the middle of that, it does, and says what it has kept.
    stand.end(Duration::from_secs(5));
    assert!(stand.said("records are kept in the spool"), "{}", stand.words());
    drop(pipe);

    stand.start(&[]);
    let all = |it| it >= account.waiting;
    stand.wait_for("fyke_sink_delivered_total{sink=\"log\"}", all);
    stand.end(Duration::from_secs(5));
    let (logged, _) = distinct(&stand.log_lines());
    // What the pipe took is in nobody's hands.
    assert!(logged.len() as u64 >= account.waiting, "{} of {account:?}", logged.len());
    assert_eq!(stand.stored().len() as u64, RECORDS, "the other sink got nothing again");
}

#[test]
fn asked_to_end_under_full_load_it_ends_and_everything_is_delivered_or_kept() {
    let mut stand = Stand::new();
    stand.start(&[]);
    let sender = Sender::start(stand.listen(), 0..u64::MAX);
    stand.wait_for("fyke_spool_records_written_total", |it| it > 5_000);
    stand.end(Duration::from_secs(5));
    drop(sender);
    stand.start(&[]);
    for sink in [LOG, STORE] {
        stand.wait_for(&format!("fyke_sink_waiting{{sink=\"{sink}\"}}"), |it| it == 0);
        Account::of(&stand, sink).check();
    }
    stand.end(Duration::from_secs(5));
    let (logged, _) = distinct(&stand.log_lines());
    assert_eq!(logged, stand.stored().into_iter().collect());
    assert!(logged.len() > 5_000);
}

#[test]
fn a_full_disk_costs_the_spool_and_not_the_sinks_that_keep_up() {
    const RECORDS: u64 = 20_000;
    let mut stand = Stand::new();
    let pipe = Pipe::new(&stand.log());
    // Smaller than its limit: it is the disk that is full.
    stand.start_on_small_disk("4m");
    assert_eq!(Sender::start(stand.listen(), 0..RECORDS).finish(), RECORDS);
    stand.wait_for("fyke_sink_delivered_total{sink=\"store\"}", |it| it == RECORDS);
    assert!(stand.value("fyke_spool_write_failures_total") > 0);
    let unwritten = stand.value("fyke_spool_records_unwritten_total");
    assert!(unwritten > 0 && unwritten < RECORDS, "{unwritten}");
    // The other one gets what was written, and what it had in memory.
    let reading = pipe.read();
    stand.wait_for("fyke_sink_waiting{sink=\"log\"}", |it| it == 0);
    let account = Account::of(&stand, LOG);
    account.check();
    assert!(account.dropped <= unwritten, "{account:?}, {unwritten}");
    stand.end_anyhow(Duration::from_secs(5));
    let (logged, _) = distinct(&reading.finish());
    assert_eq!(logged.len() as u64, account.delivered);
}

#[test]
fn what_is_damaged_on_disk_is_counted_and_the_rest_delivered() {
    const RECORDS: u64 = 20_000;
    let mut stand = Stand::new();
    let pipe = Pipe::new(&stand.log());
    stand.start(&["--spool-limit", "33554432"]);
    assert_eq!(Sender::start(stand.listen(), 0..RECORDS).finish(), RECORDS);
    stand.wait_for("fyke_sink_delivered_total{sink=\"store\"}", |it| it == RECORDS);
    stand.kill();
    drop(pipe);
    let segments = stand.segments();
    assert!(segments.len() > 3, "{segments:?}");
    let flip = &segments[1];
    let mut file = OpenOptions::new().write(true).read(true).open(flip).expect("a segment");
    let middle = file.metadata().expect("its length").len() / 2;
    file.seek(SeekFrom::Start(middle)).expect("a place");
    file.write_all(&[0x5a; 1]).expect("it can be written");
    let torn = segments.last().expect("a segment");
    let file = OpenOptions::new().write(true).open(torn).expect("a segment");
    file.set_len(file.metadata().expect("its length").len() - 100).expect("it can be cut");

    stand.start(&["--spool-limit", "33554432"]);
    stand.wait_for("fyke_sink_waiting{sink=\"log\"}", |it| it == 0);
    let account = Account::of(&stand, LOG);
    account.check();
    let damaged = stand.value("fyke_sink_dropped_total{sink=\"log\",reason=\"unreadable\"}");
    assert_eq!(account.dropped, damaged);
    assert!(damaged > 0, "{account:?}");
    assert_eq!(stand.value("fyke_spool_blocks_damaged_total"), 1);
    stand.end_anyhow(Duration::from_secs(5));
    let (logged, _) = distinct(&stand.log_lines());
    assert_eq!(logged.len() as u64, account.delivered);
    // Of the torn block is known what the other sink had noted, if it had.
    assert!(account.delivered + damaged <= RECORDS, "{account:?}");
    assert_eq!(stand.stored().len() as u64, RECORDS, "the other sink got nothing again");
    assert!(fs::metadata(flip).is_err(), "everybody is done with it");
}

#[test]
fn a_small_spool_drops_the_oldest_and_goes_on() {
    const RECORDS: u64 = 20_000;
    const ALL: u64 = RECORDS + 500;
    let mut stand = Stand::new();
    let pipe = Pipe::new(&stand.log());
    stand.start(&["--spool-limit", "2097152"]);
    assert_eq!(Sender::start(stand.listen(), 0..RECORDS).finish(), RECORDS);
    stand.wait_for("fyke_sink_delivered_total{sink=\"store\"}", |it| it > 0);
    stand.wait_for("fyke_sink_given_total{sink=\"log\"}", |it| it == RECORDS);
    // Only now, since one shard may come to the spool with all it has before another.
    assert_eq!(Sender::start(stand.listen(), RECORDS..ALL).finish(), ALL);
    stand.wait_for("fyke_sink_given_total{sink=\"log\"}", |it| it == ALL);
    assert!(stand.value("fyke_spool_bytes") <= 2_097_152);
    let account = Account::of(&stand, LOG);
    account.check();
    assert!(account.dropped > 0, "{account:?}");
    let reading = pipe.read();
    stand.wait_for("fyke_sink_waiting{sink=\"log\"}", |it| it == 0);
    let after = Account::of(&stand, LOG);
    after.check();
    stand.end_anyhow(Duration::from_secs(5));
    let (logged, _) = distinct(&reading.finish());
    assert_eq!(logged.len() as u64, after.delivered);
    assert!((RECORDS..ALL).all(|number| logged.contains(&number)), "the newest are there");
}

#[test]
fn a_thread_of_the_spool_that_panics_is_the_end_of_the_process() {
    for (fault, thread) in [("spool-writer-panics", "spool"), ("spool-sync-panics", "spool sync")] {
        let mut stand = Stand::new();
        stand.start_with_fault(fault);
        Sender::start(stand.listen(), 0..1_000).finish();
        assert!(!stand.end_of_itself(), "{fault}: {}", stand.words());
        let why = format!("spool ended unexpectedly: its thread {thread:?} panicked");
        assert!(stand.said(&why), "{fault}: {}", stand.words());
    }
}
