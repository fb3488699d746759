use std::time::Duration;

use super::*;

#[test]
fn a_store_is_kept_for_so_long_and_within_a_limit() {
    assert_eq!(good("").storage.store(), None);
    let file = "dataDirectory: /d\nstore: {limit: 2GiB, keep: {records: 24h, hours: forever}}\n";
    let store = good(file).storage.store().unwrap();
    assert_eq!(store.directory, std::path::Path::new("/d"));
    let kept = &store.maintenance;
    assert_eq!((kept.limit, kept.raw.unwrap().as_secs(), kept.hour), (Some(2 << 30), 86_400, None));
    let default = good("dataDirectory: /d\n").storage.store().unwrap();
    assert_eq!(default.maintenance, store::MaintenanceOptions::default());
    // A second, less what a sink may have to wait until it is asked.
    let flush_age = Duration::from_millis(750);
    assert_eq!(default.writer, store::WriterOptions { flush_age, ..Default::default() });
    assert!(resolve("store: {limit: 1MiB}\n").0.is_none());
    assert!(resolve("store: {keep: {records: 59m}}\n").0.is_none());
    assert!(resolve("store: {keep: {minutes: 24h}}\n").1.any(Severity::Doubt));
}

#[test]
fn a_spool_is_beside_the_store() {
    let spool = |file: &str| good(file).storage.spool().map(|it| it.directory);
    assert_eq!(spool(""), None);
    assert_eq!(spool("dataDirectory: /d\n"), Some("/d/spool".into()));
    assert_eq!(spool("dataDirectory: /d\nspool: {directory: /s}\n"), Some("/s".into()));
    assert_eq!(spool("dataDirectory: /d\nspool: {directory: off}\n"), None);
    assert_eq!(
        good("dataDirectory: d\nspool: {limit: 2GiB}\n").storage.spool().unwrap().limit,
        2 << 30
    );
    assert!(resolve("spool: {limit: 1KiB}\n").0.is_none());
    assert!(resolve("spool: {limit: 2GiB}\n").1.any(Severity::Doubt));
}
