//! One request for one object, with a deadline.

use std::fmt::Debug;
use std::time::Duration;

use kube::Api;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{error::Elapsed, timeout};

/// How long one request may take. The client itself waits for ever.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Why the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{object} was not {verb}")]
    Api {
        verb: &'static str,
        object: String,
        #[source]
        cause: Box<kube::Error>,
    },
    #[error("{object} was not {verb}: no answer for {REQUEST_DEADLINE:?}")]
    Deadline { verb: &'static str, object: String },
}

impl ObjectError {
    /// Returns true if somebody else was faster.
    pub(crate) fn is_race(&self) -> bool {
        let Self::Api { cause, .. } = self else { return false };
        // 404: what was to be replaced has been deleted meanwhile.
        matches!(&**cause, kube::Error::Api(status) if status.code == 409 || status.code == 404)
    }
}

/// Reads an object; `None` if it is not there.
pub(crate) async fn read<K>(api: &Api<K>, name: &str) -> Result<Option<K>, ObjectError>
where
    K: Clone + Debug + DeserializeOwned,
{
    answered("read", name, timeout(REQUEST_DEADLINE, api.get_opt(name)).await)
}

/// Creates an object, or replaces the version that was read.
pub(crate) async fn write<K>(
    api: &Api<K>,
    name: &str,
    object: &K,
    is_new: bool,
) -> Result<(), ObjectError>
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let options = PostParams::default();
    if is_new {
        let created = timeout(REQUEST_DEADLINE, api.create(&options, object)).await;
        answered("created", name, created).map(drop)
    } else {
        let replaced = timeout(REQUEST_DEADLINE, api.replace(name, &options, object)).await;
        answered("replaced", name, replaced).map(drop)
    }
}

fn answered<T>(
    verb: &'static str,
    object: &str,
    answer: Result<Result<T, kube::Error>, Elapsed>,
) -> Result<T, ObjectError> {
    let object = object.to_owned();
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => Err(ObjectError::Api { verb, object, cause: Box::new(cause) }),
        Err(_) => Err(ObjectError::Deadline { verb, object }),
    }
}
