//! What groups have seen: a few numbers each, side by side.

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt64Type;
use hashbrown::HashSet;

use super::cells::{Texts, numbers};
use super::filter::Filter;
use super::names::{EMPTY, Names, Numbers};
use super::scan::Halt;
use crate::embedded::RECORDS;
use crate::query::{Aggregate, Column, Function, Kind, Value};

/// One aggregate's place in a state, and what it needs besides.
#[derive(Debug)]
struct Slot {
    function: Function,
    /// Its first number.
    at: usize,
    only: Option<Filter>,
    /// The values of a [`Function::Distinct`], by group; else empty.
    values: HashSet<(u32, u64)>,
    /// The numbers of these values if they are text.
    texts: Numbers,
}

impl Slot {
    fn new(aggregate: &Aggregate, at: usize) -> Self {
        let is_address = aggregate.function.column().map(Column::kind) == Some(Kind::Address);
        Self {
            function: aggregate.function,
            at,
            only: aggregate.only.as_ref().map(Filter::new),
            values: HashSet::new(),
            texts: Numbers::new(is_address),
        }
    }
}

/// How many numbers an aggregate keeps of each group.
fn width(function: Function) -> usize {
    match function {
        // Whether there is a value, and which.
        Function::Min(_) | Function::Max(_) => 2,
        Function::Count | Function::Sum(_) | Function::Rate(_) | Function::Distinct(_) => 1,
    }
}

/// The states of all groups, by number.
#[derive(Debug)]
pub(super) struct States {
    slots: Vec<Slot>,
    width: usize,
    all: Vec<u64>,
}

impl States {
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        let mut width_so_far = 0;
        let slots = aggregates.iter().map(|aggregate| {
            let slot = Slot::new(aggregate, width_so_far);
            width_so_far += width(aggregate.function);
            slot
        });
        let slots = slots.collect();
        Self { slots, width: width_so_far, all: Vec::new() }
    }

    /// Adds groups that have seen nothing, up to so many in all.
    pub(super) fn grow(&mut self, groups: usize) {
        self.all.resize(groups * self.width, 0);
    }

    pub(super) fn bytes(&self) -> usize {
        let sets = self.slots.iter().map(|slot| {
            slot.values.allocation_size() + slot.only.as_ref().map_or(0, Filter::bytes)
        });
        self.all.capacity() * 8 + sets.sum::<usize>()
    }

    /// Shows each row of the batch to its group.
    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        groups: &[u32],
        names: &mut Names,
    ) -> Result<(), Halt> {
        let width = self.width;
        for slot in &mut self.slots {
            let at = slot.at;
            let only = slot.only.as_mut().map(|only| only.evaluate(batch)).transpose()?;
            let rows = Shown { groups, only };
            let state = |group: u32| group as usize * width + at;
            let all = &mut self.all;
            match slot.function {
                Function::Count => match records(batch) {
                    Some(records) => rows.each(|row, group| all[state(group)] += records[row]),
                    None => rows.each(|_, group| all[state(group)] += 1),
                },
                Function::Sum(column) | Function::Rate(column) => {
                    let numbers = numbers(batch, column)?;
                    rows.each(|row, group| {
                        let sum = &mut all[state(group)];
                        *sum = sum.wrapping_add(numbers[row]);
                    });
                }
                Function::Min(column) | Function::Max(column) => {
                    let numbers = numbers(batch, column)?;
                    let zero_is_absent = column.kind().zero_is_absent();
                    rows.each(|row, group| {
                        if numbers[row] > 0 || !zero_is_absent {
                            let state = &mut all[state(group)..][..2];
                            extreme(slot.function, state, &[1, numbers[row]]);
                        }
                    });
                }
                Function::Distinct(column) => {
                    let values = values(batch, column, &mut slot.texts, names)?;
                    let is_absent = |value| value == 0 && column.kind() != Kind::Number;
                    rows.each(|row, group| {
                        if !is_absent(values[row]) && slot.values.insert((group, values[row])) {
                            all[state(group)] += 1;
                        }
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes over what other groups have seen: `place` says which group here each of them is,
    /// `value` what a number of theirs that stands for a text is here.
    pub(super) fn absorb(
        &mut self,
        others: &Self,
        place: impl Fn(u32) -> Option<u32>,
        mut value: impl FnMut(u32) -> u32,
    ) {
        let width = self.width;
        for (group, state) in (0..).zip(others.all.chunks_exact(width)) {
            let Some(place) = place(group) else { continue };
            let into = &mut self.all[place as usize * width..][..width];
            for slot in &self.slots {
                combine(slot, &mut into[slot.at..], &state[slot.at..]);
            }
        }
        for (slot, other) in self.slots.iter_mut().zip(&others.slots) {
            let is_text = slot.function.column().is_some_and(|it| !it.kind().is_numeric());
            for (group, number) in &other.values {
                let Some(place) = place(*group) else { continue };
                let number = match u32::try_from(*number) {
                    Ok(number) if is_text => value(number).into(),
                    _ => *number,
                };
                if slot.values.insert((place, number)) {
                    self.all[place as usize * width + slot.at] += 1;
                }
            }
        }
    }

    /// States of the same aggregates that have seen nothing.
    pub(super) fn blank(&self, groups: usize) -> Self {
        let slots = self.slots.iter().map(|slot| Slot {
            function: slot.function,
            at: slot.at,
            only: None,
            values: HashSet::new(),
            texts: Numbers::default(),
        });
        let mut blank = Self { slots: slots.collect(), width: self.width, all: Vec::new() };
        blank.grow(groups);
        blank
    }

    /// An aggregate of a group whose rows are of so many milliseconds.
    pub(super) fn value(&self, group: u32, aggregate: usize, span_ms: u64) -> Value {
        let slot = &self.slots[aggregate];
        let state = &self.all[group as usize * self.width + slot.at..];
        match slot.function {
            Function::Count | Function::Sum(_) | Function::Distinct(_) => Value::Number(state[0]),
            Function::Rate(_) => Function::rate(state[0], span_ms),
            Function::Min(_) | Function::Max(_) if state[0] == 0 => Value::None,
            Function::Min(_) | Function::Max(_) => Value::Number(state[1]),
        }
    }

    /// All aggregates of a group.
    pub(super) fn values(&self, group: u32, span_ms: u64) -> Vec<Value> {
        (0..self.slots.len()).map(|index| self.value(group, index, span_ms)).collect()
    }
}

/// How many records each row sums up, if they are sums.
fn records(batch: &RecordBatch) -> Option<&[u64]> {
    let records = batch.column_by_name(RECORDS)?.as_primitive_opt::<UInt64Type>()?;
    Some(records.values())
}

/// What is distinct: numbers, or the numbers of texts.
fn values(
    batch: &RecordBatch,
    column: Column,
    texts: &mut Numbers,
    names: &mut Names,
) -> Result<Vec<u64>, Halt> {
    if column.kind().is_numeric() {
        return Ok(numbers(batch, column)?.into_owned());
    }
    let mut values = Vec::with_capacity(batch.num_rows());
    const { assert!(EMPTY == 0, "what is absent is 0") };
    let cells = Texts::of(batch, column)?;
    texts.for_each(cells, batch.num_rows(), names, |number| values.push(number.into()));
    Ok(values)
}

fn combine(slot: &Slot, into: &mut [u64], from: &[u64]) {
    match slot.function {
        Function::Count | Function::Sum(_) | Function::Rate(_) => {
            into[0] = into[0].wrapping_add(from[0]);
        }
        Function::Min(_) | Function::Max(_) => extreme(slot.function, into, from),
        // Counted again, by their values.
        Function::Distinct(_) => {}
    }
}

fn extreme(function: Function, into: &mut [u64], from: &[u64]) {
    if from[0] == 0 {
        return;
    }
    into[1] = match function {
        _ if into[0] == 0 => from[1],
        Function::Min(_) => into[1].min(from[1]),
        _ => into[1].max(from[1]),
    };
    into[0] = 1;
}

/// The rows an aggregate looks at, and their groups.
struct Shown<'a> {
    groups: &'a [u32],
    only: Option<BooleanBuffer>,
}

impl Shown<'_> {
    fn each(&self, mut each: impl FnMut(usize, u32)) {
        match &self.only {
            None => self.groups.iter().enumerate().for_each(|(row, group)| each(row, *group)),
            Some(only) => only.set_indices().for_each(|row| each(row, self.groups[row])),
        }
    }
}
