//! Which rows count.

use std::cmp::Ordering;

use super::{AddressRange, Column, TextTest, Value};

/// A tree of conditions; each row fulfils it or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// All of these hold; of none, that is true.
    And(Vec<Predicate>),
    /// One of these holds; of none, that is false.
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Is(Condition),
}

impl Predicate {
    /// Holds of every row.
    pub const TRUE: Self = Self::And(Vec::new());
}

impl From<Condition> for Predicate {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

impl std::ops::Not for Predicate {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// A condition on one row. On an absent value it is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The value is not absent.
    Has(Column),
    /// A number, port or time; the value is a [`Value::Number`].
    Number { column: Column, comparison: Comparison, value: u64 },
    /// A number, port or time is one of these.
    NumberIn { column: Column, values: Vec<u64> },
    /// An address lies in one of these ranges. One address is a range too.
    AddressIn { column: Column, ranges: Vec<AddressRange> },
    /// A name.
    Text { column: Column, test: TextTest },
    /// The labels have this key.
    HasLabel { column: Column, key: String },
    /// The labels have this key, and its value passes. An empty value is a value.
    Label { column: Column, key: String, test: TextTest },
    /// Two columns of one kind. Addresses and text are compared for equality only.
    Columns { left: Column, comparison: Comparison, right: Column },
}

/// How two values compare. That they differ is the complement of [`Self::Equal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Condition {
    /// The columns it looks at.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        let (one, other) = match self {
            Self::Has(column)
            | Self::Number { column, .. }
            | Self::NumberIn { column, .. }
            | Self::AddressIn { column, .. }
            | Self::Text { column, .. }
            | Self::HasLabel { column, .. }
            | Self::Label { column, .. } => (*column, None),
            Self::Columns { left, right, .. } => (*left, Some(*right)),
        };
        std::iter::once(one).chain(other)
    }

    /// A column holds this value.
    pub fn equals(column: Column, value: Value) -> Option<Self> {
        Some(match value {
            Value::Number(value) => Self::Number { column, comparison: Comparison::Equal, value },
            Value::Address(address) => {
                Self::AddressIn { column, ranges: vec![AddressRange::new(address, address)?] }
            }
            Value::Text(text) => {
                Self::Text { column, test: TextTest::Equals(text.as_str().to_owned()) }
            }
            Value::None | Value::Real(_) => return None,
        })
    }
}

/// A condition, or a way of putting some together; what walks over a tree without recursion.
impl Predicate {
    /// All conditions in the tree, in its order.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            loop {
                match waiting.pop()? {
                    Self::Is(condition) => return Some(condition),
                    Self::Not(inner) => waiting.push(inner),
                    Self::And(parts) | Self::Or(parts) => waiting.extend(parts.iter().rev()),
                }
            }
        })
    }

    /// How many levels the tree has.
    pub(crate) fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut waiting = vec![(self, 1)];
        while let Some((predicate, depth)) = waiting.pop() {
            deepest = deepest.max(depth);
            match predicate {
                Self::Is(_) => {}
                Self::Not(inner) => waiting.push((inner, depth + 1)),
                Self::And(parts) | Self::Or(parts) => {
                    waiting.extend(parts.iter().map(|part| (part, depth + 1)));
                }
            }
        }
        deepest
    }
}
