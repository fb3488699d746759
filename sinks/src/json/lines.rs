//! Records as Antrea's aggregator sends them where JSON is asked for: one object per line, with a
//! member per element of the template.
//!
//! Bytes are those of Go's `encoding/json`: members by name, and `<`, `>` and `&` escaped, as well
//! as two ends of lines that only JavaScript knows.

use std::io::{self, Write};

use flow::{Batch, Contents, Family, FlowRecord, Layout, Value};
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;

/// Makes lines of records.
#[derive(Debug)]
pub(super) struct Lines {
    v4: Layout,
    v6: Layout,
    cluster_id: String,
}

impl Lines {
    pub(super) fn new(contents: Contents, cluster_id: String) -> Self {
        let layout = |family| Layout::antrea(contents, family).sorted();
        Self { v4: layout(Family::V4), v6: layout(Family::V6), cluster_id }
    }

    /// Appends a line for each record, as of `now_ms` (milliseconds since 1970).
    pub(super) fn append(&self, batch: &Batch, now_ms: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string();
        for record in batch.iter() {
            let line = Line { now: &now, members: Members { lines: self, record } };
            line.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, ForBrowsers))?;
            out.push(b'\n');
        }
        Ok(())
    }
}

struct Line<'a> {
    now: &'a str,
    members: Members<'a>,
}

struct Members<'a> {
    lines: &'a Lines,
    record: &'a FlowRecord,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(Some(2))?;
        line.serialize_entry("@timestamp", self.now)?;
        line.serialize_entry("ipfix", &self.members)?;
        line.end()
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Lines { v4, v6, cluster_id } = self.lines;
        let layout = if Family::of(self.record) == Family::V4 { v4 } else { v6 };
        let mut members = serializer.serialize_map(None)?;
        for (name, value) in layout.values(self.record, cluster_id) {
            match value {
                Value::Number(number) => members.serialize_entry(name, &number)?,
                Value::Address(address) => members.serialize_entry(name, &address)?,
                Value::Text(text) => members.serialize_entry(name, text)?,
                Value::Uuid(uid) => members.serialize_entry(name, &uid.to_string())?,
            }
        }
        members.end()
    }
}

/// Escapes what must not stand in a page as it is.
struct ForBrowsers;

impl Formatter for ForBrowsers {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        const ESCAPED: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        let mut rest = fragment;
        while let Some((place, character)) =
            rest.char_indices().find(|(_, character)| ESCAPED.contains(character))
        {
            let (before, from) = rest.split_at(place);
            write!(writer, "{before}\\u{:04x}", u32::from(character))?;
            rest = from.get(character.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}
