//! Random questions, about values that rows have and about others.

use std::net::IpAddr;

use ipnet::IpNet;
use store::Row;
use store::query::{
    AddressRange, Aggregate, Column, Comparison, Condition, Function, Glob, GroupOrder, Grouping,
    Key, Kind, Limits, Listing, Needle, Pattern, Predicate, Query, Range, RowOrder, TextTest,
    Value, Wanted, value_of,
};

use crate::dice::Dice;
use crate::rows::{SINCE_MS, UNTIL_MS};

/// All rows, with every column.
pub(crate) fn everything() -> Query {
    Query {
        range: Range { since_ms: SINCE_MS, until_ms: UNTIL_MS },
        as_of_ms: None,
        filter: Predicate::TRUE,
        wanted: Wanted::Rows(Listing {
            columns: Column::all().collect(),
            order: RowOrder::AsStored,
            limit: 1_000_000,
            after: None,
        }),
        limits: Limits::default(),
    }
}

/// Those of mapped addresses are of IPv4, or of no address there is.
const NETS: [&str; 8] = [
    "10.0.0.0/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "::ffff:10.0.0.0/120",
    "::ffff:0:0/95",
    "::/0",
    "2001:db8::/32",
    "::/64",
];

pub(crate) fn question(dice: &mut Dice, rows: &[Row]) -> Query {
    let filter = if dice.once_in(4) { Predicate::TRUE } else { predicate(dice, rows, 0) };
    let wanted = if dice.once_in(3) {
        Wanted::Rows(listing(dice))
    } else {
        Wanted::Groups(grouping(dice, rows))
    };
    let since_ms = SINCE_MS + if dice.once_in(2) { 0 } else { dice.below(3_600_000) };
    let until_ms = if dice.once_in(2) { UNTIL_MS } else { since_ms + 1 + dice.below(3_600_000) };
    let as_of_ms = dice.once_in(4).then(|| SINCE_MS + dice.below(100) * 1000);
    Query {
        range: Range { since_ms, until_ms },
        as_of_ms,
        filter,
        wanted,
        limits: Limits::default(),
    }
}

fn column(dice: &mut Dice, fits: impl Fn(Kind) -> bool) -> Column {
    let columns: Vec<_> = Column::all().filter(|column| fits(column.kind())).collect();
    *dice.any(&columns)
}

fn listing(dice: &mut Dice) -> Listing {
    let columns = (0..=dice.below(5)).map(|_| column(dice, |_| true)).collect();
    let order = if dice.once_in(2) { RowOrder::NewestFirst } else { RowOrder::OldestFirst };
    Listing { columns, order, limit: 20 + dice.below(150), after: None }
}

fn grouping(dice: &mut Dice, rows: &[Row]) -> Grouping {
    let mut keys: Vec<_> =
        (0..dice.below(4)).map(|_| Key::Column(column(dice, |_| true))).collect();
    if dice.once_in(2) {
        let step_ms = *dice.any(&[60_000, 300_000, 3_600_000, 7_777]);
        let at = usize::try_from(dice.below(keys.len() as u64 + 1)).expect("an index");
        keys.insert(at, Key::Time { step_ms });
    }
    let aggregates: Vec<_> = (0..=dice.below(4)).map(|_| aggregate(dice, rows)).collect();
    let order = if dice.once_in(4) {
        GroupOrder::Keys
    } else {
        let index = usize::try_from(dice.below(aggregates.len() as u64)).expect("an index");
        GroupOrder::Aggregate { index, descending: dice.once_in(2) }
    };
    let limit = usize::try_from(1 + dice.below(8)).expect("small");
    Grouping { keys, aggregates, order, limit, others: dice.once_in(2) }
}

fn aggregate(dice: &mut Dice, rows: &[Row]) -> Aggregate {
    let function = match dice.below(6) {
        0 => Function::Count,
        1 => Function::Sum(column(dice, |kind| kind == Kind::Number)),
        2 => Function::Rate(column(dice, |kind| kind == Kind::Number)),
        3 => Function::Min(column(dice, Kind::is_numeric)),
        4 => Function::Max(column(dice, Kind::is_numeric)),
        _ => Function::Distinct(column(dice, |_| true)),
    };
    let only = dice.once_in(4).then(|| predicate(dice, rows, 2));
    Aggregate { function, only }
}

fn predicate(dice: &mut Dice, rows: &[Row], depth: u64) -> Predicate {
    let parts = |dice: &mut Dice| {
        (0..dice.below(4)).map(|_| predicate(dice, rows, depth + 1)).collect::<Vec<_>>()
    };
    match dice.below(7 + depth * 3) {
        0 | 1 => Predicate::And(parts(dice)),
        2 | 3 => Predicate::Or(parts(dice)),
        4 => !predicate(dice, rows, depth + 1),
        _ => condition(dice, rows).into(),
    }
}

fn condition(dice: &mut Dice, rows: &[Row]) -> Condition {
    let column = column(dice, |_| true);
    condition_on(dice, rows, column)
}

pub(crate) fn condition_on(dice: &mut Dice, rows: &[Row], column: Column) -> Condition {
    if dice.once_in(8) {
        return Condition::Has(column);
    }
    let value = value_of(column, dice.any(rows));
    match column.kind() {
        Kind::Number | Kind::Port | Kind::Time => number(dice, column, &value),
        Kind::Address => address(dice, column, &value),
        Kind::Text => {
            if dice.once_in(6) {
                let right = self::column(dice, |kind| kind == Kind::Text);
                return Condition::Columns { left: column, comparison: Comparison::Equal, right };
            }
            Condition::Text { column, test: test(dice, &value) }
        }
        Kind::Labels => {
            let keys = ["app", "tier", "app.kubernetes.io/name", "n", "", "other"];
            let key = dice.one_of(&keys).to_owned();
            if dice.once_in(3) {
                return Condition::HasLabel { column, key };
            }
            let value = Value::from(dice.one_of(&["web", "cart", "Cart", "", "Bär\n'\"\\"]));
            Condition::Label { column, key, test: test(dice, &value) }
        }
    }
}

fn comparison(dice: &mut Dice) -> Comparison {
    *dice.any(&[
        Comparison::Equal,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn number(dice: &mut Dice, column: Column, value: &Value) -> Condition {
    let Value::Number(value) = *value else { return Condition::Has(column) };
    match dice.below(4) {
        0 => Condition::NumberIn { column, values: vec![value, dice.below(4), u64::MAX] },
        1 => {
            let right = self::column(dice, Kind::is_numeric);
            Condition::Columns { left: column, comparison: comparison(dice), right }
        }
        _ => Condition::Number { column, comparison: comparison(dice), value },
    }
}

fn address(dice: &mut Dice, column: Column, value: &Value) -> Condition {
    if dice.once_in(5) {
        let right = self::column(dice, |kind| kind == Kind::Address);
        return Condition::Columns { left: column, comparison: Comparison::Equal, right };
    }
    let net: IpNet = dice.one_of(&NETS).parse().expect("a prefix");
    let mut ranges = vec![AddressRange::from(net)];
    if let Value::Address(address) = *value {
        ranges.extend(AddressRange::new(address, address));
    }
    if dice.once_in(3) {
        let [first, last] = ["10.0.0.2", "192.0.2.255"].map(|it| it.parse::<IpAddr>().expect("it"));
        ranges.extend(AddressRange::new(first, last));
    }
    let from = usize::try_from(dice.below(ranges.len() as u64)).expect("an index");
    Condition::AddressIn { column, ranges: ranges.split_off(from) }
}

fn test(dice: &mut Dice, value: &Value) -> TextTest {
    let text = match value {
        Value::Text(text) => text.as_str().to_owned(),
        _ => String::new(),
    };
    let part: String = text.chars().skip(1).take(2).collect();
    match dice.below(5) {
        0 => TextTest::Equals(text),
        1 => TextTest::OneOf(vec![text, "a'b".to_owned(), "\\N".to_owned(), "\0".to_owned()]),
        2 => {
            let glob = dice.one_of(&["*", "?*", "sh?p*", "*b%_*", "*\n*", "B?r"]);
            TextTest::Glob(Glob::new(if dice.once_in(2) { glob } else { &text }))
        }
        3 => TextTest::Contains(Needle::new(&if dice.once_in(2) {
            part.to_uppercase()
        } else {
            part
        })),
        _ => {
            let patterns =
                ["^sh", "p-[0-9]+$", "a.b", "x.y", r"\d", "(?i)SHOP", "é", r"\bweb\b", ""];
            TextTest::Matches(Pattern::new(dice.one_of(&patterns)).expect("a pattern"))
        }
    }
}

/// Texts in the filter that no statement has of itself.
pub(crate) fn texts(query: &Query) -> Vec<String> {
    let mut texts = Vec::new();
    for condition in query.filter.conditions() {
        let (Condition::Text { test, .. } | Condition::Label { test, .. }) = condition else {
            continue;
        };
        match test {
            TextTest::Equals(text) => texts.push(text.clone()),
            TextTest::OneOf(all) => texts.extend(all.iter().cloned()),
            TextTest::Glob(glob) => texts.push(glob.as_str().to_owned()),
            TextTest::Contains(needle) => texts.push(needle.as_str().to_owned()),
            TextTest::Matches(pattern) => texts.push(pattern.as_str().to_owned()),
        }
    }
    let is_telling = |text: &String| {
        let own = ["shop", "SHOP", "café", "web", "Bär", "Cart", "cart", "a'b", "%_", "p-["];
        own.iter().any(|part| text.contains(part))
    };
    texts.retain(is_telling);
    texts
}
