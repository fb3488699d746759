//! Strategic merge patches: lists of things that have a key are merged by it.

use serde_json::{Map, Value};

/// The keys of lists, by the name of the field; the first that every item has.
const MERGE_KEYS: &[(&str, &[&str])] = &[
    ("addresses", &["type"]),
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("ports", &["containerPort", "port"]),
    ("secrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// By what the items of a list are told apart; `None` if it is only replaced as a whole.
pub(crate) fn merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    let (_, keys) = MERGE_KEYS.iter().find(|(name, _)| *name == field)?;
    let all_have = |key: &&&str| items.iter().all(|item| item.get(**key).is_some());
    keys.iter().find(all_have).copied()
}

/// Merges `patch` into `target`, an object both.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() || patch["$patch"] == "replace" {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (field, change) in changes {
        match field.split_once('/') {
            _ if field == "$patch" => {}
            _ if field == "$retainKeys" => fields.retain(|name, _| has(change, name)),
            Some(("$deleteFromPrimitiveList", list)) => {
                if let Some(Value::Array(items)) = fields.get_mut(list) {
                    items.retain(|item| !change.as_array().is_some_and(|gone| gone.contains(item)));
                }
            }
            Some(("$setElementOrder", _)) => {}
            _ => merge_field(fields, field, change, changes),
        }
    }
    for (field, order) in changes {
        if let Some(list) = field.strip_prefix("$setElementOrder/")
            && let (Some(Value::Array(items)), Some(order)) =
                (fields.get_mut(list), order.as_array())
        {
            sort(list, items, order);
        }
    }
}

fn has(names: &Value, name: &str) -> bool {
    names.as_array().is_some_and(|names| names.iter().any(|one| one == name))
}

fn merge_field(
    fields: &mut Map<String, Value>,
    field: &str,
    change: &Value,
    changes: &Map<String, Value>,
) {
    match change {
        Value::Null => {
            fields.remove(field);
        }
        Value::Object(_) => merge(fields.entry(field).or_insert(Value::Null), change),
        Value::Array(items) => {
            let ordered = changes.contains_key(&format!("$setElementOrder/{field}"));
            let list = fields.entry(field).or_insert_with(|| Value::Array(Vec::new()));
            match (list.as_array_mut(), merge_key(field, items)) {
                (Some(list), Some(key)) => merge_items(list, items, key),
                (Some(list), None) if ordered => {
                    let new = items.iter().filter(|item| !list.contains(item)).cloned();
                    let new: Vec<_> = new.collect();
                    list.extend(new);
                }
                _ => *list = change.clone(),
            }
        }
        plain => {
            fields.insert(field.to_owned(), plain.clone());
        }
    }
}

fn merge_items(list: &mut Vec<Value>, items: &[Value], key: &str) {
    if items.iter().any(|item| item["$patch"] == "replace") {
        list.clear();
    }
    for item in items {
        let place = list.iter().position(|old| old[key] == item[key]);
        match (item["$patch"].as_str(), place) {
            (Some("delete"), Some(place)) => drop(list.remove(place)),
            (Some("delete" | "replace"), _) => {}
            (_, Some(place)) => merge(&mut list[place], item),
            (_, None) => {
                list.push(Value::Null);
                if let Some(new) = list.last_mut() {
                    merge(new, item);
                }
            }
        }
    }
}

/// What is not in `order` stays behind what is.
fn sort(field: &str, items: &mut [Value], order: &[Value]) {
    let key = merge_key(field, order);
    let same = |item: &Value, wanted: &Value| match key {
        Some(key) => item[key] == wanted[key],
        None => item == wanted,
    };
    items.sort_by_key(|item| {
        order.iter().position(|wanted| same(item, wanted)).unwrap_or(order.len())
    });
}
