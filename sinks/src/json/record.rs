//! A record as a JSON object: one member per column, in the order of the table of fields.
//!
//! Values go straight into the serializer, without a tree of values in between. `flow` does not
//! derive `Serialize`: this format belongs to whoever writes it.

use flow::{Access, Field, FlowRecord};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Shows a record as a map from column to value. Addresses and UUIDs are text, or null if unset;
/// times are milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a>(pub &'a FlowRecord);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entries(self.0, &mut map)?;
        map.end()
    }
}

/// Adds the members of a record to a map that may have others.
pub fn entries<M: SerializeMap>(record: &FlowRecord, map: &mut M) -> Result<(), M::Error> {
    for Field { name, access, .. } in Field::columns() {
        match access {
            Access::U8 { get, .. } => map.serialize_entry(name, &get(record)),
            Access::U16 { get, .. } => map.serialize_entry(name, &get(record)),
            Access::U32 { get, .. } => map.serialize_entry(name, &get(record)),
            Access::U64 { get, .. } | Access::Milliseconds { get, .. } => {
                map.serialize_entry(name, &get(record))
            }
            Access::Seconds { get, .. } => map.serialize_entry(name, &get(record)),
            Access::Ip { get, .. } => map.serialize_entry(name, &get(record)),
            Access::Name { get, .. } | Access::Labels { get, .. } => {
                map.serialize_entry(name, get(record).as_str())
            }
            Access::Uuid { get, .. } => {
                map.serialize_entry(name, &get(record).map(|uid| uid.to_string()))
            }
        }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_object_with_every_column_in_order() {
        let mut record = FlowRecord { start_ms: 1_795_250_000_123, ..FlowRecord::default() };
        record.source.pod = "web \"0\"".into();
        record.service.ip = "fd00::1".parse().ok();
        let text = serde_json::to_string(&Record(&record)).unwrap();
        assert!(text.contains(r#""sourcePodName":"web \"0\"","#), "{text}");
        assert!(text.contains(r#""destinationServiceIP":"fd00::1","#), "{text}");
        assert!(text.contains(r#""proxySnatIP":null,"#), "{text}");
        assert!(text.contains(r#""flowStartMilliseconds":1795250000123,"#), "{text}");
        let mut rest = text.as_str();
        for field in Field::columns() {
            let key = format!("\"{}\":", field.name);
            let at = rest.find(&key).unwrap_or_else(|| panic!("no {key} in {rest}"));
            rest = &rest[at + key.len()..];
        }
    }
}
