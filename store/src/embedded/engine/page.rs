//! Rows become a page, or go out as they come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use flow::Name;
use hashbrown::HashSet;

use super::cells::{Texts, WrongType, is_same, numbers};
use super::names::address;
use super::scan::{Conditions, Halt, Sink, lock};
use crate::query::{Column, Cursor, Kind, Listing, RowOrder, Rows, Value};

/// Flow end and flow id, as they are compared: what is first is largest.
type Place = (u64, u64);

/// What a row of a page takes besides its text, which rows share.
const ROW_SIZE: usize = 64;

/// The ends and ids that may still be on the page.
#[derive(Debug)]
pub(super) struct Best {
    newest_first: bool,
    /// Where the page before ended; rows in the same place may still belong here.
    after: Option<Place>,
    room: usize,
    /// The best so far, the last of them on top.
    places: BinaryHeap<Reverse<Place>>,
}

impl Best {
    pub(super) fn new(listing: &Listing) -> Option<Self> {
        let newest_first = match listing.order {
            RowOrder::NewestFirst => true,
            RowOrder::OldestFirst => false,
            RowOrder::AsStored => return None,
        };
        let mut best =
            Self { newest_first, after: None, room: room(listing), places: BinaryHeap::new() };
        best.after = listing.after.map(|after| best.place(after.end_ms, after.flow_id));
        Some(best)
    }

    pub(super) fn is_newest_first(&self) -> bool {
        self.newest_first
    }

    fn place(&self, end_ms: u64, flow_id: u64) -> Place {
        if self.newest_first { (end_ms, flow_id) } else { (!end_ms, !flow_id) }
    }

    /// The last place on a page that is full.
    fn last(&self) -> Option<Place> {
        self.places.peek().filter(|_| self.places.len() == self.room).map(|place| place.0)
    }

    fn take(&mut self, place: Place) -> bool {
        if self.after.is_some_and(|after| place > after) {
            return false;
        }
        match self.last() {
            Some(last) if place < last => return false,
            // A place that is taken several times is counted as often: rows in the last place are
            // told apart only by what they show, and all go on.
            Some(last) if place > last => {
                self.places.pop();
                self.places.push(Reverse(place));
            }
            Some(_) => {}
            None => self.places.push(Reverse(place)),
        }
        true
    }

    /// Keeps only these flow ends and ids.
    fn forget(&mut self, places: impl Iterator<Item = (u64, u64)>) {
        self.places.clear();
        for (end_ms, flow_id) in places {
            self.take(self.place(end_ms, flow_id));
        }
    }

    /// Of the rows that hold, those that may be on the page.
    pub(super) fn among(
        &mut self,
        batch: &RecordBatch,
        holds: &BooleanBuffer,
    ) -> Result<BooleanBuffer, WrongType> {
        let places = Places::of(batch)?;
        let mut wanted = vec![false; batch.num_rows()];
        for row in holds.set_indices() {
            let (end_ms, flow_id) = places.get(row);
            wanted[row] = self.take(self.place(end_ms, flow_id));
        }
        Ok(wanted.into())
    }

    fn wants(&self, (oldest, newest): (u64, u64)) -> bool {
        let (first, last) = if self.newest_first { (newest, oldest) } else { (!oldest, !newest) };
        self.after.is_none_or(|after| last <= after.0) && self.last().is_none_or(|it| first >= it.0)
    }
}

/// How many rows are kept: those of the page, those in its first place that the pages before have
/// shown, and one that tells that there is more.
fn room(listing: &Listing) -> usize {
    let seen = listing.after.map_or(0, |after| after.seen);
    usize::try_from(listing.limit.saturating_add(seen).saturating_add(1)).unwrap_or(usize::MAX)
}

/// The flow ends and ids of a batch.
struct Places<'a>(std::borrow::Cow<'a, [u64]>, std::borrow::Cow<'a, [u64]>);

impl<'a> Places<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, WrongType> {
        let column = |name| match Column::by_name(name) {
            Some(column) => numbers(batch, column),
            None => Ok(vec![0; batch.num_rows()].into()),
        };
        Ok(Self(column(Column::END)?, column(Column::FLOW_ID)?))
    }

    fn get(&self, row: usize) -> (u64, u64) {
        (self.0[row], self.1[row])
    }
}

/// The stored columns that rows are made of.
pub(super) fn columns(listing: &Listing) -> HashSet<&'static str> {
    let shown = listing.columns.iter().flat_map(|column| column.stored());
    shown.chain([Column::END, Column::FLOW_ID]).collect()
}

/// A column's values, with the names of the last dictionary.
#[derive(Debug)]
struct Values {
    column: Column,
    dictionary: Option<StringArray>,
    known: Vec<Option<Value>>,
}

impl Values {
    fn all(columns: &[Column]) -> Vec<Self> {
        let new = |column: &Column| Self { column: *column, dictionary: None, known: Vec::new() };
        columns.iter().map(new).collect()
    }

    /// Adds the value of each row to that row.
    fn add_to(&mut self, rows: &mut [Vec<Value>], batch: &RecordBatch) -> Result<(), WrongType> {
        if self.column.kind().is_numeric() {
            let numbers = numbers(batch, self.column)?;
            for (row, number) in rows.iter_mut().zip(numbers.iter()) {
                row.push(Value::Number(*number));
            }
            return Ok(());
        }
        let is_address = self.column.kind() == Kind::Address;
        let blank = if is_address { Value::None } else { Value::Text(Name::default()) };
        let Texts::Codes { codes, nulls, dictionary } = Texts::of(batch, self.column)? else {
            for row in rows {
                row.push(blank.clone());
            }
            return Ok(());
        };
        if !self.dictionary.as_ref().is_some_and(|known| is_same(known, dictionary)) {
            self.dictionary = Some(dictionary.clone());
            self.known = vec![None; dictionary.len()];
        }
        for (row, (into, code)) in rows.iter_mut().zip(codes).enumerate() {
            let known = usize::try_from(*code).ok().and_then(|code| self.known.get_mut(code));
            let Some(known) = known.filter(|_| nulls.is_none_or(|nulls| nulls.is_valid(row)))
            else {
                into.push(blank.clone());
                continue;
            };
            let text = || usize::try_from(*code).map_or("", |code| dictionary.value(code));
            let value = known.get_or_insert_with(|| {
                if is_address { Value::address(address(text())) } else { Value::from(text()) }
            });
            into.push(value.clone());
        }
        Ok(())
    }
}

fn shown(columns: &mut [Values], batch: &RecordBatch) -> Result<Vec<Vec<Value>>, WrongType> {
    let mut rows: Vec<Vec<Value>> =
        (0..batch.num_rows()).map(|_| Vec::with_capacity(columns.len())).collect();
    for column in columns {
        column.add_to(&mut rows, batch)?;
    }
    Ok(rows)
}

/// What a text takes that only one row has.
fn text_size(row: &[Value]) -> usize {
    let size = |value: &Value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    row.iter().map(size).sum()
}

/// The rows of a page that one thread has found.
#[derive(Debug)]
pub(super) struct Page {
    columns: Vec<Values>,
    conditions: Arc<Mutex<Conditions>>,
    newest_first: bool,
    room: usize,
    rows: Vec<(Place, Vec<Value>)>,
    bytes: usize,
}

impl Page {
    pub(super) fn new(listing: &Listing, conditions: Arc<Mutex<Conditions>>) -> Self {
        Self {
            columns: Values::all(&listing.columns),
            conditions,
            newest_first: listing.order == RowOrder::NewestFirst,
            room: room(listing),
            rows: Vec::new(),
            bytes: 0,
        }
    }

    fn sort(&mut self) {
        if self.newest_first {
            self.rows.sort_unstable_by(|one, other| other.cmp(one));
        } else {
            self.rows.sort_unstable();
        }
    }

    /// Drops what is behind the end of the page.
    fn cut(&mut self) {
        self.sort();
        for (_, row) in self.rows.drain(self.room.min(self.rows.len())..) {
            self.bytes -= row_size(&row);
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.bytes += other.bytes;
        self.cut();
    }

    pub(super) fn finish(mut self, listing: &Listing) -> Rows {
        self.cut();
        let place = |cursor: Cursor| (cursor.end_ms, cursor.flow_id);
        let seen = listing.after.map_or(0, |after| {
            let alike = self.rows.iter().filter(|row| row.0 == place(after)).count();
            alike.min(usize::try_from(after.seen).unwrap_or(usize::MAX))
        });
        let end = seen.saturating_add(usize::try_from(listing.limit).unwrap_or(usize::MAX));
        let next = self.rows.get(end).and(self.rows.get(end - 1)).map(|row| row.0);
        let next = next.map(|(end_ms, flow_id)| {
            let alike = self.rows[..end].iter().filter(|row| row.0 == (end_ms, flow_id));
            Cursor { end_ms, flow_id, seen: alike.count() as u64 }
        });
        let page = self.rows.into_iter().skip(seen).take(end - seen);
        Rows { rows: page.map(|(_, values)| values).collect(), next }
    }
}

fn row_size(row: &[Value]) -> usize {
    ROW_SIZE + size_of_val(row) + text_size(row)
}

impl Sink for Page {
    fn wants(&self, ends: (u64, u64)) -> bool {
        lock(&self.conditions).best.as_ref().is_none_or(|best| best.wants(ends))
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Halt> {
        let places = Places::of(batch)?;
        for (row, values) in shown(&mut self.columns, batch)?.into_iter().enumerate() {
            self.bytes += row_size(&values);
            self.rows.push((places.get(row), values));
        }
        if self.rows.len() > self.room.saturating_mul(2).max(1024) {
            self.cut();
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn lost(&mut self) {
        if let Some(best) = &mut lock(&self.conditions).best {
            best.forget(self.rows.iter().map(|row| row.0));
        }
    }
}

/// Hands rows on, batch by batch.
pub(super) struct Stream<'a> {
    columns: Vec<Values>,
    left: u64,
    each: &'a mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        listing: &Listing,
        each: &'a mut dyn FnMut(Vec<Vec<Value>>) -> ControlFlow<()>,
    ) -> Self {
        Self { columns: Values::all(&listing.columns), left: listing.limit, each }
    }
}

impl Sink for Stream<'_> {
    fn wants(&self, _: (u64, u64)) -> bool {
        self.left > 0
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<(), Halt> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(batch.num_rows());
        if rows == 0 {
            return Ok(());
        }
        self.left -= rows as u64;
        let rows = shown(&mut self.columns, &batch.slice(0, rows))?;
        if (self.each)(rows).is_break() {
            self.left = 0;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }
}
