//! What a database has against what it should have.

use std::fmt;

use super::found::{Found, FoundTable};
use super::migrations::Asked;
use super::schema::Table;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A table or view.
    pub object: String,
    /// Which part of it: a column, or a word such as `TTL`.
    pub part: Option<String>,
    /// Nothing for what need not be there.
    pub expected: Option<String>,
    /// Nothing for what is missing.
    pub found: Option<String>,
}

impl Difference {
    fn missing(object: &str, expected: &str) -> Self {
        let expected = Some(expected.to_owned());
        Self { object: object.to_owned(), part: None, expected, found: None }
    }

    fn of(object: &str, part: &str, expected: &str, found: Option<&str>) -> Self {
        Self {
            object: object.to_owned(),
            part: Some(part.to_owned()),
            expected: Some(expected.to_owned()),
            found: found.map(str::to_owned),
        }
    }

    /// Whether it may stay: a column that somebody added for himself.
    pub fn is_harmless(&self) -> bool {
        self.expected.is_none()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, part, expected, found } = self;
        f.write_str(object)?;
        if let Some(part) = part {
            write!(f, ".{part}")?;
        }
        match (expected, found) {
            (Some(expected), None) => write!(f, ": missing; should be {expected}"),
            (Some(expected), Some(found)) => write!(f, ": is {found}; should be {expected}"),
            (None, found) => {
                let found = found.as_deref().unwrap_or_default();
                write!(f, ": is {found}; not one of ours, stays")
            }
        }
    }
}

/// Everything that is not as it is asked for. When rows expire matters where that is said.
pub fn differences(asked: &Asked, found: &Found) -> Vec<Difference> {
    let (schema, mut all) = (asked.schema(), Vec::new());
    let expiring: Vec<_> = asked.expiring(&schema).into_iter().map(|table| table.name).collect();
    for table in [schema.flows()].iter().chain(&schema.roll_ups()) {
        match found.get(&table.name) {
            None => all.push(Difference::missing(&table.name, "a table")),
            Some(there) if !there.is_ours() => {
                let expected = "a table of ours, which migrate makes of it";
                let told = format!("{} with {} columns", there.engine, there.columns.len());
                all.push(Difference::of(&table.name, "engine", expected, Some(&told)));
            }
            Some(there) => {
                of_columns(table, there, &mut all);
                of_keys(table, there, expiring.contains(&table.name), &mut all);
            }
        }
    }
    for feed in schema.feeds() {
        let names = feed.columns.iter().map(String::as_str);
        of_view(&feed.name, "MaterializedView", names, found, &mut all);
    }
    for (name, _) in schema.fronts() {
        of_view(&name, "Distributed", [].into_iter(), found, &mut all);
    }
    for view in schema.views() {
        let names = view.columns.iter().map(String::as_str);
        of_view(view.name, "View", names, found, &mut all);
    }
    all
}

fn of_columns(table: &Table, there: &FoundTable, all: &mut Vec<Difference>) {
    for column in &table.columns {
        let found = there.column(column.name);
        let mut note = |part: &str, expected: &str, found: Option<&str>| {
            if found != Some(expected) {
                let part = format!("{}{part}", column.name);
                all.push(Difference::of(&table.name, &part, expected, found));
            }
        };
        note("", column.kind, found.map(|it| it.kind.as_str()));
        if let Some(found) = found {
            note(".default", &column.default, Some(&found.default));
            note(".codec", column.codec, Some(&found.codec));
        }
    }
    for column in &there.columns {
        if !table.columns.iter().any(|it| it.name == column.name) {
            all.push(Difference {
                object: table.name.clone(),
                part: Some(column.name.clone()),
                expected: None,
                found: Some(column.kind.clone()),
            });
        }
    }
}

fn of_keys(table: &Table, there: &FoundTable, expiry: bool, all: &mut Vec<Difference>) {
    let mut note = |part: &str, expected: &str, found: &str| {
        if expected != found {
            all.push(Difference::of(&table.name, part, expected, Some(found)));
        }
    };
    note("partition key", &Table::partition_key(), &there.partition_key);
    // Columns that came later are at the end of it, in the order in which they came.
    let sorted = |keys: &mut dyn Iterator<Item = &str>| {
        let mut keys: Vec<_> = keys.map(str::trim).map(str::to_owned).collect();
        keys.sort_unstable();
        keys.join(", ")
    };
    let expected = table.sorting_key.join(", ");
    if sorted(&mut expected.split(',')) != sorted(&mut there.sorting_key.split(',')) {
        note("sorting key", &expected, &there.sorting_key);
    }
    if expiry && table.ttl().as_deref() != there.expiry() {
        let told = |ttl: Option<&str>| ttl.unwrap_or("nothing").to_owned();
        note("TTL", &told(table.ttl().as_deref()), &told(there.expiry()));
    }
    if there.is_closed() {
        note("inserts", "taken", "refused until migrate is run to its end");
    }
}

fn of_view<'a>(
    name: &str,
    engine: &str,
    columns: impl Iterator<Item = &'a str>,
    found: &Found,
    all: &mut Vec<Difference>,
) {
    match found.get(name) {
        None => all.push(Difference::missing(name, engine)),
        Some(there) if there.engine != engine => {
            all.push(Difference::of(name, "engine", engine, Some(&there.engine)));
        }
        Some(there) => {
            for column in columns {
                if there.column(column).is_none() {
                    all.push(Difference::of(name, column, "there", None));
                }
            }
        }
    }
}

impl FoundTable {
    /// When rows expire, as it is written in the definition.
    fn expiry(&self) -> Option<&str> {
        let (_, rest) = self.engine_full.split_once(" TTL ")?;
        Some(rest.split_once(" SETTINGS ").map_or(rest, |(ttl, _)| ttl))
    }
}
