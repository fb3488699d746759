//! What a request asks for, read from its method, path and query.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use hyper::Method;
use hyper::header::{ACCEPT, USER_AGENT};
use hyper::http::request::Parts;

use super::refusal::Refusal;
use super::resources::{ResourceId, is_review};
use super::selector::Selector;
use super::store::{Key, View};

/// A verb of Kubernetes' access control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Display for Verb {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

/// A request for a resource, whether or not there is one of that name.
#[derive(Debug)]
pub(crate) struct ResourceRequest {
    pub(crate) verb: Verb,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) subresource: String,
    /// Empty for what belongs to the cluster, and for lists across namespaces.
    pub(crate) namespace: String,
    /// Empty if no object is named.
    pub(crate) name: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) view: View,
    /// Whose fields those are that it sets.
    pub(crate) manager: String,
}

impl ResourceRequest {
    /// Reads a request; `None` if the path is not that of a resource.
    pub(crate) fn read(parts: &Parts) -> Option<Self> {
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // `namespaces/NAME/status` is about the Namespace itself.
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return None,
        };
        let query = query(parts.uri.query().unwrap_or_default());
        let mut request = Self {
            manager: manager(parts, &query),
            verb: verb(&parts.method, name, &query)?,
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            query,
            view: view(parts),
        };
        if request.name.is_empty()
            && let Ok((_, selector)) = request.selection()
            && let Some(name) = selector.name()
        {
            // So that access can be granted by name to lists of one object.
            name.clone_into(&mut request.name);
        }
        Some(request)
    }

    pub(crate) fn is_review(&self) -> bool {
        self.verb == Verb::Create && is_review(&self.group, &self.plural)
    }

    /// Everybody may ask what they may do.
    pub(crate) fn asks_about_itself(&self) -> bool {
        self.is_review() && self.plural.starts_with("selfsubject")
    }

    pub(crate) fn resource(&self) -> Result<ResourceId, Refusal> {
        let found = ResourceId::find(&self.group, &self.version, &self.plural);
        let resource = found.ok_or_else(Refusal::no_such_path)?;
        let served = matches!(self.subresource.as_str(), "" | "status");
        if served { Ok(resource) } else { Err(Refusal::no_such_path()) }
    }

    pub(crate) fn key(&self) -> Result<Key, Refusal> {
        let resource = self.resource()?;
        if resource.row().namespaced == self.namespace.is_empty() {
            return Err(Refusal::no_such_path());
        }
        Ok(Key { resource, namespace: self.namespace.clone(), name: self.name.clone() })
    }

    /// What a list or a watch is about.
    pub(crate) fn selection(&self) -> Result<(ResourceId, Selector), Refusal> {
        let resource = self.resource()?;
        let (labels, fields) = (self.value("labelSelector"), self.value("fieldSelector"));
        Ok((resource, Selector::parse(labels, fields, resource.row())?))
    }

    /// A query parameter; empty if it is not given.
    pub(crate) fn value(&self, parameter: &str) -> &str {
        self.query.get(parameter).map_or("", String::as_str)
    }

    pub(crate) fn is_set(&self, parameter: &str) -> bool {
        matches!(self.value(parameter), "true" | "1")
    }

    /// A number among the query parameters; 0 if it is not given.
    pub(crate) fn number(&self, parameter: &str) -> Result<u64, Refusal> {
        let text = self.value(parameter);
        if text.is_empty() {
            return Ok(0);
        }
        let malformed = |_| Refusal::bad_request(format!("invalid {parameter}: {text:?}"));
        text.parse().map_err(malformed)
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.query.contains_key("dryRun")
    }
}

fn query(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn verb(method: &Method, name: &str, query: &HashMap<String, String>) -> Option<Verb> {
    let watches = query.get("watch").is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    Some(match (method.as_str(), name.is_empty()) {
        ("GET", true) if watches => Verb::Watch,
        ("GET", true) => Verb::List,
        ("GET", false) => Verb::Get,
        ("POST", true) => Verb::Create,
        ("PUT", false) => Verb::Update,
        ("PATCH", false) => Verb::Patch,
        ("DELETE", false) => Verb::Delete,
        ("DELETE", true) => Verb::DeleteCollection,
        _ => return None,
    })
}

/// By default the name of the program.
fn manager(parts: &Parts, query: &HashMap<String, String>) -> String {
    let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let program = agent.unwrap_or("unknown").split('/').next().unwrap_or_default();
    query.get("fieldManager").map_or(program, String::as_str).to_owned()
}

/// `Table` is never given; clients that ask for it take JSON too.
fn view(parts: &Parts) -> View {
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let first = accept.unwrap_or_default().split(',').next().unwrap_or_default();
    if first.contains("as=PartialObjectMetadata") { View::Metadata } else { View::Whole }
}
