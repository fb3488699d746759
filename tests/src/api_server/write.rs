//! Changes: create, update, patch, delete.

use hyper::Response;
use serde_json::{Value, json};

use super::Shared;
use super::body::{Answer, json, object};
use super::owners::Owners;
use super::patch::patched;
use super::protobuf;
use super::refusal::Refusal;
use super::request::ResourceRequest;
use super::resources::ResourceId;
use super::store::{Key, Stored};

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
                        version and try again";

pub(crate) fn create(
    request: &ResourceRequest,
    content_type: &str,
    body: &[u8],
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let value = read(content_type, body)?;
    let (key, value) = new_object(request.resource()?, &request.namespace, value)?;
    let owners = Owners::default().after_write(&request.manager, &Value::Null, &value);
    insert(key, value, owners, request, shared)
}

/// A new object, complete but for its version, and where it goes.
pub(crate) fn new_object(
    resource: ResourceId,
    namespace: &str,
    mut value: Value,
) -> Result<(Key, Value), Refusal> {
    let row = resource.row();
    let right = value["kind"] == row.kind && value["apiVersion"] == row.api_version();
    if !right || !value["metadata"].is_object() {
        let message = format!("the body is not a {} of {}", row.kind, row.api_version());
        return Err(Refusal::bad_request(message));
    }
    let metadata = &mut value["metadata"];
    let named = metadata["name"].as_str().unwrap_or_default().to_owned();
    let prefix = metadata["generateName"].as_str().unwrap_or_default().to_owned();
    let name = match (named.is_empty(), prefix.is_empty()) {
        (false, _) => named,
        (true, false) => prefix + &suffix(),
        (true, true) => {
            let why = "metadata.name: Required value: name or generateName is required";
            return Err(Refusal::invalid(row, "", why));
        }
    };
    let own = metadata["namespace"].as_str().unwrap_or_default();
    if !own.is_empty() && own != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on \
                       the request";
        return Err(Refusal::bad_request(message));
    }
    metadata["name"] = name.clone().into();
    if row.namespaced {
        if namespace.is_empty() {
            return Err(Refusal::no_such_path());
        }
        metadata["namespace"] = namespace.into();
    }
    metadata["uid"] = uid().into();
    metadata["creationTimestamp"] = now().into();
    let key = Key { resource, namespace: namespace.to_owned(), name };
    Ok((key, value))
}

fn insert(
    key: Key,
    value: Value,
    owners: Owners,
    request: &ResourceRequest,
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let mut state = shared.state();
    if state.store.get(&key).is_some() {
        return Err(Refusal::already_exists(key.resource.row(), &key.name));
    }
    if request.is_dry_run() {
        return Ok(object(201, &value));
    }
    let stored = state.store.put(key, value, owners);
    drop(state);
    shared.changed();
    Ok(json(201, stored.text(request.view).to_owned()))
}

pub(crate) fn update(
    request: &ResourceRequest,
    content_type: &str,
    body: &[u8],
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let key = request.key()?;
    let value = read(content_type, body)?;
    change(&key, request, shared, |_| Ok((value, None)))
}

pub(crate) fn patch(
    request: &ResourceRequest,
    content_type: &str,
    body: &[u8],
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let key = request.key()?;
    if content_type.starts_with("application/apply-patch") {
        return apply(&key, request, body, shared);
    }
    change(&key, request, shared, |current| {
        Ok((patched(&current.value, content_type, body)?, None))
    })
}

/// Server-side apply: what is not there is created.
fn apply(
    key: &Key,
    request: &ResourceRequest,
    body: &[u8],
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    if request.value("fieldManager").is_empty() {
        let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is \
                       required for apply patch";
        return Err(Refusal::new(422, "Invalid", message));
    }
    let wanted = yaml(body)?;
    let (manager, force) = (&request.manager, request.is_set("force"));
    if shared.state().store.get(key).is_some() {
        return change(key, request, shared, |current| {
            let applied = current.owners.apply(manager, force, &current.value, &wanted);
            applied.map(|(value, owners)| (value, Some(owners)))
        });
    }
    let (_, owners) = Owners::default().apply(manager, force, &Value::Null, &wanted)?;
    let mut value = wanted;
    value["metadata"]["name"] = key.name.clone().into();
    let (key, value) = new_object(key.resource, &key.namespace, value)?;
    insert(key, value, owners, request, shared)
}

/// Replaces an object by what `make` makes of it. Whose its fields are then follows from what
/// changed, unless `make` says.
fn change(
    key: &Key,
    request: &ResourceRequest,
    shared: &Shared,
    make: impl FnOnce(&Stored) -> Result<(Value, Option<Owners>), Refusal>,
) -> Result<Response<Answer>, Refusal> {
    let row = key.resource.row();
    let mut state = shared.state();
    let current = state.store.get(key).ok_or_else(|| Refusal::not_found(row, &key.name))?;
    let (mut value, owners) = make(current)?;
    let version = &value["metadata"]["resourceVersion"];
    if version.as_str().is_some_and(|version| !version.is_empty() && version != current.version()) {
        return Err(Refusal::conflict(row, &key.name, MODIFIED));
    }
    if value["metadata"]["name"] != key.name.as_str() {
        let message = "the name of the object does not match the name on the URL";
        return Err(Refusal::bad_request(message));
    }
    if request.subresource == "status" {
        let status = value["status"].take();
        value = current.value.clone();
        value["status"] = status;
    }
    keep_identity(&mut value, &current.value);
    value["metadata"]["resourceVersion"] = current.version().into();
    let owners = owners
        .unwrap_or_else(|| current.owners.after_write(&request.manager, &current.value, &value));
    if request.is_dry_run() {
        return Ok(object(200, &value));
    }
    if value == current.value && owners == current.owners {
        // Nothing changed: no new version, and watches are not told.
        return Ok(json(200, current.text(request.view).to_owned()));
    }
    let stored = state.store.put(key.clone(), value, owners);
    drop(state);
    shared.changed();
    Ok(json(200, stored.text(request.view).to_owned()))
}

/// What no client can change.
fn keep_identity(value: &mut Value, current: &Value) {
    for field in ["uid", "creationTimestamp", "namespace"] {
        if let Some(kept) = current["metadata"].get(field) {
            value["metadata"][field] = kept.clone();
        }
    }
    // Clients may leave out what the path says.
    for field in ["kind", "apiVersion"] {
        value[field] = current[field].clone();
    }
}

pub(crate) fn delete(
    request: &ResourceRequest,
    body: &[u8],
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let key = request.key()?;
    let row = key.resource.row();
    let options: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut state = shared.state();
    let current = state.store.get(&key).ok_or_else(|| Refusal::not_found(row, &key.name))?;
    check_preconditions(&options["preconditions"], current)
        .map_err(|why| Refusal::conflict(row, &key.name, &why))?;
    let uid = current.uid().to_owned();
    if !request.is_dry_run() {
        state.store.remove(&key);
    }
    drop(state);
    shared.changed();
    Ok(object(
        200,
        &success(json!({
            "name": key.name, "group": row.group, "kind": row.plural, "uid": uid,
        })),
    ))
}

fn check_preconditions(wanted: &Value, current: &Stored) -> Result<(), String> {
    let pairs =
        [("UID", "uid", current.uid()), ("ResourceVersion", "resourceVersion", current.version())];
    for (name, field, is) in pairs {
        if let Some(wanted) = wanted[field].as_str()
            && wanted != is
        {
            return Err(format!(
                "the {name} in the precondition ({wanted}) does not match the {name} in record \
                 ({is}). The object might have been deleted and then recreated"
            ));
        }
    }
    Ok(())
}

pub(crate) fn delete_all(
    request: &ResourceRequest,
    shared: &Shared,
) -> Result<Response<Answer>, Refusal> {
    let (resource, selector) = request.selection()?;
    let mut state = shared.state();
    let all = state.store.of(resource, &request.namespace);
    let wanted = all.filter(|(_, object)| selector.matches(&object.value));
    let keys: Vec<Key> = wanted.map(|(key, _)| key.clone()).collect();
    for key in &keys {
        state.store.remove(key);
    }
    drop(state);
    shared.changed();
    Ok(object(200, &success(Value::Null)))
}

fn success(details: Value) -> Value {
    let mut status =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    if !details.is_null() {
        status["details"] = details;
    }
    status
}

/// A body in JSON or YAML.
pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    if content_type.contains("protobuf") || content_type.contains("cbor") {
        if let Some(value) = protobuf::read(body) {
            return Ok(value);
        }
        let message = format!("the body of the request was in an unknown format: {content_type}");
        return Err(Refusal::new(415, "UnsupportedMediaType", message));
    }
    if content_type.contains("yaml") {
        return yaml(body);
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))
}

pub(crate) fn yaml(body: &[u8]) -> Result<Value, Refusal> {
    serde_yaml::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))
}

/// What `generateName` is completed by.
fn suffix() -> String {
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(letters[rand::random_range(0..letters.len())])).collect()
}

fn uid() -> String {
    let bits: u128 = rand::random();
    let hex = format!("{bits:032x}");
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// To the second, as `creationTimestamp` is.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).expect("a time of today").to_string()
}
