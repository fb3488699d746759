//! A Pod's labels: a message with a map, and in a record a JSON object with its keys sorted.

use std::collections::BTreeMap;

use crate::Malformed;
use crate::wire::{BYTES, Key, Reader, Value, begin, put_bytes};

/// Of a `Labels`, and of each of its entries.
const ENTRY: Key = Key::new(1, BYTES);
const KEY: Key = Key::new(1, BYTES);
const VALUE: Key = Key::new(2, BYTES);

/// The text of a message `Labels`; `None` if something in it is no text.
pub(crate) fn read(mut message: Reader<'_>) -> Result<Option<String>, Malformed> {
    let mut labels = BTreeMap::new();
    while let Some((number, entry)) = message.field()? {
        let (1, Value::Bytes(mut entry)) = (number, entry) else { continue };
        let (mut key, mut value) = (&[][..], &[][..]);
        while let Some((number, part)) = entry.field()? {
            match (number, part) {
                (1, Value::Bytes(text)) => key = text.rest(),
                (2, Value::Bytes(text)) => value = text.rest(),
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

/// Appends them as a field; nothing if `text` is no object of texts, as where it is empty because
/// labels were not looked up.
pub(crate) fn put(out: &mut Vec<u8>, key: Key, text: &str) {
    if text.is_empty() {
        return;
    }
    let Ok(labels) = serde_json::from_str::<BTreeMap<String, String>>(text) else { return };
    let message = begin(out, key);
    for (key, value) in &labels {
        let entry = begin(out, ENTRY);
        for (part, text) in [(KEY, key), (VALUE, value)] {
            if !text.is_empty() {
                put_bytes(out, part, text.as_bytes());
            }
        }
        entry.end(out);
    }
    message.end(out);
}
