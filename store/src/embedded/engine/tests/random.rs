//! Numbers, rows and queries, each following from a seed.

use std::net::IpAddr;

use flow::{Access, Field, FlowRecord, Uid};

use crate::Row;
use crate::query::{
    AddressRange, Aggregate, Column, Comparison, Condition, Function, Glob, GroupOrder, Grouping,
    Key, Kind, Limits, Listing, Needle, Pattern, Predicate, Query, Range, RowOrder, TextTest,
    Wanted,
};

/// Rows are inserted, and flows end, around this time.
pub(super) const NOON: u64 = 1_795_262_400_000;

/// `SplitMix64` (Steele, Lea, Flood 2014).
pub(super) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..=self.below(most)).map(|_| make(self)).collect()
    }
}

const NAMES: [&str; 7] = ["", "web-0", "web-1", "WEB-0", "db", "größe", "a.b_c"];
const LABELS: [&str; 6] = [
    "",
    "{}",
    r#"{"app":"web","tier":""}"#,
    r#"{"app":"db"}"#,
    r#"{"app":"web-0","k8s.io/x":"db"}"#,
    r#"{"tier":"größe"}"#,
];
const ADDRESSES: [&str; 7] =
    ["0.0.0.0", "10.0.0.1", "10.0.0.2", "10.1.0.1", "::ffff:10.0.0.1", "2001:db8::1", "::"];
const SMALL: [u64; 6] = [0, 1, 2, 3, 6, 80];
const LARGE: [u64; 6] = [0, 1, 2, 1000, 1 << 40, u64::MAX];

fn time(random: &mut Random) -> u64 {
    if random.one_in(10) { 0 } else { NOON + random.below(4 * 3600) as u64 * 1000 }
}

/// A record with some value in each attribute.
pub(super) fn row(random: &mut Random) -> Row {
    let mut record = FlowRecord::default();
    for field in Field::columns() {
        let name = random.of(&NAMES);
        let address: IpAddr = random.of(&ADDRESSES).parse().unwrap();
        match field.access {
            Access::U8 { set, .. } => set(&mut record, u8::try_from(random.below(7)).unwrap()),
            Access::U16 { set, .. } => set(&mut record, u16::try_from(random.of(&SMALL)).unwrap()),
            Access::U32 { set, .. } | Access::Seconds { set, .. } => {
                set(&mut record, u32::try_from(random.of(&SMALL)).unwrap());
            }
            Access::U64 { set, .. } => set(&mut record, random.of(&LARGE)),
            Access::Milliseconds { set, .. } => set(&mut record, time(random)),
            Access::Ip { set, .. } => set(&mut record, (!random.one_in(5)).then_some(address)),
            Access::Name { set, .. } => set(&mut record, name.into()),
            Access::Labels { set, .. } => set(&mut record, random.of(&LABELS).into()),
            Access::Uuid { set, .. } => {
                let uid = Uid([u8::try_from(random.below(3)).unwrap(); 16]);
                set(&mut record, (!random.one_in(3)).then_some(uid));
            }
        }
    }
    record.flow_id = random.below(5) as u64;
    Row { inserted_ms: NOON + random.below(3 * 3600) as u64 * 1000, record }
}

fn column(random: &mut Random, fits: impl Fn(Column) -> bool) -> Column {
    let columns: Vec<_> = Column::all().filter(|column| fits(*column)).collect();
    random.of(&columns)
}

fn any_text(random: &mut Random) -> TextTest {
    match random.below(5) {
        0 => TextTest::Equals(random.of(&NAMES).to_owned()),
        1 => TextTest::OneOf(random.some(3, |random| random.of(&NAMES).to_owned())),
        2 => TextTest::Glob(Glob::new(random.of(&["web-*", "*", "?b", "*-0", "*ö*", "db"]))),
        3 => TextTest::Contains(Needle::new(random.of(&["web", "EB", "GRÖ", "", "."]))),
        _ => {
            let pattern = random.of(&["^web", r"-\d$", "(?i)WEB", "d|b", r"\w+\.\w"]);
            TextTest::Matches(Pattern::new(pattern).unwrap())
        }
    }
}

fn number(random: &mut Random, column: Column) -> u64 {
    if column.kind() == Kind::Time {
        return time(random);
    }
    let numbers = if random.one_in(2) { SMALL } else { LARGE };
    random.of(&numbers)
}

fn comparison(random: &mut Random) -> Comparison {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    random.of(&[Equal, Less, LessOrEqual, Greater, GreaterOrEqual])
}

fn range(random: &mut Random) -> AddressRange {
    if random.one_in(3) {
        let net = random.of(&["10.0.0.0/8", "10.0.0.0/31", "::/0", "0.0.0.0/0", "2001:db8::/32"]);
        return net.parse::<ipnet::IpNet>().unwrap().into();
    }
    let address = random.of(&ADDRESSES).parse().unwrap();
    AddressRange::new(address, address).unwrap()
}

fn condition(random: &mut Random) -> Condition {
    let numeric = |column: Column| column.kind().is_numeric();
    let is = |kind| move |column: Column| column.kind() == kind;
    match random.below(10) {
        0 => Condition::Has(column(random, |_| true)),
        1 | 2 => {
            let column = column(random, numeric);
            let value = number(random, column);
            Condition::Number { column, comparison: comparison(random), value }
        }
        3 => {
            let column = column(random, numeric);
            Condition::NumberIn { column, values: random.some(4, |random| number(random, column)) }
        }
        4 => Condition::AddressIn {
            column: column(random, is(Kind::Address)),
            ranges: random.some(3, range),
        },
        5 | 6 => Condition::Text { column: column(random, is(Kind::Text)), test: any_text(random) },
        7 => {
            let key = random.of(&["app", "tier", "k8s.io/x", "none"]).to_owned();
            Condition::HasLabel { column: column(random, is(Kind::Labels)), key }
        }
        8 => {
            let key = random.of(&["app", "tier", "k8s.io/x", "none"]).to_owned();
            let column = column(random, is(Kind::Labels));
            Condition::Label { column, key, test: any_text(random) }
        }
        _ => {
            let left = column(random, |column| column.kind() != Kind::Labels);
            let right = column(random, |column| column.kind().compares_with(left.kind()));
            let is_ordered = left.kind().is_numeric();
            let comparison = if is_ordered { comparison(random) } else { Comparison::Equal };
            Condition::Columns { left, comparison, right }
        }
    }
}

fn predicate(random: &mut Random, depth: usize) -> Predicate {
    match random.below(if depth == 0 { 1 } else { 4 }) {
        1 => Predicate::And(random.some(2, |random| predicate(random, depth - 1))),
        2 => Predicate::Or(random.some(2, |random| predicate(random, depth - 1))),
        3 => !predicate(random, depth - 1),
        _ => condition(random).into(),
    }
}

fn filter(random: &mut Random) -> Predicate {
    if random.one_in(3) { Predicate::TRUE } else { predicate(random, 3) }
}

fn function(random: &mut Random) -> Function {
    let is_number = |column: Column| column.kind() == Kind::Number;
    let numeric = |column: Column| column.kind().is_numeric();
    match random.below(6) {
        0 => Function::Count,
        1 => Function::Sum(column(random, is_number)),
        2 => Function::Rate(column(random, is_number)),
        3 => Function::Min(column(random, numeric)),
        4 => Function::Max(column(random, numeric)),
        _ => Function::Distinct(column(random, |_| true)),
    }
}

fn grouping(random: &mut Random) -> Grouping {
    let mut keys = Vec::new();
    for _ in 0..random.of(&[0, 1, 1, 2, 2, 3, 8]) {
        keys.push(Key::Column(column(random, |_| true)));
    }
    if random.one_in(2) && keys.len() < Grouping::MAX_KEYS {
        let step_ms = random.of(&[1000, 60_000, 7 * 60_000, 3_600_000, 86_400_000]);
        keys.insert(random.below(keys.len() + 1), Key::Time { step_ms });
    }
    let aggregates = random.some(3, |random| {
        let only = random.one_in(3).then(|| predicate(random, 1));
        Aggregate { function: function(random), only }
    });
    let index = random.below(aggregates.len());
    let order = GroupOrder::Aggregate { index, descending: !random.one_in(3) };
    let order = random.of(&[GroupOrder::Keys, order]);
    let limit = random.of(&[1, 2, 5, 1000]);
    Grouping { keys, aggregates, order, limit, others: random.one_in(2) }
}

fn listing(random: &mut Random) -> Listing {
    let order = random.of(&[RowOrder::NewestFirst, RowOrder::OldestFirst, RowOrder::AsStored]);
    let columns = random.some(4, |random| column(random, |_| true));
    let limit = if order == RowOrder::AsStored { u64::MAX } else { random.of(&[1, 7, 50, 500]) };
    Listing { columns, order, limit, after: None }
}

pub(super) fn query(random: &mut Random) -> Query {
    let since_ms = if random.one_in(3) { 0 } else { NOON + random.below(9000) as u64 * 1000 };
    let until_ms = NOON.max(since_ms) + 1 + random.below(9000) as u64 * 1000;
    let mut wanted = if random.one_in(3) {
        Wanted::Rows(listing(random))
    } else {
        Wanted::Groups(grouping(random))
    };
    // From 1970 on there are too many seconds.
    if let (0, Wanted::Groups(grouping)) = (since_ms, &mut wanted) {
        grouping.keys.retain(|key| matches!(key, Key::Column(_)));
    }
    Query {
        range: Range { since_ms, until_ms },
        as_of_ms: random.one_in(4).then(|| NOON + random.below(3 * 3600) as u64 * 1000),
        filter: filter(random),
        wanted,
        limits: Limits::default(),
    }
}
