//! Patches: what becomes of an object.

use serde_json::Value;

use super::refusal::Refusal;
use super::strategic;

pub(crate) fn patched(current: &Value, content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let mut value = current.clone();
    // A patch replaces whatever is there, unless it names a version itself.
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let malformed = |error: serde_json::Error| Refusal::bad_request(error.to_string());
    match content_type.split(';').next().unwrap_or_default() {
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(malformed)?;
            let failed = |error: json_patch::PatchError| {
                let message = "the server rejected our request due to an error in our request";
                Refusal::new(422, "Invalid", format!("{message}: {error}"))
            };
            json_patch::patch(&mut value, &patch).map_err(failed)?;
        }
        "application/merge-patch+json" => {
            let patch = serde_json::from_slice(body).map_err(malformed)?;
            json_patch::merge(&mut value, &patch);
        }
        "application/strategic-merge-patch+json" => {
            let patch = serde_json::from_slice(body).map_err(malformed)?;
            strategic::merge(&mut value, &patch);
        }
        other => {
            let message = format!("the body of the request was in an unknown format: {other}");
            return Err(Refusal::new(415, "UnsupportedMediaType", message));
        }
    }
    Ok(value)
}
