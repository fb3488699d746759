//! Which cluster this is, and how it is asked.

use std::path::PathBuf;

use config::write::Line;
use config::{Key, Name, Raw, Setting, Sources, read};
use flow::Uid;
use k8s::client::Source;

use super::keys::{FILE, Reload, Section};
use super::print;
use super::values;

/// What the kubelet tells a Pod of the API server.
pub(crate) const POD: &str = "KUBERNETES_SERVICE_HOST";

/// A name that outputs tell, and that changes with them.
pub(super) static LIVE: Section = Section {
    title: "Name of the cluster",
    reload: Reload::Live,
    antrea: &[&CLUSTER_ID],
    ours: &[],
};

pub(super) static SECTION: Section = Section {
    title: "Cluster",
    reload: Reload::Restart,
    antrea: &[],
    ours: &[&KUBERNETES, &KUBECONFIG, &CLUSTER_FILE, &CLUSTER_UUID, &NAMESPACE],
};

pub(super) static CLUSTER_ID: Key = Key {
    names: &[Name::current(FILE, "clusterID")],
    form: "a text",
    doc: "What flowCollector calls this cluster, instead of its UUID.",
    ..Key::NONE
};

pub(super) static KUBERNETES: Key = Key {
    names: &[Name::current(FILE, "kubernetes")],
    form: "auto or off",
    default: "auto",
    doc: "Whether the API server is asked. auto: if kubeconfig names a file, as that says; else \
          inside of a Pod, as its service account; else not. off: never.",
    ..Key::NONE
};

pub(super) static KUBECONFIG: Key = Key {
    names: &[Name::current(FILE, "kubeconfig")],
    form: "a path",
    doc: "How to reach the API server; the file's current context counts. A Pod needs none.",
    ..Key::NONE
};

pub(super) static CLUSTER_FILE: Key = Key {
    names: &[Name::current(FILE, "clusterFile")],
    form: "a path",
    doc: "Cluster file: Nodes, Pods and Services in YAML, for where the API server is not asked.",
    ..Key::NONE
};

pub(super) static CLUSTER_UUID: Key = Key {
    names: &[Name::current(FILE, "clusterUUID")],
    form: "a text such as 123e4567-e89b-12d3-a456-426614174000",
    doc: "The UUID of this cluster. Without it, the ConfigMap antrea-cluster-identity in the \
          Namespace kube-system tells it, if the API server is asked.",
    ..Key::NONE
};

pub(super) static NAMESPACE: Key = Key {
    names: &[Name::current(FILE, "namespace")],
    variable: Some("POD_NAMESPACE"),
    form: "the name of a Namespace",
    default: "flow-aggregator",
    doc: "The Namespace with this aggregator, its Service and its certificates.",
    ..Key::NONE
};

/// Which cluster this is, and how it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub asked: Setting<bool>,
    pub kubeconfig: Setting<Option<PathBuf>>,
    pub file: Setting<Option<PathBuf>>,
    pub uuid: Setting<Option<Uid>>,
    pub namespace: Setting<String>,
}

pub(super) fn pick_id(sources: &mut Sources) -> Setting<Option<String>> {
    Setting::optional(sources.pick(&CLUSTER_ID, values::text))
}

pub(super) fn id_lines(id: &Setting<Option<String>>) -> Vec<Line> {
    vec![print::maybe(&CLUSTER_ID, id)]
}

impl Cluster {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let words = [("auto", true), ("off", false)];
        let asked = sources.pick(&KUBERNETES, |raw| read::word(raw, &words));
        let kubeconfig = Setting::optional(sources.pick(&KUBECONFIG, read::path));
        let file = Setting::optional(sources.pick(&CLUSTER_FILE, read::path));
        let uuid = Setting::optional(sources.pick(&CLUSTER_UUID, values::uuid));
        let namespace = sources.pick(&NAMESPACE, namespace);
        Some(Self { asked: asked?, kubeconfig, file, uuid, namespace: namespace? })
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let word = |asked: &bool| if *asked { "auto" } else { "off" }.to_owned();
        vec![
            print::line(&KUBERNETES, &self.asked, word),
            print::maybe_path(&KUBECONFIG, &self.kubeconfig),
            print::maybe_path(&CLUSTER_FILE, &self.file),
            print::maybe(&CLUSTER_UUID, &self.uuid),
            print::quoted(&NAMESPACE, &self.namespace),
        ]
    }

    /// The way to the API server; `None` if it is not to be asked, or there is none.
    /// `in_cluster`: this process runs in a Pod, as [`k8s::client::in_cluster`] says.
    pub fn api_server(&self, in_cluster: bool) -> Option<Source> {
        match (self.asked.value, &self.kubeconfig.value) {
            (false, _) => None,
            (true, Some(path)) => Some(Source::Kubeconfig(path.clone())),
            (true, None) => in_cluster.then_some(Source::InCluster),
        }
    }
}

/// It becomes part of a URL, and of a name in a certificate.
fn namespace(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    let is_one = config::address::is_label(text, 63);
    if is_one { Ok(text.to_owned()) } else { Err("no Namespace has such a name") }
}
