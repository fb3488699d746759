//! Somebody else's reader must see what ours sees: a store is worth its disk only if `DuckDB`,
//! pandas or `ClickHouse` can read it. Here they do, and share no code with ours.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::path::Path;

use store::Writer;
use support::{SUMS, files, python, records, sums};
use tempfile::tempdir;

const NOW: u64 = 1_795_251_599_000;

#[test]
fn pyarrow_reads_the_same_sums() {
    let dir = tempdir().unwrap();
    let records = records(0..3000);
    let mut writer = Writer::open(dir.path()).unwrap();
    for batch in records.chunks(1000) {
        writer.append(batch, NOW).unwrap();
        writer.flush().unwrap();
    }
    let told = python(SUMS, &[&dir.path().join("flows")]);
    assert_eq!(told, sums(&records, |_| NOW));
}

/// Prints what [`SUMS`] does, of one file, as the reader that is named has it.
const BY_SQL: &str = r#"
import sys, os
import pyarrow as pa, pyarrow.parquet as pq
reader, path = sys.argv[1:3]
if reader == "chdb":
    import chdb
    ask = lambda sql: [line.split("\t") for line in str(chdb.query(sql, "TSV")).splitlines()][0]
    source, sums = f"file('{path}', Parquet)", "sum(toUInt64({}))"
    text, time = "sum(length(ifNull({}, '')))", "sum(toUInt64(toUnixTimestamp64Milli({})))"
else:
    if reader != "duckdb":
        sys.path.insert(0, os.path.join(sys.prefix, reader))
    import duckdb
    assert reader == "duckdb" or duckdb.__version__.startswith(reader.split("-")[1])
    ask = lambda sql: duckdb.sql(sql).fetchall()[0]
    source, sums = f"'{path}'", "sum({}::HUGEINT) % 18446744073709551616"
    text, time = "coalesce(sum(strlen({})), 0)", "sum(epoch_ms({})) % 18446744073709551616"
schema = pq.read_schema(path)
def column(field):
    kind = field.type
    kind = time if pa.types.is_timestamp(kind) else sums if pa.types.is_integer(kind) else text
    return kind.format(f'"{field.name}"')
told = ask(f"SELECT count(*), {', '.join(map(column, schema))} FROM {source}")
for name, number in zip(["rows", *schema.names], told):
    print(name, int(number))
"#;

#[test]
fn databases_read_the_same_sums() {
    let dir = tempdir().unwrap();
    let records = records(0..20_000);
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(&records, NOW).unwrap();
    writer.flush().unwrap();
    let [file] = files(dir.path()).try_into().unwrap();
    for reader in ["duckdb", "duckdb-1.4", "chdb"] {
        let told = python(BY_SQL, &[Path::new(reader), &file]);
        assert_eq!(told, sums(&records, |_| NOW), "{reader}");
    }
}

/// Prints what becomes of a file when the lowest bit of one byte in so many of its columns' bytes
/// is another: where that is, and whether the checksum of a page tells, anything else does, or the
/// rows are not what they were.
const CHANGED: &str = r#"
import sys
import pyarrow as pa, pyarrow.parquet as pq
whole, step = open(sys.argv[1], "rb").read(), int(sys.argv[2])
read = lambda file: pq.read_table(pa.BufferReader(file), page_checksum_verification=True)
rows = read(whole)
group = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(0)
end = 4 + sum(group.column(i).total_compressed_size for i in range(group.num_columns))
for place in range(4, end, step):
    changed = bytearray(whole)
    changed[place] ^= 1
    try:
        told = "same" if read(bytes(changed)).equals(rows) else "silent"
    except Exception as error:
        told = "checksum" if "CRC" in str(error) else "other"
    print(place, told)
"#;

#[test]
fn a_changed_byte_is_found() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(&records(0..500), NOW).unwrap();
    writer.flush().unwrap();
    let [file] = files(dir.path()).try_into().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let told = python(CHANGED, &[&file, Path::new("997")]);
    let mut by_checksum = 0;
    for line in told.lines() {
        let (place, told) = line.split_once(' ').unwrap();
        let mut changed = whole.clone();
        changed[place.parse::<usize>().unwrap()] ^= 1;
        std::fs::write(&file, changed).unwrap();
        let mut fault = None;
        store::verify(dir.path(), |checked| fault = checked.fault).unwrap();
        if told == "checksum" {
            by_checksum += 1;
            let fault = fault.expect(line);
            assert!(fault.contains("CRC"), "{line}: {fault}");
        } else {
            assert!(told != "silent" || fault.is_some(), "{line}");
        }
    }
    assert!(by_checksum > 20, "{told}");
}
