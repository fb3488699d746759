//! Metrics and health over HTTP, for Prometheus and the kubelet.
//!
//! Binds to loopback unless configured otherwise: the counters tell who talks to whom how much.
pub(crate) mod connections; // how many, and for how long
pub mod reference; // what there is to read

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use connections::Limited;

/// Connections served at a time: enough for every Prometheus and kubelet there may be.
pub(crate) const CONNECTIONS: usize = 64;
/// How long a connection may last. Scrapes take milliseconds; who comes again connects again.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10);

/// Whether the process does its work yet, and what is to be said of its health.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Condition>);

#[derive(Debug, Default)]
struct Condition {
    is_ready: AtomicBool,
    remarks: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    pub fn set(&self) {
        self.0.is_ready.store(true, Ordering::Release);
    }

    pub fn get(&self) -> bool {
        self.0.is_ready.load(Ordering::Acquire)
    }

    /// Has `/healthz` say something of a part that does its work in spite of it; or no more.
    pub fn remark(&self, part: &'static str, what: Option<String>) {
        let mut remarks = self.0.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => remarks.insert(part, what),
            None => remarks.remove(part),
        };
    }

    /// A line of its own for each part of which there is something to say.
    fn health(&self) -> String {
        let remarks = self.0.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(part, what): (&&str, &String)| format!("{part}: {what}\n");
        std::iter::once("ok\n".to_owned()).chain(remarks.iter().map(line)).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("admin server cannot listen on {address}; choose another with --admin")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A bound admin server, not yet serving.
#[derive(Debug)]
pub struct Admin {
    listener: Limited,
    router: Router,
}

impl Admin {
    /// Listens on `address`.
    pub async fn bind(
        address: SocketAddr,
        registry: impl Into<Arc<Registry>>,
        readiness: Readiness,
    ) -> Result<Self, BindError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| BindError { address, source })?;
        let router = health(readiness).merge(metrics(registry.into()));
        Ok(Self { listener: Limited::new(listener, CONNECTIONS, LIFETIME), router })
    }

    /// Serves until the task is dropped.
    pub async fn serve(self) {
        if let Err(error) = axum::serve(self.listener, self.router).await {
            tracing::error!(%error, "admin server stopped");
        }
    }
}

/// Whether the process runs, and whether it does its work yet. Nothing that a sink does changes
/// either: the kubelet would restart the process for it.
pub fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

/// What is counted.
pub fn metrics(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(tell)).with_state(registry)
}

async fn tell(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, content_type)], text),
        Err(error) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            (status, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}

async fn alive(State(readiness): State<Readiness>) -> String {
    readiness.health()
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.get() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_tells_what_is_to_be_said_until_it_is_mended() {
        let readiness = Readiness::default();
        assert_eq!(readiness.health(), "ok\n");
        readiness.remark("configuration", Some("is refused".to_owned()));
        assert_eq!(readiness.health(), "ok\nconfiguration: is refused\n");
        readiness.remark("configuration", None);
        assert_eq!(readiness.health(), "ok\n");
    }
}
