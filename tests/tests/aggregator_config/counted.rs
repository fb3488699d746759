use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use tests::binary::eventually;

use crate::running::{Aggregator, PATIENCE, RECORDS, Sender};

const CLUSTER: &str = "clusterUUID: 123e4567-e89b-12d3-a456-426614174000\n";

fn outputs(collector: SocketAddr, format: &str, log: &str) -> String {
    format!(
        "{CLUSTER}flowCollector: {{enable: true, address: '{collector}', recordFormat: {format}}}\n\
         flowLogger: {{enable: true, path: '{log}'}}\n"
    )
}

/// Accepts one connection, which is read until it is shut down.
fn collector() -> (SocketAddr, thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let accepting = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it connects");
        let mut reading = stream.try_clone().expect("a second handle");
        // Ends with the connection, however that ends.
        thread::spawn(move || std::io::copy(&mut reading.by_ref(), &mut std::io::sink()).ok());
        stream
    });
    (address, accepting)
}

/// What an output counts, by its name and the sink's.
fn counted(aggregator: &Aggregator, name: &str, sink: &str) -> u64 {
    aggregator.metric(&format!("fyke_sink_{name}_total{{sink=\"{sink}\"}}"))
}

#[track_caller]
fn wait_for(aggregator: &Aggregator, name: &str, sink: &str, is_so: impl Fn(u64) -> bool) {
    let came = eventually(PATIENCE, || is_so(counted(aggregator, name, sink)));
    let now = counted(aggregator, name, sink);
    assert!(came, "{name} of {sink} is {now}: {}", aggregator.log());
}

#[test]
fn what_outputs_do_is_counted_across_their_replacements() {
    let once = u64::from(RECORDS);
    let [(first, accepting_first), (second, accepting_second)] = [collector(), collector()];
    let aggregator = Aggregator::start(&outputs(first, "IPFIX", "a.log"));
    let mut sender = Sender::new(aggregator.listen);
    assert!(sender.send());
    let _first = accepting_first.join().expect("a connection");
    for sink in ["flow_collector", "flow_log"] {
        wait_for(&aggregator, "delivered", sink, |it| it == once);
    }
    for (name, expected) in [
        ("sessions", 1),
        ("sessions_lost", 0),
        ("connect_failures", 0),
        ("records_written", once),
        ("records_in_doubt", 0),
        ("records_unfit", 0),
    ] {
        assert_eq!(counted(&aggregator, name, "flow_collector"), expected, "{name}");
    }
    let messages = counted(&aggregator, "messages", "flow_collector");
    assert!(messages > 0);

    // As a foreign logrotate does.
    fs::rename(aggregator.path("a.log"), aggregator.path("aside")).expect("it is there");
    assert!(sender.send());
    wait_for(&aggregator, "delivered", "flow_log", |it| it == 2 * once);
    assert_eq!(counted(&aggregator, "files_reopened", "flow_log"), 1);
    wait_for(&aggregator, "delivered", "flow_collector", |it| it == 2 * once);

    fs::create_dir(aggregator.path("folder")).expect("a folder");
    aggregator.change(&outputs(second, "JSON", "folder"));
    aggregator.wait_for("fyke_aggregator_reloads_total", 1);
    assert!(sender.send());
    let stream = accepting_second.join().expect("a connection");
    wait_for(&aggregator, "records_written", "flow_collector", |it| it == 3 * once);
    assert_eq!(counted(&aggregator, "sessions", "flow_collector"), 2);
    assert!(counted(&aggregator, "messages", "flow_collector") >= messages, "JSON has none");
    wait_for(&aggregator, "write_failures", "flow_log", |it| it > 0);
    assert_eq!(counted(&aggregator, "files_reopened", "flow_log"), 1, "of the output before");

    assert_eq!(counted(&aggregator, "sessions_lost", "flow_collector"), 0);
    stream.shutdown(std::net::Shutdown::Both).expect("it is open");
    assert!(sender.send());
    wait_for(&aggregator, "sessions_lost", "flow_collector", |it| it == 1);
    wait_for(&aggregator, "connect_failures", "flow_collector", |it| it > 0);
    let in_doubt = counted(&aggregator, "records_in_doubt", "flow_collector");
    assert!((1..=once).contains(&in_doubt), "{in_doubt} of the last {once}");
}
