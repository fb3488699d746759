//! A Pod's labels: a message with a map, and in a record a JSON object with its keys sorted.

use std::collections::BTreeMap;

use crate::Malformed;
use crate::wire::{BYTES, Reader, Value, put_bytes, put_key, set_length};

/// The text of a message `Labels`; `None` if something in it is no text.
pub(crate) fn read(message: &[u8]) -> Result<Option<String>, Malformed> {
    let mut labels = BTreeMap::new();
    let mut entries = Reader(message);
    while let Some((number, entry)) = entries.field()? {
        let (1, Value::Bytes(entry)) = (number, entry) else { continue };
        let (mut key, mut value) = (&[][..], &[][..]);
        let mut fields = Reader(entry);
        while let Some((number, part)) = fields.field()? {
            match (number, part) {
                (1, Value::Bytes(text)) => key = text,
                (2, Value::Bytes(text)) => value = text,
                _ => {}
            }
        }
        let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value)) else {
            return Ok(None);
        };
        labels.insert(key, value);
    }
    Ok(serde_json::to_string(&labels).ok())
}

/// Appends field `number`; nothing if `text` is no object of texts, as where it is empty because
/// labels were not looked up.
pub(crate) fn put(out: &mut Vec<u8>, number: usize, text: &str) {
    let Ok(labels) = serde_json::from_str::<BTreeMap<String, String>>(text) else { return };
    put_key(out, number, BYTES);
    out.push(0);
    let body = out.len();
    for (key, value) in &labels {
        put_key(out, 1, BYTES);
        out.push(0);
        let entry = out.len();
        for (number, text) in [(1, key), (2, value)] {
            if !text.is_empty() {
                put_bytes(out, number, text.as_bytes());
            }
        }
        set_length(out, entry);
    }
    set_length(out, body);
}
