//! What records share becomes columns.
//!
//! Each part is looked at once for all of its attributes, and for each record only where it lies:
//! the columns of a part are one column of keys and as many dictionaries.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt8Array};
use arrow::buffer::ScalarBuffer;
use arrow::error::ArrowError;
use flow::{
    Access, Endpoint, Exit, Field, FlowRecord, Group, Name, Part, PolicyRule, Shared, Uids,
};
use hashbrown::HashMap;

use super::collect::{Interned, Zeros, names, texts};
use super::columns::UUID_SIZE;

/// Which part an attribute is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartOf {
    Group(Group),
    Uids,
}

/// The part that is kept as a whole and has this attribute.
pub(super) fn of(field: &Field) -> Option<PartOf> {
    match (field.group, field.access) {
        (Some(group), _) => Some(PartOf::Group(group)),
        (None, Access::Uuid { .. }) => Some(PartOf::Uids),
        _ => None,
    }
}

/// The parts of the rows that are being collected.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    source: Interned<Shared<Endpoint>>,
    destination: Interned<Shared<Endpoint>>,
    ingress: Interned<Shared<PolicyRule>>,
    egress: Interned<Shared<PolicyRule>>,
    exit: Interned<Shared<Exit>>,
    uids: Interned<Shared<Uids>>,
}

impl Parts {
    /// Returns how many bytes of text were added.
    pub(super) fn append(&mut self, records: &[FlowRecord]) -> usize {
        let Self { source, destination, ingress, egress, exit, uids } = self;
        append(source, records, |record| &record.source, end_text)
            + append(destination, records, |record| &record.destination, end_text)
            + append(ingress, records, |record| &record.ingress, rule_text)
            + append(egress, records, |record| &record.egress, rule_text)
            + append(
                exit,
                records,
                |record| &record.exit,
                |exit| exit.name.len() + exit.ip.len() + exit.node.len(),
            )
            + append(uids, records, |record| &record.uids, |_| 5 * UUID_SIZE)
    }

    /// Takes out the columns, by the place of their field among all that are columns.
    pub(super) fn take(&mut self, zeros: &Zeros) -> Result<HashMap<usize, ArrayRef>, ArrowError> {
        let Self { source, destination, ingress, egress, exit, uids } = std::mem::take(self);
        let mut columns = HashMap::new();
        let mut make = |part, (keys, samples): Taken| -> Result<(), ArrowError> {
            for (index, field) in Field::columns().enumerate() {
                if of(field) == Some(part) {
                    columns.insert(index, column(field.access, &keys, &samples, zeros)?);
                }
            }
            Ok(())
        };
        let group = PartOf::Group;
        make(group(Group::Source), taken(source, zeros, |record, it| record.source = it))?;
        let put = |record: &mut FlowRecord, it| record.destination = it;
        make(group(Group::Destination), taken(destination, zeros, put))?;
        make(group(Group::Ingress), taken(ingress, zeros, |record, it| record.ingress = it))?;
        make(group(Group::Egress), taken(egress, zeros, |record, it| record.egress = it))?;
        make(group(Group::Exit), taken(exit, zeros, |record, it| record.exit = it))?;
        make(PartOf::Uids, taken(uids, zeros, |record, it| record.uids = it))?;
        Ok(columns)
    }
}

#[inline]
fn append<T: Part + Hash>(
    parts: &mut Interned<Shared<T>>,
    records: &[FlowRecord],
    get: impl Fn(&FlowRecord) -> &Shared<T>,
    text: impl Fn(&T) -> usize,
) -> usize {
    let mut added = 0;
    for record in records {
        let part = get(record);
        if parts.append(part.place(), part) {
            added += text(part);
        }
    }
    added
}

fn end_text(end: &Endpoint) -> usize {
    let Endpoint { pod, namespace, node, labels, workload, zone, .. } = end;
    [pod, namespace, node, labels, workload, zone].map(|name| name.len()).iter().sum::<usize>()
        + 2 * UUID_SIZE
}

fn rule_text(rule: &PolicyRule) -> usize {
    rule.name.len() + rule.namespace.len() + rule.rule.len()
}

/// Which part each row has, and a record with each of them.
type Taken = (ScalarBuffer<i32>, Vec<FlowRecord>);

fn taken<T: Part>(
    parts: Interned<Shared<T>>,
    zeros: &Zeros,
    put: impl Fn(&mut FlowRecord, Shared<T>),
) -> Taken {
    let Interned { mut keys, values, .. } = parts;
    let sample = |part| {
        let mut record = FlowRecord::default();
        put(&mut record, part);
        record
    };
    (keys.take(zeros), values.into_iter().map(sample).collect())
}

fn column(
    access: Access,
    keys: &ScalarBuffer<i32>,
    samples: &[FlowRecord],
    zeros: &Zeros,
) -> Result<ArrayRef, ArrowError> {
    match access {
        Access::Name { get, .. } | Access::Labels { get, .. } => {
            names(keys.clone(), samples.iter().map(get).map(Name::as_str))
        }
        Access::Uuid { get, .. } => texts(keys, samples.iter().map(get), zeros),
        Access::U8 { get, .. } => {
            let values: Vec<u8> = samples.iter().map(get).collect();
            if values.iter().all(|value| *value == 0) {
                return Ok(Arc::new(UInt8Array::new(zeros.of(), None)));
            }
            let value = |key: &i32| usize::try_from(*key).ok().and_then(|key| values.get(key));
            let column = keys.iter().map(|key| value(key).copied().unwrap_or_default());
            Ok(Arc::new(UInt8Array::from_iter_values(column)))
        }
        _ => Err(ArrowError::SchemaError("a part has attributes of another type".to_owned())),
    }
}
