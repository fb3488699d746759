//! Flows as JSON, one object per line: what the flow log holds, and how the flow was put together.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use sinks::json::entries;
use store::Flow;

pub(super) fn lines(flows: &[Flow], out: &mut dyn Write) -> io::Result<()> {
    for flow in flows {
        serde_json::to_writer(&mut *out, &Object(flow))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

struct Object<'a>(&'a Flow);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(flow) = self;
        let mut map = serializer.serialize_map(None)?;
        entries(&flow.record, &mut map)?;
        map.serialize_entry("records", &flow.records)?;
        map.serialize_entry("firstInserted", &flow.first_inserted_ms)?;
        map.serialize_entry("lastInserted", &flow.last_inserted_ms)?;
        map.end()
    }
}
