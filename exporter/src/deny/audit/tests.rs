use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::deny::{Counts, Source, channel};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(timestamp: &str) -> u64 {
    let timestamp: jiff::Timestamp = timestamp.parse().unwrap();
    u64::try_from(timestamp.as_nanosecond()).unwrap()
}

#[test]
fn a_clock_on_the_wall_is_read_in_its_zone() {
    let time = jiff::civil::date(2026, 11, 21).at(15, 0, 0, 0);
    for (name, expected) in [
        ("UTC", "2026-11-21T15:00:00Z"),
        ("Europe/Berlin", "2026-11-21T14:00:00Z"),
        ("Asia/Kolkata", "2026-11-21T09:30:00Z"),
    ] {
        assert_eq!(instant(time, &zone(name), at(expected)), at(expected), "{name}");
    }
}

#[test]
fn an_hour_that_comes_twice_is_the_nearer_one() {
    let berlin = zone("Europe/Berlin");
    let time = jiff::civil::date(2026, 10, 25).at(2, 30, 0, 0);
    for now in ["2026-10-25T00:30:01Z", "2026-10-25T01:30:01Z"] {
        assert_eq!(instant(time, &berlin, at(now)), at(now) - 1_000_000_000, "{now}");
    }
}

#[test]
fn only_denied_packets_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("np.log");
    let mut file = File::create(&path).unwrap();
    let counts = Arc::new(Counts::default());
    let (reporter, mut denials) = channel(10, Arc::clone(&counts));
    let mut log = AuditLog::new(path, TimeZone::UTC, reporter.of(Source::AuditLog));
    let now = at("2026-11-21T15:00:01Z");
    assert!(log.poll(now).unwrap());
    for (action, suffix) in
        [("Allow", ""), ("Redirect", ""), ("Drop", " [3 packets in 1.0s]"), ("Reject", "")]
    {
        writeln!(
            file,
            "2026/11/21 15:00:00.5 AntreaPolicyIngressRule AntreaNetworkPolicy:ns/p r Ingress \
             {action} 1 ns/pod 10.0.0.1 1 10.0.0.2 2 UDP 28 <nil>{suffix}"
        )
        .unwrap();
    }
    writeln!(file, "nonsense").unwrap();
    log.poll(now).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| denials.take())
        .map(|it| (it.action.number(), it.packets, it.octets, now - it.time_ns))
        .collect();
    assert_eq!(told, [(2, 3, 84, 500_000_000), (3, 1, 28, 500_000_000)]);
    assert_eq!(counts.losses(Source::AuditLog, Loss::Malformed), 1);
    assert_eq!(counts.packets(Source::AuditLog), 4);
}
