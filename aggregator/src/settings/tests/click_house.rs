use store::clickhouse::Trust;

use super::*;

#[test]
fn clickhouse_is_reached_by_http_as_somebody() {
    let file = "clickHouse: {enable: true, database: d, databaseURL: 'tcp://ch:9000', \
                commitInterval: 3s, compress: no, tls: {caCert: true}}\ndataDirectory: /data\n";
    let uuid = "123e4567-e89b-12d3-a456-426614174000".parse().ok();
    let (settings, findings) = resolve(file);
    assert_eq!(told(&findings), Vec::<String>::new(), "that is how Antrea's users have it");
    let Some(Output::ClickHouse(options)) =
        settings.unwrap().outputs(uuid, Mode::Aggregate).click_house
    else {
        panic!("no output")
    };
    assert_eq!(options.address.to_string(), "http://ch:8123");
    assert_eq!((options.username.reveal(), options.password.reveal()), ("antrea", "secret"));
    assert_eq!((options.database.as_str(), options.compress), ("d", false));
    assert_eq!(options.interval, Duration::from_secs(3));
    assert_eq!(options.cluster_uuid, "123e4567-e89b-12d3-a456-426614174000");
    assert_eq!(options.note, Some("/data/spool/click_house.note".into()));
    let mounted = "/etc/flow-aggregator/certs/clickhouse/ca.crt";
    assert_eq!(options.trust, Trust::Authorities(mounted.into()));
    let (_, findings) = resolve("clickHouse: {enable: true, databaseURL: 'tls://ch:19440'}\n");
    let told = told(&findings).join("\n");
    assert!(told.contains("https://ch:8443 is used; if HTTPS is at another port"), "{told}");
}

#[test]
fn clickhouse_needs_a_user_and_a_password() {
    let file = "clickHouse: {enable: true}\n";
    for (user, password, missing) in [
        (None, Some("p"), "CH_USERNAME"),
        (Some("u"), None, "CH_PASSWORD"),
        (Some(""), Some("p"), "CH_USERNAME"),
        (Some("u"), Some(""), "CH_PASSWORD"),
        (Some("u"), Some("pässword"), "CH_PASSWORD"),
    ] {
        let told = [("CH_USERNAME", user), ("CH_PASSWORD", password)];
        let told: Vec<_> = told.into_iter().filter_map(|(name, it)| Some((name, it?))).collect();
        let (settings, findings) = with(file, &[], &told);
        assert!(settings.is_none(), "{missing}");
        let findings = findings.to_string();
        assert!(findings.contains(missing) && !findings.contains("ssword\""), "{findings}");
    }
    assert!(with("", &[], &[]).0.is_some(), "nobody asks where there is no such output");
}
