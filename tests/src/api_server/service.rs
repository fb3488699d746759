//! One request: who asks, whether they may, and what they get.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Request, Response};

use super::Shared;
use super::access::Attempt;
use super::body::{Answer, json, object, refused, typed};
use super::listener::Reset;
use super::refusal::Refusal;
use super::request::{ResourceRequest, Verb};
use super::resources::discovery;
use super::{review, watch, write};

/// What a real server takes.
const LONGEST_BODY: usize = 3 << 20;

/// An empty schema, in the encoding kubectl asks for: it then leaves validation to the server.
const EMPTY_SCHEMA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    reset: Reset,
) -> Result<Response<Answer>, Infallible> {
    let (parts, body) = request.into_parts();
    let answered = if let Ok(body) = Limited::new(body, LONGEST_BODY).collect().await {
        respond(&parts, body.to_bytes(), &shared, reset).await
    } else {
        let message = "Request entity too large: limit is 3145728";
        Err(Refusal::new(413, "RequestEntityTooLarge", message))
    };
    Ok(answered.unwrap_or_else(|refusal| {
        shared.counters.send_modify(|counters| {
            *counters.refused.entry(refusal.code).or_default() += 1;
        });
        refused(&refusal)
    }))
}

async fn respond(
    parts: &Parts,
    body: Bytes,
    shared: &Arc<Shared>,
    reset: Reset,
) -> Result<Response<Answer>, Refusal> {
    let path = parts.uri.path();
    if matches!(path, "/healthz" | "/livez" | "/readyz") {
        return Ok(typed(200, "text/plain", "ok"));
    }
    if path == "/openapi/v2" {
        return Ok(typed(200, EMPTY_SCHEMA, ""));
    }
    let asked = discovery(path).filter(|_| parts.method == hyper::Method::GET);
    if path == "/version"
        && let Some(answer) = &asked
    {
        return Ok(object(200, answer));
    }
    let caller = shared.state().access.caller(parts);
    if let Some(answer) = asked {
        return caller.map(|_| object(200, &answer));
    }
    let request = ResourceRequest::read(parts).ok_or_else(Refusal::no_such_path)?;
    let query = parts.uri.query().unwrap_or_default();
    let user = caller.as_ref().ok().and_then(Option::as_ref);
    let name = user.map_or("", |user| user.name.as_str());
    shared.counters.send_modify(|counters| counters.saw(&request, query, name));
    let caller = caller?;
    if let Some(refusal) = shared.state().faults.refusal(&request) {
        return Err(refusal);
    }
    if let Some(user) = &caller
        && !request.asks_about_itself()
    {
        user.check(&Attempt::of(&request))?;
    }
    if shared.state().is_undefined(&request) {
        return Err(Refusal::no_such_path());
    }
    if request.is_review() {
        let content_type = content_type(parts);
        let review = write::read(content_type, &body)?;
        let answer = review::answer(&request, review, caller.as_ref(), &shared.state().access)?;
        return Ok(object(201, &answer));
    }
    resource(request, content_type(parts), body, shared, reset).await
}

async fn resource(
    request: ResourceRequest,
    content_type: &str,
    body: Bytes,
    shared: &Arc<Shared>,
    reset: Reset,
) -> Result<Response<Answer>, Refusal> {
    match request.verb {
        Verb::Watch => watch::start(request, shared, reset),
        Verb::List => list(&request, shared).await,
        Verb::Get => get(&request, shared),
        Verb::Create => write::create(&request, content_type, &body, shared),
        Verb::Update => write::update(&request, content_type, &body, shared),
        Verb::Patch => write::patch(&request, content_type, &body, shared),
        Verb::Delete => write::delete(&request, &body, shared),
        Verb::DeleteCollection => write::delete_all(&request, shared),
    }
}

fn content_type(parts: &Parts) -> &str {
    let header = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.unwrap_or("application/json")
}

fn get(request: &ResourceRequest, shared: &Shared) -> Result<Response<Answer>, Refusal> {
    let key = request.key()?;
    let object = shared.state().store.get(&key).cloned();
    let object = object.ok_or_else(|| Refusal::not_found(key.resource.row(), &key.name))?;
    Ok(json(200, object.text(request.view).to_owned()))
}

async fn list(request: &ResourceRequest, shared: &Shared) -> Result<Response<Answer>, Refusal> {
    let delay = shared.state().faults.list_delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let resource = request.resource()?;
    let page = shared.state().page(request)?;
    Ok(json(200, page.text(resource.row(), request.view)))
}
