use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tests::binary::eventually;

use crate::running::{Aggregator, PATIENCE, Sender};

const RECEIVED: &str = "fyke_aggregator_records_received_total";
const RELOADS: &str = "fyke_aggregator_reloads_total";
const REFUSED: &str = "fyke_aggregator_reloads_refused_total";

/// One output that stays, and one in a file that changes.
fn outputs(other: &str) -> String {
    format!("recordLog: flows.json\nflowLogger: {{enable: true, path: '{other}'}}\n")
}

#[test]
fn an_output_that_changes_under_traffic_costs_no_record_of_any() {
    const CHANGES: u64 = 5;
    let mut aggregator = Aggregator::start(&outputs("flows-0.log"));
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, port) = (Arc::clone(&stop), aggregator.listen);
    let sending = thread::spawn(move || {
        let mut sender = Sender::new(port);
        while !stopped.load(Ordering::Relaxed) {
            assert!(sender.send(), "somebody reads");
            // What is sent is looked at line by line below.
            thread::sleep(Duration::from_millis(2));
        }
        sender.sent()
    });
    for change in 1..=CHANGES {
        let before = aggregator.metric(RECEIVED);
        aggregator.change(&outputs(&format!("flows-{change}.log")));
        aggregator.wait_for(RELOADS, change);
        let flows = || aggregator.metric(RECEIVED) > before;
        assert!(eventually(PATIENCE, flows), "records flow: {}", aggregator.log());
    }
    stop.store(true, Ordering::Relaxed);
    let sent = sending.join().expect("it sends");
    aggregator.wait_for(RECEIVED, sent);
    // How much can be written while a process ends is not what this is about.
    let written = || aggregator.lines("flows.json") == sent;
    assert!(eventually(PATIENCE, written), "{}", aggregator.log());
    aggregator.end();
    assert_eq!(aggregator.lines("flows.json"), sent, "the output that nobody changed");
    let parts: Vec<_> =
        (0..=CHANGES).map(|change| aggregator.lines(&format!("flows-{change}.log"))).collect();
    assert_eq!(parts.iter().sum::<u64>(), sent, "{parts:?}");
    assert!(parts.iter().filter(|lines| **lines > 0).count() > 1, "it did change: {parts:?}");
    let log = aggregator.log();
    assert_eq!(log.matches("output follows the configuration").count(), 7, "{log}");
    assert!(!log.contains("output=\"log\"") || log.matches("output=\"log\"").count() == 1, "{log}");
}

#[test]
fn outputs_come_and_go() {
    let mut aggregator = Aggregator::start("");
    let mut sender = Sender::new(aggregator.listen);
    aggregator.change(&outputs("a.log"));
    aggregator.wait_for(RELOADS, 1);
    assert!(sender.send());
    aggregator.wait_for(RECEIVED, sender.sent());
    assert!(eventually(PATIENCE, || aggregator.lines("a.log") == sender.sent()));
    aggregator.change("recordLog: flows.json\n");
    aggregator.wait_for(RELOADS, 2);
    assert!(sender.send());
    aggregator.wait_for(RECEIVED, sender.sent());
    aggregator.end();
    let lines = (aggregator.lines("flows.json"), aggregator.lines("a.log"));
    assert_eq!(lines, (sender.sent(), sender.sent() / 2));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_until_it_is_mended() {
    let mut aggregator = Aggregator::start(&outputs("a.log"));
    assert_eq!(aggregator.health(), "ok\n");
    for (refused, (bad, words)) in (1..).zip([
        ("flowLogger: {enable: true, maxSize: much}\n", "flowLogger.maxSize"),
        ("flowLogger: [\n", "flow-aggregator.conf:"),
    ]) {
        aggregator.change(bad);
        aggregator.wait_for(REFUSED, refused);
        let health = aggregator.health();
        assert!(health.starts_with("ok\nconfiguration: is refused"), "{health}");
        assert!(health.contains(words) && health.lines().count() == 2, "{health}");
    }
    let mut sender = Sender::new(aggregator.listen);
    assert!(sender.send());
    let written = || aggregator.lines("a.log") == sender.sent();
    assert!(eventually(PATIENCE, written), "{}", aggregator.log());
    aggregator.change(&outputs("b.log"));
    aggregator.wait_for(RELOADS, 1);
    assert_eq!((aggregator.metric(REFUSED), aggregator.health().as_str()), (2, "ok\n"));
    aggregator.end();
    let lines = ["flows.json", "a.log", "b.log"].map(|name| aggregator.lines(name));
    assert_eq!(lines, [sender.sent(), sender.sent(), 0]);
}

#[test]
fn what_needs_a_restart_is_named() {
    let mut aggregator = Aggregator::start("recordLog: a.json\n");
    aggregator.change("recordLog: b.json\nmode: Proxy\nlimits: {flows: 7}\n");
    aggregator.wait_for(RELOADS, 1);
    let log = aggregator.log();
    assert!(log.contains("take effect when the aggregator is started anew"), "{log}");
    assert!(log.contains("mode, limits.flows"), "{log}");
    let health = aggregator.health();
    assert!(health.contains("wait for the next start: mode, limits.flows"), "{health}");
    moves_to_b(&mut aggregator);
}

/// The rest is taken over, and the sink that goes may take what comes while it ends.
fn moves_to_b(aggregator: &mut Aggregator) {
    let mut sender = Sender::new(aggregator.listen);
    let there = || sender.send() && aggregator.path("b.json").exists();
    assert!(eventually(PATIENCE, there), "{}", aggregator.log());
    aggregator.wait_for(RECEIVED, sender.sent());
    aggregator.end();
    assert_eq!(aggregator.lines("a.json") + aggregator.lines("b.json"), sender.sent());
}

/// As the kubelet does it: a folder with the file, and a link to it that is exchanged.
#[test]
fn a_config_map_that_is_exchanged_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for version in ["v1", "v2"] {
        fs::create_dir(at(version)).expect("a folder");
    }
    symlink("v1", at("..data")).expect("a link");
    symlink("..data/flow-aggregator.conf", at("flow-aggregator.conf")).expect("a link");
    let mut aggregator =
        Aggregator::start_in(folder, "recordLog: a.json\n", "flow-aggregator.conf");
    let file = fs::read_to_string(aggregator.path("v1/flow-aggregator.conf")).expect("a file");
    let file = file.replace("a.json", "b.json");
    fs::write(aggregator.path("v2/flow-aggregator.conf"), file).expect("a file");
    symlink("v2", aggregator.path("..next")).expect("a link");
    fs::rename(aggregator.path("..next"), aggregator.path("..data")).expect("it is exchanged");
    aggregator.wait_for(RELOADS, 1);
    moves_to_b(&mut aggregator);
}

/// Whoever sends never stops; what was taken is delivered all the same, or kept.
#[test]
fn under_full_load_it_ends_with_everything_flushed() {
    let mut aggregator = Aggregator::start("recordLog: flows.json\nspool: {directory: spool}\n");
    let port = aggregator.listen;
    let senders: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut sender = Sender::new(port);
                while sender.send() {}
            })
        })
        .collect();
    let busy = || aggregator.metric(RECEIVED) > 10_000;
    assert!(eventually(PATIENCE, busy), "{}", aggregator.log());
    aggregator.end();
    for sender in senders {
        sender.join().expect("it notices");
    }
    assert!(aggregator.lines("flows.json") > 0);
}
