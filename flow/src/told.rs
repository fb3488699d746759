//! Parts that were told before.
//!
//! A session tells of the same Pods and rules again and again, each time by the same octets: names
//! with their lengths in between. Whoever has seen them need not read them, nor look up one name
//! after the other.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{Endpoint, Exit, Field, FlowRecord, Group, PolicyRule, Shared};

/// Which attributes of a part some octets are, in which order, and of which lengths.
///
/// A number that is likely to differ where these do. Who sends Templates could have two alike, and
/// would confuse what they say of one Pod with what they say of another themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape(u64);

impl Shape {
    /// Of fields by their rows in the table and their lengths. Both ends of a flow are alike.
    pub(crate) fn of(fields: &[(&Field, u16)]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (field, length) in fields {
            let kind = match field.group {
                None => 0,
                Some(Group::Source | Group::Destination) => 1,
                Some(Group::Ingress | Group::Egress) => 2,
                Some(Group::Exit) => 3,
            };
            for number in [kind, rank(field), u64::from(*length)] {
                hash = (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self(hash)
    }
}

/// Which of the rows of its group a field is.
fn rank(field: &Field) -> u64 {
    let group = Field::all().filter(|it| it.group == field.group);
    group.take_while(|it| it.name != field.name).map(|_| 1).sum()
}

/// A part, as records have it.
#[derive(Debug, Clone)]
pub enum Told {
    End(Shared<Endpoint>),
    Rule(Shared<PolicyRule>),
    Exit(Shared<Exit>),
}

impl Told {
    /// A part of `record`.
    pub fn of(record: &FlowRecord, group: Group) -> Self {
        match group {
            Group::Source => Self::End(record.source.clone()),
            Group::Destination => Self::End(record.destination.clone()),
            Group::Ingress => Self::Rule(record.ingress.clone()),
            Group::Egress => Self::Rule(record.egress.clone()),
            Group::Exit => Self::Exit(record.exit.clone()),
        }
    }

    /// Writes it into `record`.
    #[inline]
    pub(crate) fn put(&self, record: &mut FlowRecord, group: Group) {
        match (self, group) {
            (Self::End(end), Group::Source) => record.source = end.clone(),
            (Self::End(end), Group::Destination) => record.destination = end.clone(),
            (Self::Rule(rule), Group::Ingress) => record.ingress = rule.clone(),
            (Self::Rule(rule), Group::Egress) => record.egress = rule.clone(),
            (Self::Exit(exit), Group::Exit) => record.exit = exit.clone(),
            // Of another kind: no shape is of two.
            _ => {}
        }
    }
}

/// Parts by the octets that told them.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    table: HashTable<Part>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Part {
    hash: u64,
    shape: Shape,
    octets: Box<[u8]>,
    told: Told,
}

impl Parts {
    /// What a part takes beside its octets: itself, what the allocator adds, and a place in a table
    /// that is half empty. Its names are counted where they are.
    pub(crate) const OVERHEAD: usize = 384;

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(crate) fn get(&self, shape: Shape, octets: &[u8]) -> Option<&Told> {
        let is_it = |part: &Part| part.shape == shape && *part.octets == *octets;
        self.table.find(self.hash(shape, octets), is_it).map(|part| &part.told)
    }

    pub(crate) fn insert(&mut self, shape: Shape, octets: &[u8], told: Told) {
        let hash = self.hash(shape, octets);
        let part = Part { hash, shape, octets: octets.into(), told };
        self.table.insert_unique(hash, part, |part| part.hash);
    }

    #[inline]
    fn hash(&self, shape: Shape, octets: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(shape.0);
        hasher.write(octets);
        hasher.finish()
    }
}
