//! What a hostile peer can make a session remember: not much, however long it tries.
//!
//! Attacks by a single message are in `hostile/messages.rs` (and, for what they leave behind in a
//! session, in `src/decode/tests/hostile.rs`); these take many.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]

#[path = "hostile/messages.rs"]
mod messages; // attacks by a single message
mod plain;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipfix::{
    decode::{Limits, Rules, Session, Summary},
    registry::{DataType, Definition, Registry},
};
use peak_alloc::PeakAlloc;
use plain::{message, set};

/// How much a session may keep under any attack here, in bytes: what the limits allow, and as much
/// again for tables that grow by doubling.
const KEPT: usize = 8 << 20;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole process, so that one test at a time may use any.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends `attack` as many messages as it likes, and watches memory.
#[track_caller]
fn check(rules: Rules, messages: u32, attack: impl Fn(u32) -> Vec<u8>) -> Summary {
    let _alone = alone();
    let mut session = Session::with_rules(Limits::default(), rules);
    let start = Instant::now();
    let before = MEMORY.current_usage();
    let mut last = None;
    for number in 0..messages {
        let now = start + Duration::from_millis(number.into());
        let told = session.decode_at(now, &attack(number), |_| (), |(), _, _| ());
        last = Some(told.unwrap());
    }
    let kept = MEMORY.current_usage().saturating_sub(before);
    assert!(kept < KEPT, "{kept} bytes after {messages} messages");
    last.unwrap()
}

#[test]
fn templates_without_end_are_refused() {
    // 500 fields each, of ever more ids and domains.
    let attack = |number: u32| {
        let id = 256 + u16::try_from(number % 60_000).unwrap();
        let mut body = [id.to_be_bytes(), 500_u16.to_be_bytes()].concat();
        body.extend([0, 1, 0, 1].repeat(500));
        message(number / 60_000, 0, &set(2, &body))
    };
    let last = check(Rules::stream(), 20_000, attack);
    assert_eq!((last.templates, last.templates_refused), (0, 1));
}

#[test]
fn domains_without_end_are_not_followed() {
    check(Rules::datagrams(), 300_000, |number| message(number, number, &[]));
}

#[test]
fn sets_that_wait_without_end_are_given_up() {
    let attack = |number: u32| {
        let id = 256 + u16::try_from(number % 60_000).unwrap();
        message(number % 7, number, &set(id, &[0; 600]))
    };
    let last = check(Rules::datagrams(), 50_000, attack);
    assert_eq!((last.sets_waiting, last.sets_given_up), (1, 1));
}

#[test]
fn sets_of_no_bytes_that_wait_without_end_are_given_up() {
    let attack = |number: u32| message(7, number, &set(256, &[]).repeat(1_000));
    let last = check(Rules::datagrams(), 2_000, attack);
    assert_eq!((last.sets_waiting, last.sets_given_up), (1_000, 1_000));
}

#[test]
fn withdrawals_and_data_in_turn_do_nothing() {
    // Two messages of this sort make the collector of Antrea loop without end.
    let attack = |number: u32| {
        let define = set(2, &[1, 0, 0, 1, 0, 1, 0, 4]);
        let withdraw = set(2, &[1, 0, 0, 0]);
        message(7, number, &[define, withdraw, set(256, &[0; 64])].concat())
    };
    let last = check(Rules::stream(), 100_000, attack);
    assert_eq!((last.withdrawals, last.sets_without_template, last.records), (1, 1, 0));
}

#[test]
fn elements_that_describe_themselves_without_end_are_not_learned() {
    let _alone = alone();
    let mut registry = Registry::new();
    let before = MEMORY.current_usage();
    let mut refused = 0;
    for number in 0..200_000_u32 {
        let id = u16::try_from(1 + number % 30_000).unwrap();
        let name = "x".repeat(255);
        let element = Definition::new(100_000 + number / 30_000, id, name, DataType::String);
        refused += u32::from(registry.learn(element).is_err());
    }
    assert!(MEMORY.current_usage().saturating_sub(before) < KEPT);
    assert_eq!((registry.added(), refused), (4_096, 200_000 - 4_096));
}
