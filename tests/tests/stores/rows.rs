//! Random flows, and how the engine gets them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::{Access, Field, FlowRecord, Name};
use serde_json::{Value as Json, json};
use store::{Row, TIME_INSERTED};

use crate::dice::Dice;

/// When the flows of all rows end: within two hours from here, in milliseconds since 1970.
pub(crate) const SINCE_MS: u64 = 1_700_000_000_000;
pub(crate) const UNTIL_MS: u64 = SINCE_MS + 7_200_000;

const TEXTS: [&str; 12] =
    ["", "", "shop", "shop-0", "SHOP", "web%_\\", "a'b", "Bär", "ΑΣ", "x\ny", "web-7d9", "café-1"];
const LABELS: [&str; 7] = [
    "",
    "{}",
    r#"{"app":"web","tier":""}"#,
    r#"{"app":"cart","app.kubernetes.io/name":"Cart"}"#,
    r#"{"app":"Bär\n'\"\\"}"#,
    r#"{"n":7,"app":null}"#,
    "no JSON",
];
/// Some are the same address twice, as IPv4 and mapped to IPv6, and some are none.
const ADDRESSES: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.1.0.1",
    "192.0.2.7",
    "::ffff:10.0.0.1",
    "::ffff:0.0.0.0",
    "2001:db8::1",
    "::1",
    "0.0.0.0",
];

pub(crate) fn random(dice: &mut Dice, count: u64) -> Vec<Row> {
    (0..count).map(|_| row(dice)).collect()
}

fn row(dice: &mut Dice) -> Row {
    let mut record = FlowRecord::default();
    for field in Field::columns() {
        // Few are told, so that rows have something in common.
        if dice.once_in(2) {
            fill(field, &mut record, dice);
        }
    }
    // Often alike, so that order goes by what else is shown.
    let span_ms = if dice.once_in(4) { 3 } else { 7_200_000 };
    record.end_ms = SINCE_MS + dice.below(span_ms);
    record.flow_id = dice.below(4);
    Row { inserted_ms: (SINCE_MS / 1000 + dice.below(100)) * 1000, record }
}

fn fill(field: &Field, record: &mut FlowRecord, dice: &mut Dice) {
    match field.access {
        Access::U8 { set, .. } => set(record, u8::try_from(dice.below(4)).expect("small")),
        Access::U16 { set, .. } => {
            set(record, u16::try_from(dice.below(3) * 443).expect("small"));
        }
        Access::U32 { set, .. } => set(record, u32::try_from(dice.below(5)).expect("small")),
        Access::U64 { set, .. } => {
            let number = dice.number();
            set(record, if dice.once_in(10) { number } else { number % 2_000 });
        }
        Access::Seconds { .. } => {}
        Access::Milliseconds { set, .. } => set(record, SINCE_MS + dice.below(7_200_000)),
        Access::Ip { set, .. } => {
            let address: IpAddr = dice.one_of(&ADDRESSES).parse().expect("an address");
            set(record, Some(address));
        }
        Access::Name { set, .. } => set(record, Name::from(dice.one_of(&TEXTS))),
        Access::Labels { set, .. } => set(record, Name::from(dice.one_of(&LABELS))),
        Access::Uuid { set, .. } => {
            let text = format!("00000000-0000-4000-8000-00000000000{}", dice.below(3));
            set(record, text.parse().ok());
        }
    }
}

/// What one record says of an attribute, the other says too.
pub(crate) fn copy(field: &Field, from: &FlowRecord, to: &mut FlowRecord) {
    match field.access {
        Access::U8 { get, set } => set(to, get(from)),
        Access::U16 { get, set } => set(to, get(from)),
        Access::U32 { get, set } | Access::Seconds { get, set } => set(to, get(from)),
        Access::U64 { get, set } | Access::Milliseconds { get, set } => set(to, get(from)),
        Access::Ip { get, set } => set(to, get(from)),
        Access::Name { get, set } | Access::Labels { get, set } => set(to, get(from).clone()),
        Access::Uuid { get, set } => set(to, get(from)),
    }
}

/// Seconds are all that is kept of times.
pub(crate) fn cut_times(record: &mut FlowRecord) {
    for field in Field::columns() {
        if let Access::Milliseconds { get, set } = field.access {
            set(record, get(record) / 1000 * 1000);
        }
    }
}

/// The name of the same time in seconds.
pub(crate) fn twin(name: &str) -> String {
    name.replace("Milliseconds", "Seconds")
}

/// Every column there is, with the simplest type that fits.
pub(crate) fn our_columns() -> BTreeMap<String, &'static str> {
    let mut columns = BTreeMap::from([(TIME_INSERTED.to_owned(), "DateTime")]);
    for field in Field::columns() {
        let kind = match field.access {
            Access::U8 { .. } => "UInt8",
            Access::U16 { .. } => "UInt16",
            Access::U32 { .. } => "UInt32",
            Access::U64 { .. } => "UInt64",
            Access::Seconds { .. } => "DateTime",
            Access::Milliseconds { .. } => "DateTime64(3)",
            Access::Ip { .. } | Access::Labels { .. } => "String",
            Access::Name { .. } | Access::Uuid { .. } => "LowCardinality(String)",
        };
        columns.insert(field.name.to_owned(), kind);
        if let Access::Milliseconds { .. } = field.access {
            columns.insert(twin(field.name), "DateTime");
        }
    }
    columns
}

pub(crate) fn our_table() -> String {
    let columns: Vec<_> =
        our_columns().iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    format!(
        "CREATE TABLE flows ({}) ENGINE = MergeTree ORDER BY flowEndSeconds",
        columns.join(", ")
    )
}

pub(crate) fn columns_of(table: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    table.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
}

/// A statement that puts rows into those columns.
pub(crate) fn insert(rows: &[Row], columns: &BTreeMap<String, &'static str>) -> String {
    let mut statement = "INSERT INTO flows FORMAT JSONEachRow\n".to_owned();
    for row in rows {
        let mut object = serde_json::Map::new();
        object.insert(TIME_INSERTED.to_owned(), json!(row.inserted_ms / 1000));
        for field in Field::columns() {
            let value = json(field, &row.record);
            if columns.contains_key(field.name) {
                object.insert(field.name.to_owned(), value);
            }
            if let Access::Milliseconds { get, .. } = field.access {
                object.insert(twin(field.name), json!(get(&row.record) / 1000));
            }
        }
        statement.push_str(&Json::Object(object).to_string());
        statement.push('\n');
    }
    statement
}

fn json(field: &Field, record: &FlowRecord) -> Json {
    match field.access {
        Access::U8 { get, .. } => json!(get(record)),
        Access::U16 { get, .. } => json!(get(record)),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => json!(get(record)),
        Access::U64 { get, .. } => json!(get(record)),
        Access::Milliseconds { get, .. } => {
            let time = get(record);
            json!(format!("{:010}.{:03}", time / 1000, time % 1000))
        }
        Access::Ip { get, .. } => {
            json!(get(record).map_or_else(String::new, |address| address.to_string()))
        }
        Access::Name { get, .. } | Access::Labels { get, .. } => json!(get(record).as_str()),
        Access::Uuid { get, .. } => {
            json!(get(record).map_or_else(String::new, |uid| uid.to_string()))
        }
    }
}
