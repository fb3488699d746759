//! `fyke store`, and who judges what it has done: programs that share no code with ours.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use store::{Row, Writer};
use tests::binary::built;
use tests::clickhouse::{Engine, PASSWORD, USER};

/// Says how many rows a place has, and a hash of all their values: of Parquet files in a directory,
/// of a Parquet, CSV or JSON lines file. An address that says nothing is none, and an IPv4 address
/// is one however it is written.
const JUDGE: &str = r#"
import csv, hashlib, ipaddress, json, pathlib, sys
import pyarrow as pa, pyarrow.dataset as ds
sys.set_int_max_str_digits(0)
csv.field_size_limit(1 << 30)
place = pathlib.Path(sys.argv[1])
def rows():
    if place.suffix == ".csv":
        yield from csv.DictReader(place.open(newline="", encoding="utf-8"))
    elif place.suffix == ".jsonl":
        yield from map(json.loads, place.read_text(encoding="utf-8").split("\n")[:-1])
    else:
        table = ds.dataset(place if place.is_file() else place / "flows", format="parquet").to_table()
        for index, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                table = table.set_column(index, field.name, table.column(index).cast(pa.int64()))
        yield from table.to_pylist()
def shown(name, value):
    if value in (None, ""):
        return ""
    if name.endswith("IP") and name != "egressIP":
        ip = ipaddress.ip_address(value)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return "" if ip.is_unspecified else str(ip)
    return str(value)
lines = sorted(json.dumps({name: shown(name, row[name]) for name in sorted(row)}) for row in rows())
print(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
"#;

pub(crate) fn fyke(arguments: &[&str]) -> Command {
    let mut command = Command::new(built("fyke"));
    command.arg("store").args(arguments);
    command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
    command
}

/// What the command says, if it ends as it should.
#[track_caller]
pub(crate) fn says(arguments: &[&str], is_good: bool) -> String {
    let Output { status, stdout, stderr } = fyke(arguments).output().expect("it runs");
    let [out, errors] = [stdout, stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert_eq!(status.success(), is_good, "{arguments:?}: {out} {errors}");
    assert!(!errors.contains(PASSWORD) && !out.contains(PASSWORD), "{errors}");
    if is_good { out } else { out + &errors }
}

pub(crate) fn started(arguments: &[&str]) -> Child {
    let command = &mut fyke(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
}

pub(crate) fn python(script: &str, arguments: &[&Path]) -> String {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-venv/bin/python");
    let output = Command::new(python).args(["-c", script]).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("Python runs: `cargo xtask setup`");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

/// How many rows, and which, are in a store or a file.
pub(crate) fn judged(place: &Path) -> String {
    python(JUDGE, &[place])
}

/// The same of an engine's table, which says itself what it has.
pub(crate) fn judged_by(engine: &Engine, folder: &Path) -> String {
    let mut columns = vec!["toUnixTimestamp(timeInserted) * 1000 AS timeInserted".to_owned()];
    for field in flow::Field::columns() {
        let name = field.name;
        columns.push(match field.access {
            flow::Access::Milliseconds { .. } => {
                format!("toUnixTimestamp64Milli({name}) AS {name}")
            }
            _ => name.to_owned(),
        });
    }
    let file = folder.join("told.jsonl");
    let told = engine.ask(&format!("SELECT {} FROM flows FORMAT JSONEachRow", columns.join(", ")));
    std::fs::write(&file, told).expect("a file");
    judged(&file)
}

/// A database that keeps rows for ever: those of tests are old.
pub(crate) fn migrated() -> Engine {
    let engine = Engine::start();
    let mut command = Command::new(built("fyke"));
    command.args(["clickhouse", "migrate", "--ttl", "forever", "--url", &engine.url()]);
    command.env("CH_USERNAME", USER).env("CH_PASSWORD", PASSWORD);
    let Output { status, stderr, .. } = command.output().expect("it runs");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    engine
}

/// Puts rows into the store in `dir`; so many are flushed together, a file for each hour.
pub(crate) fn stored(dir: &Path, rows: &[Row], file: usize) {
    let mut writer = Writer::open(dir).expect("a store");
    for rows in rows.chunks(file) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.inserted_ms);
        for row in &rows {
            let records = std::slice::from_ref(&row.record);
            writer.append(records, row.inserted_ms).expect("there is room");
        }
        writer.flush().expect("files");
    }
}
