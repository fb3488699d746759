//! Columns whose rows say the same again and again.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use flow::{Access, FlowRecord, Group, Name, Told, Uid};

use super::codes::{Codes, Dictionary, wide};
use super::head;
use super::text;
use crate::clickhouse::columns::{Column, Form};

/// What a part takes that is kept, beside its names: about what an end of a flow does.
const PART: usize = 256;

/// Something of a record that others may have as well, and the columns that tell of it.
#[derive(Debug)]
pub(super) struct Shared {
    of: Of,
    columns: Vec<Coded>,
}

/// By what it is known. What is known by its place is kept, so that nothing else comes there.
#[derive(Debug)]
enum Of {
    Part {
        group: Group,
        places: Codes<usize>,
        kept: Vec<Told>,
    },
    Name {
        get: fn(&FlowRecord) -> &Name,
        places: Codes<usize>,
        kept: Vec<Name>,
    },
    Ip {
        get: fn(&FlowRecord) -> Option<IpAddr>,
        ips: Codes<u128>,
    },
    Uid {
        get: fn(&FlowRecord) -> Option<Uid>,
        uids: Codes<Option<Uid>>,
    },
    /// The same in each row.
    Same,
}

#[derive(Debug)]
struct Coded {
    column: Column,
    /// Nothing if it is the same in each row.
    access: Option<Access>,
    /// What each code means: a number, or the key of a text.
    meanings: Vec<u32>,
    texts: Dictionary,
}

impl Shared {
    pub(super) fn part(group: Group) -> Self {
        let of = Of::Part { group, places: Codes::default(), kept: Vec::new() };
        Self { of, columns: Vec::new() }
    }

    pub(super) fn name(column: Column, access: Access) -> Self {
        let of = match access {
            Access::Name { get, .. } | Access::Labels { get, .. } => {
                Of::Name { get, places: Codes::default(), kept: Vec::new() }
            }
            Access::Ip { get, .. } => Of::Ip { get, ips: Codes::default() },
            Access::Uuid { get, .. } => Of::Uid { get, uids: Codes::default() },
            // Numbers are no names.
            _ => Of::Same,
        };
        Self { of, columns: vec![Coded::new(column, Some(access))] }
    }

    pub(super) fn same(column: Column, text: &str) -> Self {
        let mut coded = Coded::new(column, None);
        let key = coded.texts.key(text);
        coded.meanings.push(key);
        Self { of: Of::Same, columns: vec![coded] }
    }

    pub(super) fn is_part(&self, of: Group) -> bool {
        matches!(self.of, Of::Part { group, .. } if group == of)
    }

    pub(super) fn add(&mut self, column: Column, access: Access) {
        self.columns.push(Coded::new(column, Some(access)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|coded| &coded.column)
    }

    pub(super) fn keep(&mut self, is_kept: impl Fn(&Column) -> bool) {
        self.columns.retain(|coded| is_kept(&coded.column));
    }

    pub(super) fn push(&mut self, records: &[FlowRecord]) {
        let Self { of, columns } = self;
        let mut learn = |record| columns.iter_mut().for_each(|coded| coded.learn(record));
        match of {
            Of::Part { group, places, kept } => {
                for record in records {
                    if places.push(group.place(record)) {
                        kept.push(Told::of(record, *group));
                        learn(record);
                    }
                }
            }
            Of::Name { get, places, kept } => {
                for record in records {
                    let name = get(record);
                    if places.push(name.as_str().as_ptr().addr()) {
                        kept.push(name.clone());
                        learn(record);
                    }
                }
            }
            Of::Ip { get, ips } => {
                records.iter().filter(|record| ips.push(number(get(record)))).for_each(learn);
            }
            Of::Uid { get, uids } => {
                records.iter().filter(|record| uids.push(get(record))).for_each(learn);
            }
            Of::Same => {}
        }
    }

    /// Nothing if they are the same in each row.
    fn rows(&self) -> &[u32] {
        match &self.of {
            Of::Part { places, .. } | Of::Name { places, .. } => &places.rows,
            Of::Ip { ips, .. } => &ips.rows,
            Of::Uid { uids, .. } => &uids.rows,
            Of::Same => &[],
        }
    }

    /// What its columns and what is kept for them take, at most.
    pub(super) fn bytes(&self, rows: usize) -> usize {
        let kept = match &self.of {
            Of::Part { kept, .. } => kept.len() * PART,
            _ => 0,
        };
        let texts: usize = self.columns.iter().map(|coded| coded.texts.bytes()).sum();
        kept + texts + self.columns.len() * rows * size_of::<u32>()
    }

    /// The memory of another one, if it is of the same columns.
    pub(super) fn reuse(&mut self, theirs: Self) {
        let is_alike = self.columns().map(|it| it.name).eq(theirs.columns().map(|it| it.name));
        if !is_alike || matches!(self.of, Of::Same) {
            return;
        }
        *self = theirs;
        match &mut self.of {
            Of::Part { places, kept, .. } => {
                places.clear();
                kept.clear();
            }
            Of::Name { places, kept, .. } => {
                places.clear();
                kept.clear();
            }
            Of::Ip { ips, .. } => ips.clear(),
            Of::Uid { uids, .. } => uids.clear(),
            Of::Same => {}
        }
        for coded in &mut self.columns {
            coded.meanings.clear();
            coded.texts.clear();
        }
    }

    /// Some rows of its columns, one after the other.
    pub(super) fn parts(&self, rows: Range<usize>) -> impl Iterator<Item = Bytes> {
        let same = matches!(self.of, Of::Same).then(|| vec![0; rows.len()]);
        self.columns.iter().flat_map(move |coded| {
            let codes = same.as_deref().or_else(|| self.rows().get(rows.clone()));
            let [texts, values] = coded.values(codes.unwrap_or_default());
            [head(coded.column.name, coded.column.form), texts, values]
        })
    }
}

/// Those with one text have one number, and no others.
fn number(address: Option<IpAddr>) -> u128 {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => {
            address.to_ipv6_mapped().to_bits()
        }
        Some(IpAddr::V6(address)) => address.to_bits(),
        _ => 0,
    }
}

impl Coded {
    fn new(column: Column, access: Option<Access>) -> Self {
        Self { column, access, meanings: Vec::new(), texts: Dictionary::default() }
    }

    /// The code that comes next means what `record` says.
    fn learn(&mut self, record: &FlowRecord) {
        let Some(access) = self.access else { return };
        let meaning = match access {
            Access::U8 { get, .. } => get(record).into(),
            Access::Name { get, .. } | Access::Labels { get, .. } => self.texts.key(get(record)),
            Access::Ip { get, .. } => {
                let mut told = [0; text::ADDRESS];
                let length = text::address(&mut told, get(record));
                let text = told.get(1..length).and_then(|it| std::str::from_utf8(it).ok());
                // Known by its number, and so by its text.
                self.texts.add(text.unwrap_or_default())
            }
            Access::Uuid { get, .. } => {
                self.texts.key(&get(record).map(|uid| uid.to_string()).unwrap_or_default())
            }
            // Those that are shared have no such columns.
            _ => 0,
        };
        self.meanings.push(meaning);
    }

    /// What comes before the rows, and the rows.
    fn values(&self, codes: &[u32]) -> [Bytes; 2] {
        match self.column.form {
            Form::U8 => [Bytes::new(), wide::<1>(codes, &self.meanings)],
            Form::OldName => [Bytes::new(), self.texts.plain(codes, &self.meanings)],
            _ => self.texts.column(codes, &self.meanings),
        }
    }
}
