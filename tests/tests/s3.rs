//! What is stored in S3, fetched and judged by programs we did not write; and what becomes of it
//! when S3 is away, refuses, or is cut off, and when the process is killed.

#[path = "s3/told.rs"]
mod told; // rows, files, names
#[path = "s3/outages.rs"]
mod outages; // what is in the way
#[path = "s3/process.rs"]
mod process; // a whole aggregator
#[path = "s3/signed.rs"]
mod signed; // a server that looks at signatures

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use config::Secret;
use flow::{Batch, S3Columns};
use sinks::s3::{Credentials, Format, Naming, Options};
use tests::numbered::{number, record};
use tests::s3::{Moto, Stored};

const NOW_MS: u64 = 1_700_000_010_000;
const CLUSTER: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
/// One server for all tests but those that end it; each has a bucket of its own.
fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

fn options(endpoint: &str, bucket: &str) -> Options {
    let secret = |text: &str| Secret::new(text.to_owned());
    Options {
        bucket: bucket.to_owned(),
        prefix: String::new(),
        region: None,
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        credentials: Credentials::Key {
            id: secret("test-key"),
            secret: secret("test-secret"),
            token: None,
        },
        format: csv(S3Columns::V2_7, true),
        naming: Naming::Original,
        max_records: 1_000_000,
        max_bytes: 64 << 20,
        interval: Duration::from_mins(1),
        timeout: Duration::from_mins(1),
        journal: None,
    }
}

fn csv(columns: S3Columns, compress: bool) -> Format {
    Format::Csv { columns, cluster: CLUSTER.to_owned(), compress }
}

fn batch(numbers: std::ops::Range<u64>) -> Batch {
    Arc::from(numbers.map(record).collect::<Vec<_>>())
}

/// The numbers of all rows of CSV there are, each of which is there once.
#[track_caller]
fn numbers(objects: &[Stored]) -> HashSet<u64> {
    let mut numbers = HashSet::new();
    for row in objects.iter().flat_map(|object| &object.rows) {
        assert_eq!(row.len(), 53, "{row:?}");
        let address: Ipv4Addr = row[5].parse().expect("an address");
        let port: u64 = row[7].parse().expect("a port");
        let number = number(address, port);
        assert!(numbers.insert(number), "{number} is there twice");
    }
    numbers
}
