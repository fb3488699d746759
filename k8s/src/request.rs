//! One request for one object, with a deadline.
//!
//! Not by [`Api`]'s own methods: these log the whole answer, keys of a Secret included, if it is
//! not what they expect.

use std::time::Duration;

use kube::api::{GetParams, PostParams};
use kube::core::{NamespaceResourceScope, Request};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::client::{Connection, ObjectRule};

/// How long one request may take. The client itself waits for ever.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

const REPLACED: &str = "replaced";

/// Why the API server did not do what was asked. Says nothing of what is in the object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{object} was not {verb}")]
    Api {
        verb: &'static str,
        object: String,
        #[source]
        cause: Box<kube::Error>,
    },
    /// What it would have to allow.
    #[error("API server does not allow it; add the Role\n{0}")]
    Denied(ObjectRule),
    #[error("{object} was not {verb}: no answer for {REQUEST_DEADLINE:?}")]
    Deadline { verb: &'static str, object: String },
    #[error("{object} is not what it should be")]
    Content { object: String },
}

impl ObjectError {
    /// Returns true if somebody else was faster.
    pub(crate) fn is_race(&self) -> bool {
        let Self::Api { verb, cause, .. } = self else { return false };
        let kube::Error::Api(status) = &**cause else { return false };
        // 404: what was to be replaced has been deleted meanwhile. What was to be created lacks
        // its namespace.
        status.code == 409 || (status.code == 404 && *verb == REPLACED)
    }
}

/// Reads an object; `None` if it is not there.
pub(crate) async fn read<K>(api: &Api<K>, name: &str) -> Result<Option<K>, ObjectError>
where
    K: Clone + Resource + DeserializeOwned,
{
    let asked = async {
        let request = Request::new(api.resource_url()).get(name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        api.clone().into_client().request_text(request).await
    };
    match answered("read", name, asked).await {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|_| content(name)),
        Err(ObjectError::Api { cause, .. }) if is_missing(&cause) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an object as who we are now: with a client made anew if our credentials have expired.
pub(crate) async fn read_by<K>(
    connection: &Connection,
    namespace: &str,
    name: &str,
) -> Result<Option<K>, ObjectError>
where
    K: Clone + Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let api = || Api::<K>::namespaced(connection.client(), namespace);
    let generation = connection.generation();
    let mut answer = read(&api(), name).await;
    if has_code(&answer, 401) && connection.renew(generation).await.is_ok() {
        answer = read(&api(), name).await;
    }
    if has_code(&answer, 403) {
        let resource = K::plural(&()).into_owned();
        let [namespace, name] = [namespace, name].map(str::to_owned);
        return Err(ObjectError::Denied(ObjectRule { resource, namespace, name }));
    }
    answer
}

fn has_code<T>(answer: &Result<T, ObjectError>, code: u16) -> bool {
    let Err(ObjectError::Api { cause, .. }) = answer else { return false };
    matches!(&**cause, kube::Error::Api(status) if status.code == code)
}

/// Creates an object, or replaces the version that was read.
pub(crate) async fn write<K>(
    api: &Api<K>,
    name: &str,
    object: &K,
    is_new: bool,
) -> Result<(), ObjectError>
where
    K: Clone + Resource + Serialize,
{
    let body = serde_json::to_vec(object).map_err(|_| content(name))?;
    let asked = async {
        let (to, options) = (Request::new(api.resource_url()), PostParams::default());
        let request =
            if is_new { to.create(&options, body) } else { to.replace(name, &options, body) };
        let request = request.map_err(kube::Error::BuildRequest)?;
        api.clone().into_client().request_text(request).await
    };
    let verb = if is_new { "created" } else { REPLACED };
    answered(verb, name, asked).await.map(drop)
}

async fn answered(
    verb: &'static str,
    object: &str,
    asked: impl Future<Output = Result<String, kube::Error>>,
) -> Result<String, ObjectError> {
    match timeout(REQUEST_DEADLINE, asked).await {
        Ok(Ok(text)) => Ok(text),
        // This error holds what was read.
        Ok(Err(kube::Error::FromUtf8(_))) => Err(content(object)),
        Ok(Err(cause)) => {
            Err(ObjectError::Api { verb, object: object.to_owned(), cause: Box::new(cause) })
        }
        Err(_) => Err(ObjectError::Deadline { verb, object: object.to_owned() }),
    }
}

fn content(object: &str) -> ObjectError {
    ObjectError::Content { object: object.to_owned() }
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_namespace_that_is_missing_is_no_race() {
        let refused = |verb, code| {
            let status = Status::failure("", "").with_code(code);
            let cause = Box::new(kube::Error::Api(Box::new(status)));
            ObjectError::Api { verb, object: String::new(), cause }.is_race()
        };
        assert!(refused("created", 409) && refused("replaced", 409) && refused("replaced", 404));
        assert!(!refused("created", 404) && !refused("replaced", 403));
    }
}
