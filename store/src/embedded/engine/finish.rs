//! Groups become an answer.

use std::cmp::Ordering;

use hashbrown::HashMap;

use super::groups::Groups;
use super::packed::Packed;
use super::states::States;
use crate::query::{self, Group, GroupOrder, Grouping, Key, Range, Value};

/// Groups that are alike but for the time.
struct Series<K> {
    /// By number: the keys without the time.
    keys: Vec<K>,
    /// Over all intervals; `None` if there is no time, and groups are series.
    states: Option<States>,
    /// By group.
    of: Vec<u32>,
    /// The bits of the time in a group's key.
    bits: u32,
}

impl<K: Packed> Series<K> {
    fn new(groups: &Groups<K>) -> Self {
        let time = groups.parts.last().filter(|part| matches!(part.key, Key::Time { .. }));
        let Some(time) = time else {
            let of = (0..).take(groups.keys.len()).collect();
            return Self { keys: groups.keys.clone(), states: None, of, bits: 0 };
        };
        let mut series = Self { keys: Vec::new(), states: None, of: Vec::new(), bits: time.bits };
        let mut known = HashMap::new();
        for key in &groups.keys {
            let mut key = *key;
            key.pop(time.bits);
            let next = u32::try_from(series.keys.len()).unwrap_or(u32::MAX);
            let number = *known.entry(key).or_insert_with(|| {
                series.keys.push(key);
                next
            });
            series.of.push(number);
        }
        let mut states = groups.states.blank(series.keys.len());
        states.absorb(&groups.states, |group| series.of.get(group as usize).copied(), |it| it);
        series.states = Some(states);
        series
    }
}

/// Ranks, cuts and folds groups as the query wants them.
pub(super) fn finish<K: Packed>(
    groups: &Groups<K>,
    grouping: &Grouping,
    range: Range,
) -> query::Groups {
    let series = Series::new(groups);
    let finish = Finish { groups, grouping, range, series };
    let shown = finish.shown();
    let mut places = vec![None; finish.series.keys.len()];
    for (place, series) in shown.iter().enumerate() {
        places[*series as usize] = Some(place);
    }
    let others = if grouping.others { finish.others(&places) } else { Vec::new() };
    query::Groups {
        groups: finish.visible(&places),
        others,
        folded: (finish.series.keys.len() - shown.len()) as u64,
    }
}

struct Finish<'a, K> {
    groups: &'a Groups<K>,
    grouping: &'a Grouping,
    range: Range,
    series: Series<K>,
}

impl<K: Packed> Finish<'_, K> {
    /// The series that are shown, in their order.
    fn shown(&self) -> Vec<u32> {
        let states = self.series.states.as_ref().unwrap_or(&self.groups.states);
        let count = u32::try_from(self.series.keys.len()).unwrap_or(u32::MAX);
        let by_keys = |one: u32, other: u32| self.key_values(one).cmp(&self.key_values(other));
        match self.grouping.order {
            GroupOrder::Keys => {
                first((0..count).collect(), self.grouping.limit, |a, b| by_keys(*a, *b))
            }
            GroupOrder::Aggregate { index, descending } => {
                let span = self.range.len_ms();
                let ranked = (0..count).map(|it| (states.value(it, index, span), it)).collect();
                let order = |one: &(Value, u32), other: &(Value, u32)| {
                    let order = one.0.cmp(&other.0);
                    let order = if descending { order.reverse() } else { order };
                    order.then_with(|| by_keys(one.1, other.1))
                };
                let ranked = first(ranked, self.grouping.limit, order);
                ranked.into_iter().map(|(_, series)| series).collect()
            }
        }
    }

    /// The keys of a series, the time aside, in the order of the query.
    fn key_values(&self, series: u32) -> Vec<Value> {
        let mut key = self.series.keys[series as usize];
        let columns = self.groups.parts.iter().filter(|part| matches!(part.key, Key::Column(_)));
        let columns: Vec<_> = columns.collect();
        let mut values: Vec<_> = columns
            .iter()
            .rev()
            .map(|part| part.value(key.pop(part.bits), &self.groups.names))
            .collect();
        values.reverse();
        values
    }

    /// Which interval a group is of; the only one if there is no time.
    fn interval(&self, group: usize) -> u32 {
        match self.series.bits {
            0 => 0,
            bits => {
                let mut key = self.groups.keys[group];
                key.pop(bits)
            }
        }
    }

    fn visible(&self, places: &[Option<usize>]) -> Vec<Group> {
        let mut visible: Vec<(usize, u32, u32)> = Vec::new();
        for (group, series) in self.series.of.iter().enumerate() {
            if let (Some(place), Ok(number)) = (places[*series as usize], u32::try_from(group)) {
                visible.push((place, self.interval(group), number));
            }
        }
        visible.sort_unstable();
        let group = |(_, interval, group): (usize, u32, u32)| {
            let keys = self.key_values(self.series.of[group as usize]);
            self.group(keys, interval, &self.groups.states, group)
        };
        visible.into_iter().map(group).collect()
    }

    /// What the groups that have no place amount to, interval by interval.
    fn others(&self, places: &[Option<usize>]) -> Vec<Group> {
        let mut intervals: Vec<u32> = Vec::new();
        let folded = |group: usize| places[self.series.of[group] as usize].is_none();
        intervals
            .extend((0..self.groups.keys.len()).filter(|g| folded(*g)).map(|g| self.interval(g)));
        intervals.sort_unstable();
        intervals.dedup();
        let mut states = self.groups.states.blank(intervals.len());
        let place = |group: u32| {
            let group = group as usize;
            let place = intervals.binary_search(&self.interval(group)).ok()?;
            folded(group).then(|| u32::try_from(place).ok()).flatten()
        };
        states.absorb(&self.groups.states, place, |it| it);
        let group =
            |(place, interval): (u32, &u32)| self.group(Vec::new(), *interval, &states, place);
        (0..).zip(&intervals).map(group).collect()
    }

    /// A group of the answer: its keys with the time in its place, and its aggregates.
    fn group(&self, keys: Vec<Value>, interval: u32, states: &States, number: u32) -> Group {
        let mut columns = keys.into_iter();
        let mut span_ms = self.range.len_ms();
        let mut keys = Vec::with_capacity(self.grouping.keys.len());
        for key in &self.grouping.keys {
            match (key, self.groups.parts.last()) {
                (Key::Time { step_ms }, Some(part)) => {
                    let time = part.value(interval, &self.groups.names);
                    if let Value::Number(time) = time {
                        span_ms = self.range.interval(time, *step_ms);
                    }
                    keys.push(time);
                }
                _ => keys.extend(columns.next()),
            }
        }
        Group { keys, values: states.values(number, span_ms) }
    }
}

/// The first `limit` items of an order, in that order.
fn first<T>(mut items: Vec<T>, limit: usize, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if limit < items.len() {
        items.select_nth_unstable_by(limit, &order);
        items.truncate(limit);
    }
    items.sort_unstable_by(order);
    items
}
