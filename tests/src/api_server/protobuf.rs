//! The few messages that kubectl sends as protobuf and no other way: questions about itself.
//!
//! Field numbers are those of `generated.proto` in the API groups of Kubernetes.

use serde_json::{Map, Value, json};

/// Every message begins with it.
const MAGIC: &[u8] = b"k8s\0";

/// The texts and messages in a message, by number.
enum Field {
    Text(&'static str),
    Message(&'static str, &'static [(u64, Field)]),
}

const ENVELOPE: &[(u64, Field)] =
    &[(1, Field::Message("type", &[(1, Field::Text("apiVersion")), (2, Field::Text("kind"))]))];

const ATTRIBUTES: &[(u64, Field)] = &[
    (1, Field::Text("namespace")),
    (2, Field::Text("verb")),
    (3, Field::Text("group")),
    (4, Field::Text("version")),
    (5, Field::Text("resource")),
    (6, Field::Text("subresource")),
    (7, Field::Text("name")),
];

const ACCESS_REVIEW: &[(u64, Field)] =
    &[(2, Field::Message("spec", &[(1, Field::Message("resourceAttributes", ATTRIBUTES))]))];

const RULES_REVIEW: &[(u64, Field)] =
    &[(2, Field::Message("spec", &[(1, Field::Text("namespace"))]))];

/// Reads a body; `None` if it is none of the few.
pub(crate) fn read(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let about = decode(envelope, ENVELOPE)?;
    let kind = about["type"]["kind"].as_str()?.to_owned();
    let fields = match kind.as_str() {
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "SelfSubjectReview" => &[],
        _ => return None,
    };
    let (_, raw) = pairs(envelope)?.into_iter().find(|(number, _)| *number == 2)?;
    let mut review = decode(raw, fields)?;
    review["kind"] = kind.into();
    review["apiVersion"] = about["type"]["apiVersion"].clone();
    review["metadata"] = json!({});
    Some(review)
}

fn decode(message: &[u8], fields: &[(u64, Field)]) -> Option<Value> {
    let mut object = Map::new();
    for (number, bytes) in pairs(message)? {
        match fields.iter().find(|(known, _)| *known == number) {
            Some((_, Field::Text(name))) => {
                let text = String::from_utf8(bytes.to_vec()).ok()?;
                object.insert((*name).to_owned(), text.into());
            }
            Some((_, Field::Message(name, fields))) => {
                object.insert((*name).to_owned(), decode(bytes, fields)?);
            }
            None => {}
        }
    }
    Some(object.into())
}

/// Numbers and contents of the fields that have a length; others are skipped.
fn pairs(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut all = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                all.push((tag >> 3, bytes));
                message = rest;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(all)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
