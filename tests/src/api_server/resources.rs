//! The kinds the stand-in serves, one row each, and how they are told to clients that ask
//! (discovery).

use serde_json::{Value, json};

/// One kind of object, as discovery tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    short: &'static str,
    pub(crate) namespaced: bool,
    /// What a field selector may name beside `metadata.name` and `metadata.namespace`.
    pub(crate) fields: &'static [&'static str],
}

/// Objects are a cluster's, not a namespace's.
const CLUSTER: bool = false;
const NAMESPACED: bool = true;

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
];

const RBAC: &str = "rbac.authorization.k8s.io";

const RESOURCES: &[Resource] = &[
    row("", "v1", "Pod", "pods", "po", NAMESPACED, POD_FIELDS),
    row("", "v1", "Service", "services", "svc", NAMESPACED, &["spec.clusterIP", "spec.type"]),
    row("", "v1", "Node", "nodes", "no", CLUSTER, &["spec.unschedulable"]),
    row("", "v1", "Namespace", "namespaces", "ns", CLUSTER, &["status.phase"]),
    row("", "v1", "ConfigMap", "configmaps", "cm", NAMESPACED, &[]),
    row("", "v1", "Secret", "secrets", "", NAMESPACED, &["type"]),
    row("", "v1", "ServiceAccount", "serviceaccounts", "sa", NAMESPACED, &[]),
    row("", "v1", "Event", "events", "ev", NAMESPACED, &[]),
    row("apps", "v1", "ReplicaSet", "replicasets", "rs", NAMESPACED, &[]),
    row("apps", "v1", "Deployment", "deployments", "deploy", NAMESPACED, &[]),
    row("apps", "v1", "DaemonSet", "daemonsets", "ds", NAMESPACED, &[]),
    row("apps", "v1", "StatefulSet", "statefulsets", "sts", NAMESPACED, &[]),
    row("batch", "v1", "Job", "jobs", "", NAMESPACED, &[]),
    row("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", NAMESPACED, &[]),
    row("coordination.k8s.io", "v1", "Lease", "leases", "", NAMESPACED, &[]),
    row(RBAC, "v1", "Role", "roles", "", NAMESPACED, &[]),
    row(RBAC, "v1", "RoleBinding", "rolebindings", "", NAMESPACED, &[]),
    row(RBAC, "v1", "ClusterRole", "clusterroles", "", CLUSTER, &[]),
    row(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", "", CLUSTER, &[]),
    row(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd",
        CLUSTER,
        &[],
    ),
    row("crd.antrea.io", "v1beta1", "Egress", "egresses", "eg", CLUSTER, &[]),
    row(
        "crd.antrea.io",
        "v1alpha1",
        "FlowExporterDestination",
        "flowexporterdestinations",
        "",
        CLUSTER,
        &[],
    ),
];

/// Questions that are answered, and not kept: group, kind, plural, namespaced.
const REVIEWS: &[(&str, &str, &str, bool)] = &[
    ("authentication.k8s.io", "TokenReview", "tokenreviews", CLUSTER),
    ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", CLUSTER),
    ("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", CLUSTER),
    ("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", NAMESPACED),
    ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", CLUSTER),
    ("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", CLUSTER),
];

const fn row(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    namespaced: bool,
    fields: &'static [&'static str],
) -> Resource {
    Resource { group, version, kind, plural, short, namespaced, fields }
}

impl Resource {
    /// As objects say it: `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// As messages say it: `pods`, `deployments.apps`.
    pub(crate) fn qualified(&self) -> String {
        qualified(self.group, self.plural)
    }
}

/// A row of the table; the order of rows is that of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourceId(usize);

impl ResourceId {
    pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        let is_it =
            |row: &Resource| row.group == group && row.version == version && row.plural == plural;
        RESOURCES.iter().position(is_it).map(Self)
    }

    /// By what objects say of themselves.
    pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<Self> {
        let is_it = |row: &Resource| row.kind == kind && row.api_version() == api_version;
        RESOURCES.iter().position(is_it).map(Self)
    }

    pub(crate) fn row(self) -> &'static Resource {
        &RESOURCES[self.0]
    }
}

/// Whether objects posted here are questions.
pub(crate) fn is_review(group: &str, plural: &str) -> bool {
    REVIEWS.iter().any(|(of, _, name, _)| *of == group && *name == plural)
}

pub(crate) fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// What `GET /api...` without a resource answers.
pub(crate) fn discovery(path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => Some(json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().iter().map(api_group).collect::<Vec<_>>(),
        })),
        ["apis", group] => {
            let known = groups();
            let mut answer = api_group(known.iter().find(|(name, _)| name == group)?);
            answer["kind"] = "APIGroup".into();
            answer["apiVersion"] = "v1".into();
            Some(answer)
        }
        ["api", version] => resource_list("", version),
        ["apis", group, version] => resource_list(group, version),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0+stand-in", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "2025-04-23T00:00:00Z", "goVersion": "none",
        "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// Every named group and its versions, the preferred one first, in order of appearance.
fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    let rows = RESOURCES.iter().map(|row| (row.group, row.version));
    let reviews = REVIEWS.iter().map(|(group, ..)| (*group, "v1"));
    for (group, version) in rows.chain(reviews).filter(|(group, _)| !group.is_empty()) {
        match all.iter_mut().find(|(name, _)| *name == group) {
            Some((_, versions)) if versions.contains(&version) => {}
            Some((_, versions)) => versions.push(version),
            None => all.push((group, vec![version])),
        }
    }
    all
}

fn api_group((group, versions): &(&str, Vec<&str>)) -> Value {
    let told = |version: &&str| json!({ "groupVersion": group_version(group, version), "version": version });
    let versions: Vec<_> = versions.iter().map(told).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for row in RESOURCES.iter().filter(|row| (row.group, row.version) == (group, version)) {
        let short: Vec<_> = Some(row.short).filter(|short| !short.is_empty()).into_iter().collect();
        resources.push(json!({
            "name": row.plural, "singularName": row.kind.to_lowercase(), "kind": row.kind,
            "namespaced": row.namespaced, "shortNames": short,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update",
                "watch"],
        }));
        resources.push(json!({
            "name": format!("{}/status", row.plural), "singularName": "", "kind": row.kind,
            "namespaced": row.namespaced, "verbs": ["get", "patch", "update"],
        }));
    }
    let asked = REVIEWS.iter().filter(|(of, ..)| (*of, "v1") == (group, version));
    resources.extend(asked.map(|(_, kind, plural, namespaced)| {
        json!({
            "name": plural, "singularName": kind.to_lowercase(), "kind": kind,
            "namespaced": namespaced, "verbs": ["create"],
        })
    }));
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": group_version(group, version), "resources": resources,
        })
    })
}
