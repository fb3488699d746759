//! What the API server has to allow for destinations, made from what is asked of it.

use k8s::client::{ObjectRule, Rule, rules};

use super::crd::KIND;
use super::material::of_aggregator;
use crate::destination::{Authorities, Identity, TlsSpec};

/// The rules of a `ClusterRole`: to watch custom resources, and to look Services up.
fn cluster_rules() -> Vec<Rule> {
    let mut all = rules(&[KIND]);
    all.push(Rule { api_group: "", resources: vec!["services"], verbs: vec!["get"] });
    all
}

/// Leave to read the objects that `tls` names, and no others.
fn object_rules(tls: &TlsSpec) -> Vec<ObjectRule> {
    let rule = |resource: &str, name: &crate::destination::ObjectName| ObjectRule {
        resource: resource.to_owned(),
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    };
    let authorities = match &tls.ca {
        Authorities::ConfigMap(name) => Some(rule("configmaps", name)),
        Authorities::File(_) => None,
    };
    let identity = match &tls.identity {
        Some(Identity::Secret(name)) => Some(rule("secrets", name)),
        Some(Identity::Files { .. }) | None => None,
    };
    authorities.into_iter().chain(identity).collect()
}

/// Manifests of everything, with the objects of Antrea's Flow Aggregator.
pub fn manifests() -> String {
    let head = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n";
    let head = format!("{head}metadata:\n  name: fyke-destinations\nrules:");
    let cluster = cluster_rules().iter().fold(head, |text, rule| format!("{text}\n{rule}"));
    let roles = object_rules(&of_aggregator());
    roles.iter().fold(cluster, |text, role| format!("{text}\n---\n{role}")) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_the_rules() {
        let page = include_str!("../../../docs/rbac.md");
        let shown = manifests();
        assert!(page.contains(&shown), "docs/rbac.md must contain:\n{shown}");
    }
}
