//! The page about files and columns, made from the schemas.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};

use super::columns::schema;
use super::sums::sums_schema;

const HEAD: &str = "\
# The embedded store

This page is made from the schemas of the store (`cargo xtask generate`). The store is a directory
of plain Parquet files (zstd). Whatever reads Parquet reads them, beside a running aggregator:

    SELECT sourcePodNamespace, sum(octetDeltaCount) FROM 'DIR/flows/*/*/*.parquet' GROUP BY ALL
    pyarrow.dataset.dataset('DIR/flows', format='parquet')

## Directories

    DIR/flows/2026-11-21/08/NAME        records that were inserted in that hour (UTC)
    DIR/tiers/1m/2026-11-21/08_NAME     their sums per minute; also 5m and 1h
    DIR/tiers/1m/2026-11-21/NAME        the same of a whole day
    DIR/old/                            files that were replaced less than five minutes ago
    DIR/quarantine/                     damaged files, the last 64, and no more than a twentieth of the limit
    DIR/tmp/, lock, mark                the writer's own

A file is written once, complete from the moment it has its name, and never changed. Its pages have
checksums, which Fyke and others (`page_checksum_verification` of pyarrow) compare. A name is

    0000000012-0000000057_r1000_i1795251599000-1795251601200_e1795251598000-1795251599000.parquet

- the numbers of the stored batches that are in the file, both included; they only grow,
- `r`: its rows,
- `i`: when the oldest and the newest were inserted, in milliseconds since 1970,
- `e`: when the first and the last of their flows ended (of sums: when the first bucket begins).

**Which files count.** Small files are merged: the file with the numbers 12 to 57 takes the place
of every other one of its hour whose numbers lie within. These are moved away right after; only
while that is done, and after a crash until the aggregator is back, both are there. Who must be
exact at such a moment leaves out what lies within another file's numbers.

A file with any other name is read too, for the hour it lies in: one of somebody else's, or of the
first layout (`1795251599000-000001-7.parquet`). As no numbers tell what it holds, nothing can take
its place: it is neither merged nor summed up, and goes with its hour. `fyke store import` into an
empty directory makes a store of it that is.

**Sums and records.** Once an hour is over, its records are summed up by minute, 5 minutes and hour
of the *end* of flows. A file of sums says what all records say that were inserted in its hour (or
day, if its name does not begin with an hour) and have numbers within its own. So: all files of one
tier, and of what they do not cover the next finer one, down to records, tell of each record once.
Late records make further rows of the same bucket: always add up.

**How long.** `store.keep.*` and `store.limit` in `flow-aggregator.conf`. Whole hours of records and
whole days of sums are removed, the oldest first.

**Commands.** `fyke store` reads beside a running aggregator; what writes takes its place while it
does not run, and says so if it does.

    fyke store inspect --data DIR               tiers, partitions, rows, bytes, times; -o json
    fyke store verify --data DIR                reads every page; names torn files and the byte
    fyke store verify --data DIR --fix          and moves them to quarantine
    fyke store compact --data DIR               merges, sums up, drops nothing
    fyke store export --from DIR --to x.parquet one file; also .csv, .jsonl
    fyke store import --from DIR --to URL       to ClickHouse, back, or from files

DIR may be the URL of a ClickHouse server (`CH_USERNAME`, `CH_PASSWORD`); `--from` also a directory
of Parquet files, or one file. `--since`, `--until`, `--namespace` and `--where COLUMN=VALUE` say
which rows. An import knows rows again by all of their values but the time of insertion, slice of
time by slice of time, and copies those that are not there: after it was killed it is started again
and has no row twice, however either store has merged its rows. Rows keep their time of insertion
(in ClickHouse: its second), so what is older than a store keeps goes there with its next clean-up.
Text has times as milliseconds since 1970.

**Times.** Milliseconds since 1970 in UTC; times beyond the year 9999 are stored as its end.
";

const RECORDS: &str = "\n## Columns of records\n\n| Column | Type |\n|---|---|\n";
const SUMS: &str = "\
\n## Columns of sums\n
The keys; between them and the counts, the earliest start and the latest end of the flows, and the
sums of the deltas by the names of what they sum up. `flowsStarted` counts records whose deltas are
their totals, `flowsEnded` those that say that the connection has ended.\n
| Column | Type |\n|---|---|\n";

fn table(schema: &SchemaRef) -> String {
    let mut rows = String::new();
    for field in schema.fields() {
        let kind = match field.data_type() {
            DataType::Dictionary(..) | DataType::Utf8 => "text".to_owned(),
            DataType::Timestamp(..) => "timestamp, milliseconds, UTC".to_owned(),
            number => format!("unsigned, {} bits", number.primitive_width().unwrap_or(0) * 8),
        };
        let null = if field.is_nullable() { " or null" } else { "" };
        writeln!(rows, "| `{}` | {kind}{null} |", field.name()).unwrap();
    }
    rows
}

#[test]
fn what_is_committed_is_what_is_stored() {
    let page = [HEAD, RECORDS, &table(&schema()), SUMS, &table(&sums_schema())].concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/store.md");
    if std::env::var_os("FYKE_GENERATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/store.md is stale; run `cargo xtask generate`");
}
