//! Which client last set which field, so that server-side apply can take back what a client no
//! longer wants, and refuse to overwrite what another one set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::strategic::{self, merge_key};

/// Fields of `metadata` that are nobody's.
const IDENTITY: [&str; 7] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(String),
    /// An item of a list: the name of its key, and the key in JSON.
    Item(&'static str, String),
}

type Path = Vec<Step>;

/// The fields set by each client, apart by whether it applied or wrote them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owners(Vec<Owner>);

#[derive(Clone, Debug, PartialEq)]
struct Owner {
    manager: String,
    applied: bool,
    fields: BTreeSet<Path>,
}

impl Owners {
    /// Who owns what after `manager` wrote `new` over `old`.
    pub(crate) fn after_write(&self, manager: &str, old: &Value, new: &Value) -> Self {
        let (old, new) = (leaves(old), leaves(new));
        let mut owners = self.clone();
        for owner in &mut owners.0 {
            owner.fields.retain(|path| old.get(path) == new.get(path));
        }
        let changed = new.iter().filter(|(path, value)| old.get(*path) != Some(*value));
        let changed: Vec<Path> = changed.map(|(path, _)| path.clone()).collect();
        owners.of(manager, false).fields.extend(changed);
        owners.0.retain(|owner| !owner.fields.is_empty());
        owners
    }

    /// What becomes of `current`, and who owns what, after `manager` applied `wanted`.
    pub(crate) fn apply(
        &self,
        manager: &str,
        force: bool,
        current: &Value,
        wanted: &Value,
    ) -> Result<(Value, Self), Refusal> {
        let (is, wants) = (leaves(current), leaves(wanted));
        let mut owners = self.clone();
        let conflicts = |owner: &Owner, path: &Path| {
            let own = owner.applied && owner.manager == manager;
            !own && wants.get(path).is_some_and(|value| is.get(path) != Some(value))
        };
        let mut found = Vec::new();
        for owner in &mut owners.0 {
            let of = owner.clone();
            owner.fields.retain(|path| {
                let conflicts = conflicts(&of, path);
                if conflicts {
                    found.push((of.clone(), spelled(path)));
                }
                !conflicts
            });
        }
        if !force && !found.is_empty() {
            return Err(refused(&found));
        }
        let fields = wants.keys().map(|path| (*path).clone()).collect();
        let before = std::mem::replace(&mut owners.of(manager, true).fields, fields);
        let mut value = current.clone();
        for path in before {
            if !owners.0.iter().any(|owner| owner.fields.contains(&path)) {
                remove(&mut value, &path);
            }
        }
        owners.0.retain(|owner| !owner.fields.is_empty());
        strategic::merge(&mut value, wanted);
        Ok((value, owners))
    }

    fn of(&mut self, manager: &str, applied: bool) -> &mut Owner {
        let is_it = |owner: &Owner| owner.manager == manager && owner.applied == applied;
        let place = self.0.iter().position(is_it).unwrap_or_else(|| {
            let manager = manager.to_owned();
            self.0.push(Owner { manager, applied, fields: BTreeSet::new() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

fn refused(conflicts: &[(Owner, String)]) -> Refusal {
    let plural = if conflicts.len() == 1 { "" } else { "s" };
    let mut message = format!("Apply failed with {} conflict{plural}:", conflicts.len());
    let mut causes = Vec::new();
    for (owner, field) in conflicts {
        let using = if owner.applied { "" } else { " using v1" };
        let cause = format!("conflict with {:?}{using}", owner.manager);
        write!(message, " {cause}: {field}").expect("a text takes any text");
        causes.push(json!({
            "reason": "FieldManagerConflict", "message": cause, "field": field,
        }));
    }
    Refusal::new(409, "Conflict", message).details(json!({ "causes": causes }))
}

/// Every field that holds something, with what it holds.
fn leaves(object: &Value) -> BTreeMap<Path, &Value> {
    let mut all = BTreeMap::new();
    for (field, value) in object.as_object().into_iter().flatten() {
        match field.as_str() {
            "kind" | "apiVersion" => {}
            "metadata" => {
                let fields = value.as_object().into_iter().flatten();
                for (name, value) in fields.filter(|(name, _)| !IDENTITY.contains(&name.as_str())) {
                    let mut path = vec![Step::Field(field.clone()), Step::Field(name.clone())];
                    collect(&mut path, name, value, &mut all);
                }
            }
            name => collect(&mut vec![Step::Field(name.to_owned())], name, value, &mut all),
        }
    }
    all
}

fn collect<'a>(
    path: &mut Path,
    field: &str,
    value: &'a Value,
    all: &mut BTreeMap<Path, &'a Value>,
) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                path.push(Step::Field(name.clone()));
                collect(path, name, value, all);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && merge_key(field, items).is_some() => {
            let key = merge_key(field, items).unwrap_or_default();
            for item in items {
                path.push(Step::Item(key, item[key].to_string()));
                collect(path, "", item, all);
                path.pop();
            }
        }
        _ => {
            all.insert(path.clone(), value);
        }
    }
}

/// Removes a field, and what is empty then. Returns whether nothing is left.
fn remove(value: &mut Value, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    match (step, value) {
        (Step::Field(name), Value::Object(fields)) => {
            if fields.get_mut(name).is_some_and(|field| remove(field, rest)) {
                fields.remove(name);
            }
            fields.is_empty()
        }
        (Step::Item(key, wanted), Value::Array(items)) => {
            let place = items.iter().position(|item| format!("{}", item[*key]) == *wanted);
            if let Some(place) = place
                && remove(&mut items[place], rest)
            {
                items.remove(place);
            }
            items.is_empty()
        }
        _ => false,
    }
}

/// As messages say it: `.spec.containers[name="a"].image`.
fn spelled(path: &Path) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) => write!(text, ".{name}"),
            Step::Item(key, value) => write!(text, "[{key}={value}]"),
        }
        .expect("a text takes any text");
    }
    text
}
