use std::time::Duration;

use config::{Secret, Severity};
use flow::{S3Columns, Uid};
use sinks::s3::{Credentials, Format, Naming, Options};

use crate::settings::Settings;
use crate::settings::tests::{good, told, with};

const KEY: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

#[track_caller]
fn options(settings: &Settings) -> Options {
    settings.s3.options(Some(Uid([0x11; 16])), Some("/spool".into())).expect("it is on")
}

#[test]
fn the_output_to_s3_is_as_the_file_says() {
    assert_eq!(good("").s3.options(None, None), None);
    let plain = options(&good("s3Uploader: {enable: true, bucketName: flows}\n"));
    assert_eq!(
        plain,
        Options {
            bucket: "flows".to_owned(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            path_style: false,
            credentials: Credentials::Found,
            format: Format::Csv {
                columns: S3Columns::V2_7,
                cluster: "11111111-1111-1111-1111-111111111111".to_owned(),
                compress: true,
            },
            naming: Naming::Original,
            max_records: 1_000_000,
            max_bytes: 64 << 20,
            interval: Duration::from_mins(1),
            timeout: Duration::from_mins(1),
            journal: Some("/spool".into()),
        }
    );
}

#[test]
fn every_key_of_the_output_to_s3_is_taken_and_printed() {
    let file = "s3Uploader: {enable: true, bucketName: b, bucketPrefix: p/q, region: eu-south-1, \
                recordFormat: CSV, compress: false, maxRecordsPerFile: 7, uploadInterval: 5s, \
                endpoint: 'https://minio:9000', columns: v1.9, objectNames: hive, \
                maxBytesPerFile: 1MiB, requestTimeout: 9s}\n";
    let (settings, findings) = with(file, &[], &KEY);
    let settings = settings.expect("it is good");
    assert_eq!(told(&findings), Vec::<String>::new());
    let secret = |text: &str| Secret::new(text.to_owned());
    assert_eq!(
        options(&settings),
        Options {
            bucket: "b".to_owned(),
            prefix: "p/q".to_owned(),
            region: Some("eu-south-1".to_owned()),
            endpoint: Some("https://minio:9000".to_owned()),
            path_style: true,
            credentials: Credentials::Key {
                id: secret("id"),
                secret: secret("secret"),
                token: None
            },
            format: Format::Csv {
                columns: S3Columns::V1_9,
                cluster: "11111111-1111-1111-1111-111111111111".to_owned(),
                compress: false,
            },
            naming: Naming::Hive,
            max_records: 7,
            max_bytes: 1 << 20,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(9),
            journal: Some("/spool".into()),
        }
    );
    // What is printed says the same.
    let printed = settings.to_yaml();
    let (again, findings) = with(&printed, &[], &KEY);
    assert_eq!(options(&again.unwrap_or_else(|| panic!("{findings}"))), options(&settings));
}

#[test]
fn the_environment_says_what_the_file_does_not() {
    let file = "s3Uploader: {enable: true, bucketName: b, recordFormat: Parquet, \
                endpoint: 'http://[::1]:9000', pathStyle: false}\n";
    let environment = [KEY[0], KEY[1], ("AWS_SESSION_TOKEN", "t"), ("AWS_REGION", "eu-south-1")];
    let options = options(&with(file, &[], &environment).0.expect("it is good"));
    assert_eq!(options.region.as_deref(), Some("eu-south-1"));
    assert_eq!((options.format, options.path_style), (Format::Parquet, false));
    let secret = |text: &str| Secret::new(text.to_owned());
    let token = Some(secret("t"));
    let key = Credentials::Key { id: secret("id"), secret: secret("secret"), token };
    assert_eq!(options.credentials, key);
}

#[test]
fn placeholders_of_antreas_chart_are_no_credentials() {
    let file = "s3Uploader: {enable: true, bucketName: b}\n";
    for environment in [
        vec![("AWS_ACCESS_KEY_ID", "changeme"), ("AWS_SECRET_ACCESS_KEY", "changeme")],
        vec![("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""), ("AWS_SESSION_TOKEN", "")],
    ] {
        let (settings, findings) = with(file, &[], &environment);
        assert_eq!(options(&settings.expect("it is good")).credentials, Credentials::Found);
        let placeholders = environment.iter().filter(|(_, value)| *value == "changeme").count();
        let doubts = findings.iter().filter(|it| it.severity == Severity::Doubt).count();
        assert_eq!(doubts, placeholders, "{findings}");
    }
    for half in [
        vec![("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "changeme")],
        vec![("AWS_ACCESS_KEY_ID", "id")],
        vec![("AWS_SECRET_ACCESS_KEY", "secret")],
    ] {
        let findings = with(file, &[], &half).1;
        let errors = findings.iter().filter(|it| it.severity == Severity::Error);
        assert_eq!(errors.count(), 1, "{findings}");
    }
    for odd in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let environment = [KEY[0], KEY[1], (odd, "from-a-file\n")];
        let (settings, findings) = with(file, &[], &environment);
        let findings = told(&findings);
        assert!(settings.is_none() && findings.len() == 1, "{findings:?}");
        assert!(findings[0].contains(odd) && findings[0].contains("end of a line"), "{findings:?}");
        assert!(!findings[0].contains("from-a-file"), "{findings:?}");
    }
    for odd in [
        "endpoint: 'http://fd00::1'",
        "endpoint: 'http://[::1'",
        "endpoint: 'http://a\"b'",
        "endpoint: 'http://a:+80'",
        "endpoint: 'http://'",
        "region: 'us west'",
        "region: 'evil.com/#'",
    ] {
        let file = format!("s3Uploader: {{enable: true, bucketName: b, {odd}}}\n");
        let (settings, findings) = with(&file, &[], &[]);
        assert!(settings.is_none() && told(&findings).len() == 1, "{odd}: {findings}");
    }
    let off = with("", &[], &[("AWS_ACCESS_KEY_ID", "changeme")]).1;
    assert_eq!(told(&off), Vec::<String>::new(), "nobody asked for S3");
}
