//! Dependencies between crates point one way: in the direction that flows travel.

use std::collections::HashMap;
use std::process::Command;

/// Each crate, and the crates of this workspace it may name in its manifest.
const LAYERS: &[(&str, &[&str])] = &[
    ("ipfix", &[]),
    ("config", &[]),
    ("flow", &["ipfix"]),
    ("grpc", &["flow", "ipfix"]),
    ("daemon", &["config"]),
    ("k8s", &["flow", "config"]),
    ("exporter", &["flow", "ipfix", "grpc", "k8s", "config", "daemon"]),
    ("store", &["flow", "config"]),
    ("sinks", &["flow", "ipfix", "k8s", "store", "config"]),
    ("aggregator", &["flow", "ipfix", "grpc", "k8s", "store", "sinks", "config", "daemon"]),
];

/// These may use everything: they are where the whole meets.
const ABOVE: &[&str] = &["cli", "tests", "benches"];

/// Chores know no product code.
const BESIDE: &[&str] = &["xtask"];

/// What each package of the workspace names in its manifest, of this workspace.
fn dependencies() -> HashMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    let ours: Vec<String> = packages.iter().map(name).collect();
    let named = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter().map(name);
        all.filter(|dependency| ours.contains(dependency)).collect()
    };
    packages.iter().map(|package| (name(package), named(package))).collect()
}

#[test]
fn data_flows_in_one_direction() {
    for (package, named) in dependencies() {
        if ABOVE.contains(&package.as_str()) {
            continue;
        }
        let beside: &[&str] = &[];
        let allowed = if BESIDE.contains(&package.as_str()) {
            beside
        } else {
            let layer = LAYERS.iter().find(|(name, _)| *name == package);
            layer.unwrap_or_else(|| panic!("{package} has no place in LAYERS")).1
        };
        for dependency in named {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}; see docs/architecture.md",
            );
        }
    }
}

#[test]
fn later_layers_depend_on_earlier_ones_only() {
    for (index, (name, allowed)) in LAYERS.iter().enumerate() {
        for dependency in *allowed {
            let place = LAYERS.iter().position(|(name, _)| name == dependency);
            assert!(place.is_some_and(|place| place < index), "{name} before {dependency}");
        }
    }
}

/// Element names and numbers have one home each; everything else derives from them.
#[test]
fn only_the_field_table_and_the_registry_spell_elements() {
    let spelled = ["sourcePodName", "octetDeltaCount", "flowEndReason"];
    // The demo reads the log of records as any stranger would, and a bench asks other engines.
    let homes = [
        "ipfix/",
        "flow/src/fields",
        "cli/src/demo/",
        "benches/benches/store/",
        "tests/",
        "/tests",
    ];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let listed = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root).output();
    let listed = String::from_utf8(listed.expect("git runs").stdout).expect("UTF-8");
    assert!(listed.lines().count() > 50, "the check must see the sources");
    for file in listed.lines().filter(|file| !homes.iter().any(|home| file.contains(home))) {
        let text = std::fs::read_to_string(format!("{root}/{file}")).expect("a tracked file");
        // Tests spell what they expect.
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for name in spelled {
            let literal = format!("\"{name}\"");
            assert!(
                !product.contains(&literal),
                "{file} spells {name}; derive it from flow::FIELDS"
            );
        }
    }
}
