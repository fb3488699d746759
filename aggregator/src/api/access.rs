//! Who may ask.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s::review::{Reviewer, Verdict};

use super::token::Token;

/// The paths that are guarded. RBAC has to allow `get` on one of them by `nonResourceURLs`.
const PATHS: [&str; 5] = ["/flowrecords", "/recordmetrics", "/loglevel", "/version", "/metrics"];

#[derive(Debug)]
pub(super) struct Access {
    pub(super) token: Option<Token>,
    pub(super) reviewer: Option<Reviewer>,
}

/// Lets a request pass, or answers it.
pub(super) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let token = bearer(&request).map(str::to_owned);
    let path = PATHS.into_iter().find(|known| *known == request.uri().path());
    match access.refusal(token.as_deref(), path).await {
        None => next.run(request).await,
        Some(refusal) => refusal.into_response(),
    }
}

impl Access {
    async fn refusal(
        &self,
        token: Option<&str>,
        path: Option<&'static str>,
    ) -> Option<(StatusCode, String)> {
        let unknown = |why: &str| Some((StatusCode::UNAUTHORIZED, format!("{why}\n")));
        let Some(token) = token else { return unknown("show a bearer token") };
        if self.token.as_ref().is_some_and(|ours| ours.is(token)) {
            return None;
        }
        let (Some(reviewer), Some(path)) = (&self.reviewer, path) else {
            return unknown("the token is not ours");
        };
        match reviewer.may_get(token, path).await {
            Ok(Verdict::Allowed) => None,
            Ok(Verdict::Forbidden { user }) => {
                let need = format!("{user} needs a rule with nonResourceURLs [{path}], verb get\n");
                Some((StatusCode::FORBIDDEN, need))
            }
            Ok(Verdict::Unknown) => unknown("the token is nobody's"),
            Err(failure) => {
                tracing::debug!(error = %daemon::Chain(&failure), "a token cannot be checked");
                Some((StatusCode::SERVICE_UNAVAILABLE, "it cannot be checked now\n".to_owned()))
            }
        }
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
