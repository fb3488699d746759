use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::config::{Kubeconfig, KubeconfigError};
use tokio::sync::Mutex;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Where the address of the API server and the credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the kubelet mounts into a Pod: the service account's token and the cluster's CA. What
    /// `KUBECONFIG` or `~/.kube/config` say goes before, for a developer's machine.
    Inferred,
    /// What the kubelet mounts into a Pod, and nothing else.
    InCluster,
    /// A kubeconfig file; its current context counts.
    Kubeconfig(PathBuf),
}

/// Whether this process runs in a Pod: the kubelet tells it where the API server is.
pub fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("kubeconfig {} cannot be used", .0.display())]
    Kubeconfig(PathBuf, #[source] KubeconfigError),
    #[error("this is no Pod with a service account")]
    InCluster(#[source] kube::config::InClusterError),
    #[error("no API server is configured")]
    Inferred(#[source] kube::config::InferConfigError),
    #[error("client of the API server cannot be made")]
    Client(#[source] kube::Error),
    #[error("client of the API server was given up while it was made")]
    Cancelled,
}

/// A client of the API server that is made anew, from its source, when the API server does not
/// know our credentials any more.
///
/// `kube` reads a token file again by itself, but only once a minute; and never a kubeconfig.
#[derive(Debug)]
pub struct Connection {
    source: Source,
    current: ArcSwap<Current>,
    /// Held while a client is made, so that all who need a new one share it.
    renewing: Mutex<()>,
}

struct Current {
    client: kube::Client,
    generation: u64,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the source. Nothing is asked of the API server yet.
    pub async fn open(source: Source) -> Result<Self, ConnectionError> {
        let client = source.client().await?;
        let current = ArcSwap::from_pointee(Current { client, generation: 0 });
        Ok(Self { source, current, renewing: Mutex::default() })
    }

    pub fn client(&self) -> kube::Client {
        self.current.load().client.clone()
    }

    /// How often the client has been made anew.
    pub fn generation(&self) -> u64 {
        self.current.load().generation
    }

    /// Reads the source again, unless somebody else has since `generation`.
    pub async fn renew(&self, generation: u64) -> Result<(), ConnectionError> {
        let _one = self.renewing.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        let client = self.source.client().await?;
        self.current.store(Arc::new(Current { client, generation: generation + 1 }));
        Ok(())
    }
}

impl Source {
    async fn client(&self) -> Result<kube::Client, ConnectionError> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT_DEADLINE);
        // Whoever asks waits and counts by itself.
        config.default_retry = false;
        // Credentials may come from a program, which `kube` runs and waits for.
        let made = tokio::task::spawn_blocking(|| kube::Client::try_from(config)).await;
        made.map_err(|_cancelled| ConnectionError::Cancelled)?.map_err(ConnectionError::Client)
    }

    async fn config(&self) -> Result<kube::Config, ConnectionError> {
        let path = match self {
            Self::Inferred => {
                return kube::Config::infer().await.map_err(ConnectionError::Inferred);
            }
            Self::InCluster => {
                return kube::Config::incluster().map_err(ConnectionError::InCluster);
            }
            Self::Kubeconfig(path) => path,
        };
        let failed = |error| ConnectionError::Kubeconfig(path.clone(), error);
        let read = Kubeconfig::read_from(path).map_err(failed)?;
        kube::Config::from_custom_kubeconfig(read, &kube::config::KubeConfigOptions::default())
            .await
            .map_err(failed)
    }
}
