//! What is applied to a cluster: judged by Kubernetes' own schemas, and by the exporter.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use serde_yaml::Deserializer;
use tests::binary::built;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn path() -> PathBuf {
    root().join("deploy/manifests/flow-exporter.yaml")
}

fn objects() -> Vec<Value> {
    let text = fs::read_to_string(path()).expect("a manifest");
    let read = |document| serde::Deserialize::deserialize(document).expect("YAML");
    Deserializer::from_str(&text).map(read).collect()
}

fn object(kind: &str) -> Value {
    objects().into_iter().find(|object| object["kind"] == kind).expect("it is there")
}

#[test]
fn kubernetes_knows_every_field() {
    let python = root().join("target/test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let validate = |path: &PathBuf| {
        let mut command = Command::new(&python);
        command.args(["-m", "kubernetes_validate", "--strict"]).arg(path);
        command.output().expect("python runs")
    };
    let judged = validate(&path());
    let told = [judged.stdout, judged.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(judged.status.success(), "{told}");
    assert_eq!(told.matches("passed").count(), objects().len(), "{told}");
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong.yaml");
    let text = fs::read_to_string(path()).expect("a manifest");
    fs::write(&wrong, text.replace("hostNetwork:", "hostNetworks:")).expect("a file");
    assert!(!validate(&wrong).status.success(), "a judge that is never against it is none");
}

#[test]
fn one_capability_is_asked_for_and_no_user_is_root() {
    let pod = &object("DaemonSet")["spec"]["template"]["spec"];
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["capabilities"], json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] }));
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(
        (&pod["securityContext"]["runAsNonRoot"], &pod["hostNetwork"]),
        (&json!(true), &json!(true))
    );
    assert!(pod["securityContext"]["runAsUser"].as_u64() > Some(0));
}

/// As it is, and with everything that is left to uncomment.
#[test]
fn the_exporter_takes_the_configuration() {
    let config = object("ConfigMap")["data"]["flow-exporter.conf"].take();
    let config = config.as_str().expect("text").to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("flow-exporter.conf");
    for config in [config.replace("# ", ""), config] {
        fs::write(&file, &config).expect("a file");
        let mut check = Command::new(built("fyke"));
        check.args(["exporter", "--check-config", "--config"]).arg(&file).env("NODE_NAME", "a");
        // In a Pod the API server is asked for certificates.
        check.env("KUBERNETES_SERVICE_HOST", "10.96.0.1").env("KUBERNETES_SERVICE_PORT", "443");
        let checked = check.output().expect("it starts");
        let told = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{config}{told}");
    }
}

#[test]
fn all_that_is_commented_out_fits_too() {
    let text = fs::read_to_string(path()).expect("a manifest");
    let (head, daemon_set) = text.split_once("kind: DaemonSet").expect("one");
    let daemon_set = daemon_set.replace("# - ", "- ").replace("#   hostPath", "  hostPath");
    let whole = format!("{head}kind: DaemonSet{daemon_set}");
    let last = Deserializer::from_str(&whole).last().expect("a DaemonSet");
    let set: Value = serde::Deserialize::deserialize(last).expect("YAML");
    let pod = &set["spec"]["template"]["spec"];
    let names = |list: &Value| -> Vec<String> {
        let all = list.as_array().expect("a list").iter();
        all.map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&pod["volumes"]), names(&pod["containers"][0]["volumeMounts"]));
    assert_eq!(names(&pod["volumes"]).len(), 4);
}
