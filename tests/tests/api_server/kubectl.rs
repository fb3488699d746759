//! What kubectl makes of the stand-in.

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::de::{IoRead, StreamDeserializer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api_server::{End, StandIn, Verb};

/// kubectl in a home of its own, where it may cache what it likes.
struct Kubectl {
    home: TempDir,
    config: PathBuf,
}

impl Kubectl {
    fn of(server: &StandIn, token: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = server.kubeconfig(home.path(), token);
        Self { home, config }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.home.path()).stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("KUBECONFIG", &self.config);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("kubectl starts")
    }

    /// What it prints when all is well.
    #[track_caller]
    fn prints(&self, arguments: &[&str]) -> String {
        printed(arguments, &self.run(arguments))
    }

    /// What it prints about the objects in `manifest`.
    #[track_caller]
    fn takes(&self, arguments: &[&str], manifest: &Value) -> String {
        let mut command = self.command(arguments);
        command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(manifest.to_string().as_bytes()).expect("it reads");
        drop(stdin);
        printed(arguments, &child.wait_with_output().expect("it ends"))
    }

    /// What it complains of.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "kubectl {arguments:?} succeeds");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.prints(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&printed).expect("JSON")
    }
}

#[track_caller]
fn printed(arguments: &[&str], output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    found.into_iter().find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("kubectl is missing: run `cargo xtask setup` or `apt-get install kubernetes-client`")
    })
}

fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "default", "labels": { "app": name } },
        "data": { "key": value },
    })
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name")).collect()
}

#[test]
fn objects_are_got_and_selected() {
    let server = StandIn::start();
    server.load(2, 5);
    let kubectl = Kubectl::of(&server, None);
    let table = kubectl.prints(&["get", "nodes"]);
    assert!(table.starts_with("NAME") && table.contains("node-1"), "{table}");
    let all = kubectl.json(&["get", "pods", "-A"]);
    assert_eq!(names(&all).len(), 5);
    let node = kubectl.json(&["get", "node", "node-0"]);
    assert_eq!(node["status"]["addresses"][0]["address"], "172.16.0.0");
    assert_eq!(node["metadata"]["resourceVersion"], "2");
    let on_node = kubectl.json(&["get", "po", "-A", "--field-selector", "spec.nodeName=node-1"]);
    assert_eq!(names(&on_node), ["app-0-1", "app-0-3"]);
    let with_label = kubectl.json(&["get", "po", "-A", "-l", "app in (app-0),!absent"]);
    assert_eq!(names(&with_label).len(), 5);
    assert!(names(&kubectl.json(&["get", "po", "-A", "-l", "app!=app-0"])).is_empty());
    let in_namespace = kubectl.json(&["get", "po", "-n", "ns-3"]);
    assert_eq!(names(&in_namespace), ["app-0-3"]);
    let missing = kubectl.fails(&["get", "pod", "nobody"]);
    assert_eq!(missing.trim(), "Error from server (NotFound): pods \"nobody\" not found");
    let unsupported = kubectl.fails(&["get", "po", "--field-selector", "spec.nothing=1"]);
    assert!(unsupported.contains("field label not supported: spec.nothing"), "{unsupported}");
    let pages = kubectl.json(&["get", "po", "-A", "--chunk-size=2"]);
    assert_eq!(names(&pages).len(), 5);
}

#[test]
fn objects_are_created_patched_and_deleted() {
    let server = StandIn::start();
    let kubectl = Kubectl::of(&server, None);
    let map = config_map("a", "1");
    assert_eq!(kubectl.takes(&["create"], &map), "configmap/a created\n");
    let patch = r#"{"data":{"key":"2","more":"3"}}"#;
    for (kind, patch) in [
        ("merge", patch),
        ("strategic", r#"{"data":{"key":"3","more":null}}"#),
        ("json", r#"[{"op":"replace","path":"/data/key","value":"4"}]"#),
    ] {
        kubectl.prints(&["patch", "configmap", "a", "--type", kind, "-p", patch]);
    }
    assert_eq!(kubectl.json(&["get", "cm", "a"])["data"], json!({ "key": "4" }));

    let mut stale = map.clone();
    stale["metadata"]["resourceVersion"] = "2".into();
    let file = kubectl.home.path().join("stale.json");
    std::fs::write(&file, stale.to_string()).unwrap();
    let conflict = kubectl.fails(&["replace", "-f", file.to_str().unwrap()]);
    assert!(
        conflict.starts_with("Error from server (Conflict): error when replacing")
            && conflict.contains(
                "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
                 please apply your changes to the latest version and try again"
            ),
        "{conflict}"
    );
    assert_eq!(kubectl.takes(&["replace"], &map), "configmap/a replaced\n");
    assert_eq!(kubectl.json(&["get", "cm", "a"])["data"], json!({ "key": "1" }));

    let deleted = kubectl.prints(&["delete", "configmap", "a"]);
    assert!(deleted.starts_with("configmap \"a\" deleted"), "{deleted}");
    assert_eq!(server.get("v1", "ConfigMap", "default", "a"), None);
    assert!(kubectl.fails(&["delete", "configmap", "a"]).contains("(NotFound)"));
}

#[test]
fn objects_are_applied() {
    let server = StandIn::start();
    let kubectl = Kubectl::of(&server, None);
    for arguments in [&["apply"][..], &["apply", "--server-side"]] {
        assert!(kubectl.takes(arguments, &config_map("a", "1")).contains("/a "), "{arguments:?}");
        kubectl.takes(arguments, &config_map("a", "1"));
        let mut changed = config_map("a", "2");
        changed["data"]["more"] = "3".into();
        kubectl.takes(arguments, &changed);
        let more = json!({ "key": "2", "more": "3" });
        assert_eq!(kubectl.json(&["get", "cm", "a"])["data"], more, "{arguments:?}");
        // What is no longer applied goes.
        kubectl.takes(arguments, &config_map("a", "3"));
        let data = &kubectl.json(&["get", "cm", "a"])["data"];
        assert_eq!(*data, json!({ "key": "3" }), "{arguments:?}");
        kubectl.prints(&["delete", "cm", "a"]);
    }
}

#[test]
fn lists_of_things_with_a_name_are_merged() {
    let server = StandIn::start();
    let kubectl = Kubectl::of(&server, None);
    let deployment = |images: &[(&str, &str)]| {
        let containers = images.iter().map(|(name, image)| json!({ "name": name, "image": image }));
        let labels = json!({ "app": "a" });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "a", "namespace": "default" },
            "spec": { "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": containers.collect::<Vec<_>>() },
            } },
        })
    };
    for arguments in [&["apply"][..], &["apply", "--server-side"]] {
        kubectl.takes(arguments, &deployment(&[("x", "1"), ("y", "1"), ("z", "1")]));
        // Somebody else's.
        let place = "/spec/template/spec/containers/1/imagePullPolicy";
        let patch = json!([{ "op": "add", "path": place, "value": "Never" }]).to_string();
        kubectl.prints(&["patch", "deployment", "a", "--type", "json", "-p", &patch]);
        kubectl.takes(arguments, &deployment(&[("y", "2"), ("z", "1")]));
        let containers =
            &kubectl.json(&["get", "deployment", "a"])["spec"]["template"]["spec"]["containers"];
        let expected = json!([
            { "name": "y", "image": "2", "imagePullPolicy": "Never" },
            { "name": "z", "image": "1" },
        ]);
        assert_eq!(*containers, expected, "{arguments:?}");
        kubectl.prints(&["delete", "deployment", "a"]);
    }
}

#[test]
fn kinds_are_discovered() {
    let server = StandIn::start();
    let kubectl = Kubectl::of(&server, None);
    let kinds = kubectl.prints(&["api-resources", "-o", "name"]);
    for kind in
        ["pods", "endpointslices.discovery.k8s.io", "flowexporterdestinations.crd.antrea.io"]
    {
        assert!(kinds.lines().any(|line| line == kind), "{kind} is not in {kinds}");
    }
    let version = kubectl.json(&["version"]);
    assert_eq!(version["serverVersion"]["minor"], "33");
}

/// A `kubectl get --watch` that is running.
struct Watching {
    child: Child,
    events: StreamDeserializer<'static, IoRead<BufReader<ChildStdout>>, Value>,
}

impl Watching {
    /// Begins, and waits until the server has been asked to watch.
    fn start(kubectl: &Kubectl, server: &StandIn, arguments: &[&str]) -> Self {
        let mut command = kubectl.command(arguments);
        // It gives up before a test hangs.
        command.args(["--request-timeout=30s", "--watch", "--output-watch-events", "-o", "json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let events = serde_json::Deserializer::from_reader(output).into_iter();
        server.wait_until("kubectl to watch", |counters| counters.all_open_watches() == 1);
        Self { child, events }
    }

    /// The next event: its type, the object's name, and its key.
    fn event(&mut self) -> [String; 3] {
        let event = self.events.next().expect("it watches").expect("JSON");
        let object = &event["object"];
        [&event["type"], &object["metadata"]["name"], &object["data"]["key"]]
            .map(|text| text.as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
    }
}

#[test]
fn changes_are_watched() {
    let server = StandIn::start();
    server.put(config_map("a", "1"));
    let kubectl = Kubectl::of(&server, None);
    let mut watching = Watching::start(&kubectl, &server, &["get", "cm"]);
    assert_eq!(watching.event(), ["ADDED", "a", "1"]);
    server.put(config_map("b", "2"));
    assert_eq!(watching.event(), ["ADDED", "b", "2"]);
    kubectl.prints(&["patch", "cm", "a", "-p", r#"{"data":{"key":"3"}}"#]);
    assert_eq!(watching.event(), ["MODIFIED", "a", "3"]);
    kubectl.prints(&["delete", "cm", "b"]);
    assert_eq!(watching.event(), ["DELETED", "b", "2"]);
    server.end_watches(End::Clean);
    assert!(watching.events.next().is_none(), "kubectl ends with its watch");
}

const RULES: &str = r#"
users:
- name: reader
  token: of-reader
  rules:
  - { apiGroups: [""], resources: [pods, nodes], verbs: [get, list, watch] }
  - { apiGroups: [""], resources: [secrets], verbs: [get], resourceNames: [mine], namespaces: [a] }
- name: judge
  token: of-judge
  rules:
  - apiGroups: [authentication.k8s.io, authorization.k8s.io]
    resources: [tokenreviews, subjectaccessreviews]
    verbs: [create]
"#;

#[test]
fn access_is_by_token_and_rule() {
    let server = StandIn::start_tls();
    server.require_access(RULES);
    server.load(1, 1);
    let reader = Kubectl::of(&server, Some("of-reader"));
    assert_eq!(names(&reader.json(&["get", "po", "-A"])).len(), 1);
    assert_eq!(
        reader.fails(&["get", "deployments", "-A"]).trim(),
        "Error from server (Forbidden): deployments.apps is forbidden: User \"reader\" cannot \
         list resource \"deployments\" in API group \"apps\" at the cluster scope"
    );
    assert_eq!(
        reader.fails(&["get", "secret", "other", "-n", "a"]).trim(),
        "Error from server (Forbidden): secrets \"other\" is forbidden: User \"reader\" cannot \
         get resource \"secrets\" in API group \"\" in the namespace \"a\""
    );
    assert!(reader.fails(&["get", "secret", "mine", "-n", "a"]).contains("(NotFound)"));

    assert_eq!(reader.prints(&["auth", "can-i", "watch", "nodes"]).trim(), "yes");
    let refused = reader.run(&["auth", "can-i", "delete", "nodes"]);
    assert_eq!(String::from_utf8_lossy(&refused.stdout).trim(), "no");
    let rules = reader.prints(&["auth", "can-i", "--list", "-n", "a"]);
    assert!(rules.contains("[get list watch]") && rules.contains("[mine]"), "{rules}");

    server.expire_tokens();
    let complaint = reader.fails(&["get", "po", "-A"]);
    assert!(complaint.contains("must be logged in to the server"), "{complaint}");
    server.accept_token("of-reader", "reader");
    reader.prints(&["get", "po", "-A"]);
    assert!(server.counters().last.iter().any(|seen| seen.user == "reader"));
}

#[test]
fn tokens_and_access_of_others_are_reviewed() {
    let server = StandIn::start_tls();
    server.require_access(RULES);
    let judge = Kubectl::of(&server, Some("of-judge"));
    let review = |kind: &str, group: &str, spec: Value| {
        let question = json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "spec": spec });
        let answer = judge.takes(&["create", "-o", "json"], &question);
        serde_json::from_str::<Value>(&answer).expect("JSON")["status"].clone()
    };
    let token =
        |token: &str| review("TokenReview", "authentication.k8s.io", json!({"token": token}));
    assert_eq!(token("of-reader")["user"]["username"], "reader");
    assert_eq!(token("of-nobody")["authenticated"], false);
    let access = |user: &str, verb: &str| {
        let what = json!({ "verb": verb, "resource": "pods", "namespace": "a" });
        let spec = json!({ "user": user, "resourceAttributes": what });
        review("SubjectAccessReview", "authorization.k8s.io", spec)["allowed"].clone()
    };
    assert_eq!(access("reader", "list"), true);
    assert_eq!(access("reader", "create"), false);
    assert_eq!(access("nobody", "list"), false);
}

#[test]
fn certificates_and_tokens_on_the_command_line() {
    let server = StandIn::start_tls();
    server.require_access(RULES);
    let kubectl = Kubectl::of(&server, None);
    let authority = kubectl.home.path().join("ca.crt");
    let url = server.url();
    let with = |authority: &Path| {
        let (server, token) = (format!("--server={url}"), "--token=of-reader");
        let authority = format!("--certificate-authority={}", authority.display());
        kubectl.run(&["--kubeconfig=/dev/null", &server, &authority, token, "get", "nodes"])
    };
    let output = with(&authority);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.counters().requests(Verb::List, "nodes"), 1);
    let other = StandIn::start_tls();
    std::fs::write(&authority, other.ca_pem()).unwrap();
    let output = with(&authority);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("certificate signed by unknown authority"), "{complaint}");
}
