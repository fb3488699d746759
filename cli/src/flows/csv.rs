//! Flows as comma-separated values: a header of column names, then a row per flow.
//!
//! Values are those of the JSON output; what is unset is empty.

use std::io::{self, Write};

use ::csv::{Error, ErrorKind, Writer};
use flow::{Access, Field, FlowRecord};
use store::Flow;

pub(super) fn rows(flows: &[Flow], out: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer::from_writer(out);
    writer.write_record(Field::columns().map(|field| field.name)).map_err(io_error)?;
    for flow in flows {
        let values = Field::columns().map(|field| value(field, &flow.record));
        writer.write_record(values).map_err(io_error)?;
    }
    writer.flush()
}

fn value(field: &Field, record: &FlowRecord) -> String {
    match field.access {
        Access::U8 { get, .. } => get(record).to_string(),
        Access::U16 { get, .. } => get(record).to_string(),
        Access::U64 { get, .. } | Access::Milliseconds { get, .. } => get(record).to_string(),
        Access::U32 { get, .. } | Access::Seconds { get, .. } => get(record).to_string(),
        Access::Ip { get, .. } => get(record).map(|ip| ip.to_string()).unwrap_or_default(),
        Access::Name { get, .. } | Access::Labels { get, .. } => get(record).to_string(),
        Access::Uuid { get, .. } => get(record).map(|uid| uid.to_string()).unwrap_or_default(),
    }
}

/// Keeps the kind of an input or output error, by which a closed pipe is known.
fn io_error(error: Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
