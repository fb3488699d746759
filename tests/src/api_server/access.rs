//! Who asks, and what they may do: users, their tokens, and rules as RBAC writes them.

use std::collections::HashMap;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::refusal::Refusal;
use super::request::ResourceRequest;
use super::resources::qualified;

/// What a rule file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    users: Vec<User>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// A rule of a Role or `ClusterRole`, and where it holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    #[serde(default)]
    pub(crate) api_groups: Vec<String>,
    #[serde(default)]
    pub(crate) resources: Vec<String>,
    /// Paths that are no resources'.
    #[serde(default, rename = "nonResourceURLs", skip_serializing)]
    pub(crate) non_resource_urls: Vec<String>,
    #[serde(default)]
    pub(crate) resource_names: Vec<String>,
    /// In which namespaces, as of a `RoleBinding`; empty means in all of them and of the
    /// cluster, as of a `ClusterRoleBinding`.
    #[serde(default, skip_serializing)]
    pub(crate) namespaces: Vec<String>,
}

/// Something somebody would like to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Who may do what. Without users everybody may do everything.
#[derive(Debug, Default)]
pub(crate) struct Access {
    users: Option<Vec<User>>,
    /// The names of users by token.
    tokens: HashMap<String, String>,
}

impl Access {
    pub(crate) fn read(yaml: &str) -> Result<Self, serde_yaml::Error> {
        let file: RuleFile = serde_yaml::from_str(yaml)?;
        let token = |user: &User| Some((user.token.clone()?, user.name.clone()));
        let tokens = file.users.iter().filter_map(token).collect();
        Ok(Self { users: Some(file.users), tokens })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.users.is_none()
    }

    pub(crate) fn accept(&mut self, token: &str, user: &str) {
        self.tokens.insert(token.to_owned(), user.to_owned());
    }

    pub(crate) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Whose token this is.
    pub(crate) fn owner(&self, token: &str) -> Option<&User> {
        self.user(self.tokens.get(token)?)
    }

    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.as_ref()?.iter().find(|user| user.name == name)
    }

    /// Who sends a request; `None` if that does not matter.
    pub(crate) fn caller(&self, parts: &Parts) -> Result<Option<User>, Refusal> {
        if self.is_open() {
            return Ok(None);
        }
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let user = token.and_then(|token| self.owner(token));
        Ok(Some(user.ok_or_else(Refusal::unauthorized)?.clone()))
    }
}

impl User {
    pub(crate) fn may(&self, attempt: &Attempt) -> bool {
        self.rules.iter().any(|rule| rule.allows(attempt))
    }

    /// Whether a verb is allowed on a path that is no resource's.
    pub(crate) fn may_at(&self, verb: &str, path: &str) -> bool {
        let has =
            |list: &[String], wanted: &str| list.iter().any(|one| one == "*" || one == wanted);
        self.rules.iter().any(|it| has(&it.verbs, verb) && has(&it.non_resource_urls, path))
    }

    /// Refuses what the user may not do, in the words of a real server.
    pub(crate) fn check(&self, attempt: &Attempt) -> Result<(), Refusal> {
        if self.may(attempt) {
            return Ok(());
        }
        let what = qualified(&attempt.group, &attempt.resource);
        let name =
            if attempt.name.is_empty() { String::new() } else { format!(" {:?}", attempt.name) };
        let message = format!(
            "{what}{name} is forbidden: User {:?} cannot {} resource {:?} in API group {:?} {}",
            self.name,
            attempt.verb,
            attempt.with_subresource(),
            attempt.group,
            attempt.scope(),
        );
        let mut details = json!({ "group": attempt.group, "kind": attempt.resource });
        if !attempt.name.is_empty() {
            details["name"] = attempt.name.clone().into();
        }
        Err(Refusal::new(403, "Forbidden", message).details(details))
    }
}

impl Rule {
    fn allows(&self, attempt: &Attempt) -> bool {
        let has =
            |list: &[String], wanted: &str| list.iter().any(|one| one == "*" || one == wanted);
        has(&self.verbs, &attempt.verb)
            && has(&self.api_groups, &attempt.group)
            && has(&self.resources, &attempt.with_subresource())
            && (self.resource_names.is_empty() || self.resource_names.contains(&attempt.name))
            && (self.namespaces.is_empty() || self.namespaces.contains(&attempt.namespace))
    }
}

impl Attempt {
    pub(crate) fn of(request: &ResourceRequest) -> Self {
        Self {
            verb: request.verb.to_string(),
            group: request.group.clone(),
            resource: request.plural.clone(),
            subresource: request.subresource.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
        }
    }

    fn with_subresource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    fn scope(&self) -> String {
        if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", self.namespace)
        }
    }
}
