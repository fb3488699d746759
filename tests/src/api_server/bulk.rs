//! Many objects at once, as a large cluster has them.

use serde_json::{Value, json};

/// A Node with a range of Pod addresses: Node `n` has 10.`n / 256`.`n % 256`.0/24.
pub(crate) fn node(name: &str, number: usize) -> Value {
    let (high, low) = octets(number);
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/region": "region-a",
            "topology.kubernetes.io/zone": format!("region-a-{}", number % 3),
        } },
        "spec": { "podCIDR": format!("10.{high}.{low}.0/24"),
            "podCIDRs": [format!("10.{high}.{low}.0/24")] },
        "status": { "addresses": [
            { "type": "InternalIP", "address": format!("172.16.{high}.{low}") },
            { "type": "Hostname", "address": name },
        ] },
    })
}

/// A running Pod of a `ReplicaSet`. Pod `n` has 11.x.y.z, `n` being the last three.
pub(crate) fn pod(name: &str, number: usize, node: &str) -> Value {
    let (high, low) = octets(number);
    let address = format!("11.{}.{high}.{low}", number >> 16 & 0xff);
    let owner = name.rsplit_once('-').map_or(name, |(owner, _)| owner);
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": { "app": owner },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner,
                "uid": format!("uid-of-{owner}"), "controller": true }],
        },
        "spec": { "nodeName": node,
            "containers": [{ "name": "main", "image": "example/main:1" }] },
        "status": { "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }] },
    })
}

fn octets(number: usize) -> (usize, usize) {
    (number >> 8 & 0xff, number & 0xff)
}
