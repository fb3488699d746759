//! What `antctl` asks: the API that Antrea's Flow Aggregator serves inside its Pod.
//!
//! HTTPS, bound to loopback unless configured, with a certificate made at the start. Whoever can
//! read the token file may ask; others by a token whose owner the cluster's RBAC lets.
mod certificate; // for localhost
mod token; // for whoever shares the file system
mod access; // who may ask
mod wanted; // which flows
mod record; // one of them, as JSON

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use daemon::admin::{Readiness, health, metrics};
use daemon::https::{BindError, Https};
use daemon::logs;
use flow::FlowRecord;
use k8s::review::Reviewer;
use prometheus_client::registry::Registry;
use serde::Serialize;

pub use record::Shown;

use access::Access;

use crate::shards::FlowFilter;

/// Flows of one answer. With more, the answer says that it is not whole.
const MOST_FLOWS: usize = 50_000;

/// How flows are asked for: those wanted, and how many at most.
pub type Ask = dyn Fn(FlowFilter, usize) -> Answered + Send + Sync;
pub type Answered = Pin<Box<dyn Future<Output = Vec<FlowRecord>> + Send>>;

/// Where answers come from.
pub struct Sources {
    /// Flows that are being followed; none in proxy mode.
    pub flows: Option<Box<Ask>>,
    pub totals: Box<dyn Fn() -> Totals + Send + Sync>,
    pub readiness: Readiness,
    pub registry: Arc<Registry>,
}

/// Where to serve, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    pub address: SocketAddr,
    pub token: PathBuf,
    /// For those who come with a token of their own; without, only the file's counts.
    pub reviewer: Option<Reviewer>,
    /// No session with TLS 1.2.
    pub is_tls13_only: bool,
    /// Those of TLS 1.2 that are spoken, by IANA's name; all that are safe if empty.
    pub cipher_suites: Vec<&'static str>,
}

/// `antctl get recordmetrics`. As in Antrea, what is 0 or false is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the members are Antrea's")]
pub struct Totals {
    #[serde(skip_serializing_if = "is_default")]
    pub num_records_exported: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub num_records_received: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub num_records_dropped: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub num_flows: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub num_conn_to_collector: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub with_click_house_exporter: bool,
    #[serde(rename = "withS3Exporter", skip_serializing_if = "is_default")]
    pub with_s3_exporter: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub with_log_exporter: bool,
    #[serde(rename = "withIPFIXExporter", skip_serializing_if = "is_default")]
    pub with_ipfix_exporter: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("certificate of the API cannot be made")]
    Certificate(#[from] certificate::CertificateError),
}

/// Binds the API. A token that cannot be written costs `antctl`, not flows: it is warned of.
pub async fn bind(options: Options, sources: Sources) -> Result<Https, ApiError> {
    let token = token::write(&options.token).unwrap_or_else(|error| {
        let (file, error) = (options.token.display(), daemon::Chain(&error).to_string());
        tracing::warn!(%file, error, "token for antctl cannot be written: antctl cannot ask");
        None
    });
    let access = Arc::new(Access { token, reviewer: options.reviewer });
    let config = certificate::for_localhost(options.is_tls13_only, &options.cipher_suites)?;
    Ok(Https::bind(options.address, router(access, sources), config).await?)
}

fn router(access: Arc<Access>, sources: Sources) -> Router {
    let open = health(sources.readiness.clone());
    let counted = metrics(Arc::clone(&sources.registry));
    let guarded = Router::new()
        .route("/flowrecords", get(flow_records))
        .route("/recordmetrics", get(record_metrics))
        .route("/loglevel", get(log_level))
        .route("/version", get(version))
        .with_state(Arc::new(sources))
        .merge(counted)
        .layer(middleware::from_fn_with_state(access, access::check));
    open.merge(guarded)
}

type Parameters = Query<std::collections::HashMap<String, String>>;

async fn flow_records(State(sources): State<Arc<Sources>>, parameters: Parameters) -> Response {
    let wanted = match wanted::read(&parameters) {
        Ok(wanted) => wanted,
        Err(why) => return (StatusCode::NOT_FOUND, format!("{why}\n")).into_response(),
    };
    // As Antrea's, which has no list then.
    let Some(ask) = &sources.flows else { return Json(()).into_response() };
    let flows = ask(wanted, MOST_FLOWS).await;
    let shown: Vec<_> = flows.iter().map(Shown).collect();
    if shown.is_empty() {
        return Json(()).into_response();
    }
    let mut response = Json(&shown).into_response();
    if shown.len() >= MOST_FLOWS {
        let warning = HeaderValue::from_static("299 - \"there are more flows than are shown\"");
        response.headers_mut().insert(header::WARNING, warning);
    }
    response
}

async fn record_metrics(State(sources): State<Arc<Sources>>) -> Json<Totals> {
    Json((sources.totals)())
}

/// With `level` it is set, without it is told.
async fn log_level(parameters: Parameters) -> Response {
    let Some(level) = parameters.get("level") else {
        return Json(logs::verbosity()).into_response();
    };
    match level.parse() {
        Ok(level) if logs::set_verbosity(level) => Body::empty().into_response(),
        Ok(_) => (StatusCode::INTERNAL_SERVER_ERROR, "logs are not ours\n").into_response(),
        Err(_) => {
            let why = format!("{level:?} is no number from 0 on\n");
            (StatusCode::BAD_REQUEST, why).into_response()
        }
    }
}

/// As the servers of Kubernetes tell it.
async fn version() -> Json<serde_json::Value> {
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    Json(serde_json::json!({ "gitVersion": version, "platform": platform }))
}

#[cfg(test)]
mod tests;
