use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporter::destination::{Compatibility, Redaction, Spec};
use exporter::destinations::{Counters, CustomResources, Defaults, Refused, Watching, Way};
use flow::Profile;
use k8s::client::{Connection, Source};
use k8s::watch::{Options, Retry};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::api_server::StandIn;
use tokio::task::JoinHandle;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const ADMIN: &str = "token-of-admin";
const OURS: &str = "token-of-fyke";

/// An API server that knows an administrator and an exporter, and what the exporter makes of it.
pub(crate) struct World {
    pub(crate) server: StandIn,
    pub(crate) resources: CustomResources,
    pub(crate) way: Way,
    registry: Registry,
    running: JoinHandle<()>,
    home: TempDir,
}

impl World {
    /// With an exporter that may do what `rules` say, in the form of the stand-in's rule file.
    pub(crate) async fn new(server: StandIn, rules: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        server.require_access(&rule_file(rules));
        let admin = server.kubeconfig(home.path(), Some(ADMIN));
        std::fs::rename(admin, home.path().join("admin")).unwrap();
        let source = Source::Kubeconfig(server.kubeconfig(home.path(), Some(OURS)));
        let connection = Arc::new(Connection::open(source).await.unwrap());
        let counters = Arc::new(Counters::default());
        let mut registry = Registry::default();
        counters.register(&mut registry);
        let [first, most, calm] = [5, 50, 1_000].map(Duration::from_millis);
        let options = Options { retry: Retry { first, most, calm }, ..Watching::options() };
        let defaults = Defaults {
            profile: Profile::Antrea,
            compatibility: Compatibility::Antrea,
            redaction: Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
            room: 64,
        };
        let clock = Arc::new(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::try_from(elapsed.as_millis()).unwrap()
        });
        let (watching, resources) =
            Watching::new(Arc::clone(&connection), options, defaults, Arc::clone(&counters), clock);
        let running =
            tokio::spawn(async { panic!("watching never ends: {:?}", watching.run().await) });
        let way = Way::new(Some(connection), counters);
        Self { server, resources, way, registry, running, home }
    }

    pub(crate) async fn allowed() -> Self {
        Self::new(StandIn::start_tls(), &documented_rules()).await
    }

    /// Has kubectl do something with `manifest`.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str], manifest: &Value) -> String {
        let mut command = Command::new("kubectl");
        command.args(arguments).current_dir(self.home.path());
        command.env("HOME", self.home.path()).env("KUBECONFIG", self.home.path().join("admin"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl is installed: run `cargo xtask setup`");
        let text = if manifest.is_null() { String::new() } else { manifest.to_string() };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates or changes an object.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &Value) {
        self.kubectl(&["apply", "-f", "-"], manifest);
    }

    #[track_caller]
    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.kubectl(&["delete", kind, name], &Value::Null);
    }

    #[track_caller]
    pub(crate) fn delete_in(&self, namespace: &str, kind: &str, name: &str) {
        self.kubectl(&["delete", "-n", namespace, kind, name], &Value::Null);
    }

    /// From here on the exporter may do this.
    pub(crate) fn allow(&self, rules: &str) {
        self.server.require_access(&rule_file(rules));
    }

    /// Makes a change, and waits until other destinations are wanted.
    pub(crate) async fn changed(&self, change: impl FnOnce(&Self)) {
        let mut specs = self.resources.specs.clone();
        specs.mark_unchanged();
        change(self);
        tokio::time::timeout(PATIENCE, specs.changed()).await.expect("in time").unwrap();
    }

    /// Waits until names and addresses of what is wanted are these.
    pub(crate) async fn wants(&self, expected: &[(&str, &str)]) {
        let told = |specs: &Arc<[Spec]>| -> Vec<(String, String)> {
            specs.iter().map(|spec| (spec.name.clone(), spec.address.to_string())).collect()
        };
        let mut specs = self.resources.specs.clone();
        let is_so = |specs: &Arc<[Spec]>| {
            told(specs)
                .iter()
                .map(|(name, to)| (name.as_str(), to.as_str()))
                .eq(expected.iter().copied())
        };
        let waited = tokio::time::timeout(PATIENCE, specs.wait_for(is_so)).await.is_ok();
        assert!(waited, "{expected:?} is wanted, not {:?}", told(&self.resources.specs.borrow()));
        assert!(!self.running.is_finished());
    }

    /// Waits until resources are refused for these reasons.
    pub(crate) async fn refuses(&self, expected: &[(&str, &str)]) {
        let mut refused = self.resources.refused.clone();
        let is_so = |refused: &Arc<[Refused]>| {
            let told = refused.iter().map(|it| (it.name.as_str(), it.why.reason()));
            told.eq(expected.iter().copied())
        };
        let waited = tokio::time::timeout(PATIENCE, refused.wait_for(is_so)).await.is_ok();
        let told = self.resources.refused.borrow();
        assert!(waited, "{expected:?} are refused, not {told:?}");
    }

    /// A metric's value, by its name and labels as they are served.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    /// Looks again every now and then until a metric is what it should be.
    pub(crate) async fn until_metric(&self, name: &str, is_so: impl Fn(u64) -> bool) {
        let looking = async {
            while !self.metric(name).is_some_and(&is_so) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, looking).await.is_ok();
        assert!(waited, "{name} is {:?}", self.metric(name));
    }
}

fn rule_file(rules: &str) -> String {
    format!(
        "users:\n- name: admin\n  token: {ADMIN}\n  rules:\n  \
         - {{apiGroups: ['*'], resources: ['*'], verbs: ['*']}}\n\
         - name: fyke\n  token: {OURS}\n  rules:{rules}\n",
    )
}

/// What the manifests of the documentation allow, as the stand-in reads it.
pub(crate) fn documented_rules() -> String {
    let mut text = String::new();
    for manifest in exporter::destinations::manifests().split("---\n") {
        let manifest: Value = serde_yaml::from_str(manifest).unwrap();
        for rule in manifest["rules"].as_array().unwrap() {
            let mut rule = rule.clone();
            if let Some(namespace) = manifest["metadata"]["namespace"].as_str() {
                rule["namespaces"] = json!([namespace]);
            }
            write!(text, "\n  - {rule}").unwrap();
        }
    }
    text
}

pub(crate) fn destination(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "crd.antrea.io/v1alpha1", "kind": "FlowExporterDestination",
        "metadata": { "name": name }, "spec": spec,
    })
}

pub(crate) fn over_tcp(address: &str) -> Value {
    json!({ "address": address, "protocol": { "ipfix": { "transport": "tcp" } } })
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The manifest that is shipped.
pub(crate) fn definition() -> Value {
    let path = root().join("deploy/crds/flowexporterdestination.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
