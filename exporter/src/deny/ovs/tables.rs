//! Which flow table enforces which policies.
//!
//! Numbers of Antrea's tables differ from version to version and with the features that are on;
//! their names do not. The Agent gives the names to the switch, which tells them to who asks.

use ipfix::reader::Reader;

use super::message::Unreadable;
use crate::deny::Direction;

/// Bytes of an entry of `OFPMP_TABLE_FEATURES` from its length on to its name (OpenFlow 1.5.1,
/// 7.3.5.18): length, table, command, features.
const BEFORE_NAME: usize = 2 + 1 + 1 + 4;
const NAME: usize = 32;

/// What a table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) direction: Direction,
    /// Where K8s policies drop what none of them allows.
    pub(super) isolates: bool,
}

/// The tables that enforce policies, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables([Option<Table>; 256]);

impl Tables {
    pub(super) fn new<'a>(named: impl IntoIterator<Item = (&'a str, u8)>) -> Self {
        let mut tables = Self([None; 256]);
        for (name, number) in named {
            tables.name(number, name);
        }
        tables
    }

    pub(super) fn name(&mut self, number: u8, name: &str) {
        self.set(number, Table::of(name.as_bytes()));
    }

    pub(super) fn get(&self, number: u8) -> Option<Table> {
        self.0.get(usize::from(number)).copied().flatten()
    }

    /// How many tables are known.
    pub(super) fn known(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Takes names over from one part of the switch's answer. Tables without a name that says
    /// something stay what they were.
    pub(super) fn learn(&mut self, mut entries: Reader<'_>) -> Result<(), Unreadable> {
        while !entries.is_empty() {
            let mut peek = entries;
            let length = usize::from(peek.u16()?);
            let mut entry = entries.sub(length)?;
            if length < BEFORE_NAME + NAME {
                return Err(Unreadable);
            }
            entry.u16()?;
            let number = entry.u8()?;
            entry.bytes(BEFORE_NAME - 3)?;
            let name = entry.bytes(NAME)?;
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(NAME);
            if let Some(table) = name.get(..end).and_then(Table::of) {
                self.set(number, Some(table));
            }
        }
        Ok(())
    }

    fn set(&mut self, number: u8, table: Option<Table>) {
        if let Some(place) = self.0.get_mut(usize::from(number)) {
            *place = table;
        }
    }
}

impl Table {
    /// Antrea's names are made of what the table decides and for which direction, such as
    /// `AntreaPolicyEgressRule` and `IngressDefaultRule`. Those ending in `Metric` count what
    /// rules decide; some versions report denies from there.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let ends = |end: &str| name.ends_with(end.as_bytes());
        let direction =
            if ["IngressRule", "IngressDefaultRule", "IngressMetric"].map(ends).contains(&true) {
                Direction::Ingress
            } else if ["EgressRule", "EgressDefaultRule", "EgressMetric"].map(ends).contains(&true)
            {
                Direction::Egress
            } else {
                return None;
            };
        Some(Self { direction, isolates: ends("DefaultRule") })
    }
}
