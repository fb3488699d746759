//! Questions about tokens and access, answered from the rules.

use serde_json::{Value, json};

use super::access::{Access, Attempt, Rule, User};
use super::refusal::Refusal;
use super::request::ResourceRequest;

/// Answers a review; `caller` is whoever asks, if it matters.
pub(crate) fn answer(
    request: &ResourceRequest,
    mut review: Value,
    caller: Option<&User>,
    access: &Access,
) -> Result<Value, Refusal> {
    let spec = &review["spec"];
    let status = match request.plural.as_str() {
        "tokenreviews" => token(spec, access),
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let user = access.user(spec["user"].as_str().unwrap_or_default());
            decision(access.is_open() || user.is_some_and(|user| may(user, spec)))
        }
        "selfsubjectaccessreviews" => decision(caller.is_none_or(|user| may(user, spec))),
        "selfsubjectrulesreviews" => rules(caller, spec["namespace"].as_str().unwrap_or_default()),
        "selfsubjectreviews" => json!({ "userInfo": caller.map_or_else(anonymous, info) }),
        _ => return Err(Refusal::no_such_path()),
    };
    review["status"] = status;
    Ok(review)
}

fn token(spec: &Value, access: &Access) -> Value {
    match access.owner(spec["token"].as_str().unwrap_or_default()) {
        Some(user) => {
            let audiences = spec.get("audiences").cloned();
            let audiences = audiences.unwrap_or_else(|| json!(["https://kubernetes.default.svc"]));
            json!({ "authenticated": true, "user": info(user), "audiences": audiences })
        }
        None => json!({ "authenticated": false, "user": {}, "error": "invalid bearer token" }),
    }
}

fn info(user: &User) -> Value {
    json!({ "username": user.name, "groups": user.groups })
}

fn anonymous() -> Value {
    json!({ "username": "system:anonymous", "groups": ["system:unauthenticated"] })
}

fn decision(allowed: bool) -> Value {
    if allowed { json!({ "allowed": true }) } else { json!({ "allowed": false, "reason": "" }) }
}

fn may(user: &User, spec: &Value) -> bool {
    if let Value::Object(wanted) = &spec["nonResourceAttributes"] {
        let text = |field: &str| wanted.get(field).and_then(Value::as_str).unwrap_or_default();
        return user.may_at(text("verb"), text("path"));
    }
    let wanted = &spec["resourceAttributes"];
    let text = |field: &str| wanted[field].as_str().unwrap_or_default().to_owned();
    user.may(&Attempt {
        verb: text("verb"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
    })
}

fn rules(caller: Option<&User>, namespace: &str) -> Value {
    let here = |rule: &&Rule| {
        rule.namespaces.is_empty() || rule.namespaces.iter().any(|one| one == namespace)
    };
    let rules = match caller {
        Some(user) => json!(user.rules.iter().filter(here).collect::<Vec<_>>()),
        None => json!([{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }]),
    };
    json!({ "resourceRules": rules, "nonResourceRules": [], "incomplete": false })
}
