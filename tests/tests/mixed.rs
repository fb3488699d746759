//! The exporter as a whole: flows of every kind by the thousand, over every transport at once,
//! while things go wrong. What each destination was told adds up, for each flow, to what the
//! kernel counted: `conntrack -E` tells the end of each connection, and nft counts what is denied.

#[path = "mixed/certificates.rs"]
mod certificates;
#[path = "mixed/foreign.rs"]
mod foreign;
#[path = "mixed/stand.rs"]
mod stand;
#[path = "mixed/sums.rs"]
mod sums;
#[path = "mixed/traffic.rs"]
mod traffic;

use std::time::{Duration, Instant};

use cli::demo::judge::socket;
use cli::demo::lab::Host;
use stand::{Destination, Stand};
use sums::{Sums, forward, of_records, without_identifiers};
use tests::binary::{signal, sum, value};

const TLS: &str = "profile: fyke, tls: {caFile: ca.pem, certFile: exporter.test.pem, \
    keyFile: exporter.test.key, serverName: collector.test}";

const FIRST: Destination = Destination::tcp("first", 4739);
const SECOND: Destination = Destination::tcp("second", 4740);
const MUTUAL: Destination = Destination { name: "mutual", port: 4741, transport: "tls", more: TLS };

/// Events for which there is room.
const FEW: usize = 16 << 10;
const MANY: usize = 32 << 20;

/// Flows of every kind, long and short, some denied.
fn ten_thousand(stand: &mut Stand) {
    stand.traffic.begin(1200);
    for _ in 0..6 {
        stand.traffic.brief(1300);
        stand.traffic.denied(170);
        stand.traffic.go_on(2);
    }
    stand.traffic.end(0);
    assert!(stand.traffic.made() >= 10_000);
}

#[test]
fn ten_thousand_flows_are_told_the_same_over_every_transport() {
    let antrea = Destination { more: "profile: antrea", ..FIRST };
    let grpc = Destination { name: "grpc", port: 14739, transport: "grpc", more: TLS };
    let mut stand = Stand::start("mixall", &[antrea, MUTUAL, grpc], "");
    stand.collector(&antrea);
    stand.collector(&MUTUAL);
    foreign::grpcio(&mut stand, &grpc);
    stand.begin();

    ten_thousand(&mut stand);
    let (mut expected, denied) = (stand.wait_for_the_end(), stand.denied());
    assert!(expected.len() > 8900 && denied.len() > 900, "{} {}", expected.len(), denied.len());
    expected.extend(denied);
    let told = stand.metrics();
    stand.finish();
    stand.assert_told("mutual", of_records, &expected);
    stand.assert_told("grpc", of_records, &expected);
    stand.assert_told("first", of_records, &without_identifiers(&expected));
    for lost in ["records_lost", "records_refused", "sessions_lost", "messages_unsendable"] {
        assert_eq!(sum(&told, &format!("fyke_exporter_{lost}_total")), 0, "{told}");
    }
}

#[test]
fn ten_thousand_flows_are_told_the_same_in_datagrams() {
    let datagrams = Destination { name: "datagrams", transport: "udp", ..SECOND };
    let mut stand = Stand::start("mixudp", &[datagrams], "");
    foreign::nfacctd(&mut stand, &datagrams);
    stand.begin();
    ten_thousand(&mut stand);
    let mut expected = stand.wait_for_the_end();
    expected.extend(stand.denied());
    let told = stand.metrics();
    stand.finish();
    stand.assert_told("datagrams", foreign::of_rows, &forward(&expected));
    assert!(foreign::missed(&stand.collectors_log("datagrams")).is_empty());
    for lost in ["records_lost", "records_refused", "sessions_lost", "messages_unsendable"] {
        assert_eq!(sum(&told, &format!("fyke_exporter_{lost}_total")), 0, "{told}");
    }
}

#[test]
fn a_collector_that_is_away_is_told_everything_when_it_is_back() {
    collector_is_away("mixaway", Duration::from_secs(6));
}

#[test]
#[ignore = "takes two minutes; part of cargo xtask soak"]
fn also_after_a_minute() {
    collector_is_away("mixlong", Duration::from_mins(1));
}

fn collector_is_away(prefix: &str, how_long: Duration) {
    let mut stand = Stand::start(prefix, &[FIRST, SECOND], "");
    stand.collector(&FIRST);
    stand.collector(&SECOND);
    stand.remember();
    stand.begin();
    stand.traffic.begin(300);
    stand.wait_until_level("second", 300);

    stand.kill("second");
    let began = Instant::now();
    while began.elapsed() < how_long {
        stand.traffic.brief(150);
        stand.traffic.denied(30);
        stand.traffic.go_on(1);
        // How long the collector is away is what is tested; this is the pace of its flows.
        std::thread::sleep(Duration::from_millis(500));
    }
    stand.wait_until_level("first", 300);
    let told = stand.metrics();
    assert_eq!(value(&told, "fyke_exporter_connected{destination=\"second\"}"), 0);
    assert!(value(&told, "fyke_exporter_records_lagging{destination=\"second\"}") > 0, "{told}");
    stand.collector(&SECOND);
    stand.traffic.go_on(1);
    stand.wait_until_level("second", 300);
    stand.traffic.brief(150);
    stand.traffic.end(0);
    stand.forget();
    let mut expected = stand.wait_for_the_end();
    expected.extend(stand.denied());
    let told = stand.metrics();
    stand.finish();
    stand.assert_told("first", of_records, &expected);
    stand.assert_told("second", of_records, &expected);
    assert_eq!(sum(&told, "fyke_exporter_records_lost_total"), 0, "{told}");
}

#[test]
fn a_destination_that_comes_is_told_what_happens_until_it_goes() {
    let mut stand = Stand::start("mixcome", &[FIRST], "");
    stand.collector(&FIRST);
    stand.collector(&SECOND);
    stand.remember();
    stand.begin();
    stand.traffic.begin(200);
    stand.traffic.brief(200);
    stand.wait_until_level("first", 200);
    let before = stand.told("first");

    stand.configure(&[FIRST, SECOND], "");
    stand.reload();
    stand.wait_for_metric("fyke_exporter_connected{destination=\"second\"} 1");
    stand.traffic.go_on(2);
    stand.traffic.brief(200);
    stand.traffic.denied(50);
    stand.wait_until_level("first", 200);
    let news = |stand: &Stand| without(&stand.told("first"), &before);
    stand.wait("what is new to both", || {
        without(&stand.told("second"), &Sums::new()) == news(&stand)
    });
    assert!(news(&stand).len() >= 400);

    stand.configure(&[FIRST], "");
    stand.reload();
    stand.wait("nothing of the second", || !stand.metrics().contains("destination=\"second\""));
    let until = stand.told("second");
    stand.traffic.go_on(2);
    stand.traffic.brief(100);
    stand.traffic.end(0);
    stand.forget();
    let mut expected = stand.wait_for_the_end();
    expected.extend(stand.denied());
    stand.finish();
    stand.assert_told("first", of_records, &expected);
    stand.assert_told("second", of_records, &until);
}

/// What has grown, and by how much.
fn without(now: &Sums, before: &Sums) -> Sums {
    let grown = now.iter().map(|(key, totals)| {
        let before = before.get(key).copied().unwrap_or_default();
        (*key, sums::minus(*totals, before))
    });
    grown.filter(|(_, totals)| totals.packets + totals.reverse_packets > 0).collect()
}

#[test]
fn certificates_are_changed_while_flows_go_on() {
    let mut stand = Stand::start("mixcert", &[MUTUAL], "");
    stand.collector(&MUTUAL);
    stand.remember();
    stand.begin();
    stand.traffic.begin(200);
    stand.traffic.brief(200);

    // A session outlives the certificates that it began with.
    certificates::write(stand.lab.directory());
    stand.traffic.go_on(1);
    stand.wait_until_level("mutual", 200);
    assert_eq!(value(&stand.metrics(), "fyke_exporter_sessions_total{destination=\"mutual\"}"), 1);
    // The next one is with a collector that accepts none but the new ones, and shows one.
    stand.kill("mutual");
    stand.collector(&MUTUAL);
    stand.traffic.go_on(1);
    stand.traffic.brief(200);
    stand.wait_until_level("mutual", 200);
    stand.traffic.end(0);
    stand.forget();
    let expected = stand.wait_for_the_end();
    assert_eq!(value(&stand.metrics(), "fyke_exporter_sessions_total{destination=\"mutual\"}"), 2);
    stand.finish();
    stand.assert_told("mutual", of_records, &expected);
}

#[test]
fn counters_that_somebody_zeroes_go_on_unless_they_overtake_themselves() {
    let mut stand = Stand::start("mixzero", &[FIRST], "");
    stand.collector(&FIRST);
    stand.remember();
    stand.begin();
    stand.traffic.begin(300);
    stand.traffic.go_on(4);
    stand.wait_until_level("first", 300);
    let seen = stand.told("first");

    // Fewer packets than before: it shows.
    stand.zero();
    stand.traffic.go_on(2);
    let both = |alive: Sums| -> Sums {
        alive.into_iter().map(|(key, it)| (key, sums::plus(it, seen[&key]))).collect()
    };
    // The last acknowledgements may come late.
    stand.wait("both counts", || stand.told("first") == both(stand.alive()));
    let (after, told_so_far) = (stand.alive(), stand.told("first"));
    let told = stand.metrics();
    // Sessions of the exporter itself were zeroed too.
    let resets = value(&told, "fyke_exporter_counter_resets_total");
    assert!((300..310).contains(&resets), "{resets}");
    assert!(stand.log().contains("somebody else zeroes conntrack's counters"), "{}", stand.log());

    // More than the last time before anybody looks: what was zeroed is lost, and no more.
    signal(stand.exporter().id(), "STOP");
    stand.zero();
    stand.traffic.go_on(6);
    signal(stand.exporter().id(), "CONT");
    let growth = |alive: Sums| -> Sums {
        let since = |key, it| sums::plus(told_so_far[key], sums::minus(it, after[key]));
        alive.iter().map(|(key, &it)| (*key, since(key, it))).collect()
    };
    stand.wait("the rest", || stand.told("first") == growth(stand.alive()));
    assert!(value(&stand.metrics(), "fyke_exporter_counter_resets_total") < resets + 10);
    stand.finish();
}

#[test]
fn with_reliable_events_a_tiny_buffer_loses_nothing() {
    let mut stand = Stand::start("mixrel", &[FIRST], "reliableEvents: true\n");
    stand.collector(&FIRST);
    stand.remember();
    stand.begin();
    resize(&stand, FEW);
    stand.traffic.begin(300);
    signal(stand.exporter().id(), "STOP");
    stand.traffic.brief(600);
    stand.traffic.go_on(1);
    signal(stand.exporter().id(), "CONT");
    stand.traffic.brief(300);
    stand.traffic.end(0);
    stand.forget();
    let expected = stand.wait_for_the_end();
    let none_is_kept = || stand.run(Host::NodeA, &["conntrack", "-L", "dying"]).is_empty();
    stand.wait("every end", none_is_kept);
    let told = stand.metrics();
    stand.finish();
    stand.assert_told("first", of_records, &expected);
    assert!(value(&told, "fyke_exporter_conntrack_held_back_total") > 0, "{told}");
    assert_eq!(value(&told, "fyke_exporter_conntrack_overruns_total"), 0);
    assert_eq!(value(&told, "fyke_exporter_connections_vanished_total"), 0);
}

#[test]
fn without_them_it_is_known_that_something_is_lost_and_what_lives_is_made_good() {
    let mut stand = Stand::start("mixunrel", &[FIRST], "");
    stand.collector(&FIRST);
    stand.begin();
    resize(&stand, FEW);
    stand.traffic.begin(400);
    stand.wait_until_level("first", 100);
    signal(stand.exporter().id(), "STOP");
    stand.traffic.brief(600);
    stand.traffic.end(150);
    // Of those that go on only TCP is not over for the kernel: four of nine.
    stand.wait("the kernel to forget what is over", || stand.alive().len() <= 70);
    signal(stand.exporter().id(), "CONT");
    let overruns =
        |stand: &Stand| value(&stand.metrics(), "fyke_exporter_conntrack_overruns_total");
    stand.wait("the loss to be counted", || overruns(&stand) > 0);
    resize(&stand, MANY);
    stand.wait_until_level("first", 60);
    stand.traffic.go_on(2);
    let alive = stand.alive();
    stand.traffic.end(0);
    let expected = stand.wait_for_the_end();
    let (told, log) = (stand.metrics(), stand.log());
    stand.finish();
    let lived = |sums: &Sums| -> Sums {
        sums.iter()
            .filter(|(key, _)| alive.contains_key(key))
            .map(|(&key, &it)| (key, it))
            .collect()
    };
    stand.assert_told("first", |text| lived(&of_records(text)), &lived(&expected));
    let received = stand.told("first");
    let missing = expected.keys().filter(|key| !received.contains_key(key)).count();
    let short = sums::differences(&received, &expected).len();
    assert!(missing > 400 && short > missing, "{missing} {short}: {told}");
    let is_less = |(key, it): (_, &_)| sums::is_at_most(it, &expected[key]);
    assert!(received.iter().all(is_less), "nothing is told that was not");
    assert!(value(&told, "fyke_exporter_connections_vanished_total") > 100, "{told}");
    assert!(log.contains("kernel dropped events"), "{log}");
}

/// Leaves room for so many bytes of events.
fn resize(stand: &Stand, bytes: usize) {
    let exporter = stand.exporter().id();
    let socket = socket::event_socket(exporter).expect("it listens");
    socket::resize(exporter, socket, bytes).expect("its buffer");
}
