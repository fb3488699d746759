//! Who a token is of, and what that somebody may do: the API server's own servers ask it the same
//! way (`TokenReview`, `SubjectAccessReview`; the role `system:auth-delegator` allows it).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use tokio::sync::Semaphore;

use crate::client::{Connection, Failure, Reason, ask};

/// How long an answer may take.
const SILENCE: Duration = Duration::from_secs(10);
/// How long an answer holds. Who loses a right keeps it for so long, as with the API server's own.
const LIFETIME: Duration = Duration::from_secs(10);
/// Answers that are remembered. Beyond, all are forgotten.
const REMEMBERED: usize = 256;
/// Questions at the same time.
const AT_ONCE: usize = 8;
/// No token of Kubernetes is longer, in bytes.
const TOKEN_LIMIT: usize = 16 * 1024;

/// What the API server says about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// It knows who that is, and does not let them.
    Forbidden {
        user: String,
    },
    /// It does not know the token.
    Unknown,
}

/// Asks the API server, and remembers for a little while what it said.
#[derive(Clone)]
pub struct Reviewer {
    connection: Arc<Connection>,
    known: Arc<Mutex<HashMap<(String, &'static str), Known>>>,
    asking: Arc<Semaphore>,
}

/// What was said, and when.
struct Known(Verdict, Instant);

impl Reviewer {
    pub fn new(connection: Arc<Connection>) -> Self {
        Self { connection, known: Arc::default(), asking: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whether whoever has `token` may get what is at `path`, by a rule with `nonResourceURLs` and
    /// the verb `get`.
    pub async fn may_get(&self, token: &str, path: &'static str) -> Result<Verdict, Failure> {
        if token.is_empty() || token.len() > TOKEN_LIMIT {
            return Ok(Verdict::Unknown);
        }
        let asked = (token.to_owned(), path);
        if let Some(verdict) = self.remembered(&asked) {
            return Ok(verdict);
        }
        // Anybody can make up tokens.
        let _place = self.asking.acquire().await.ok();
        let generation = self.connection.generation();
        let mut answer = self.ask(token, path).await;
        let is_outdated =
            answer.as_ref().is_err_and(|failure| failure.reason() == Reason::Unauthorized);
        if is_outdated && self.connection.renew(generation).await.is_ok() {
            answer = self.ask(token, path).await;
        }
        let verdict = answer?;
        self.remember(asked, verdict.clone());
        Ok(verdict)
    }

    async fn ask(&self, token: &str, path: &str) -> Result<Verdict, Failure> {
        let Some(user) = self.owner(token).await? else { return Ok(Verdict::Unknown) };
        let name = user.username.clone().unwrap_or_default();
        let spec = SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some(path.to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        };
        let question = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let to = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = ask(&self.connection.client(), to, &question, SILENCE).await?;
        let is_allowed = answer.status.is_some_and(|status| status.allowed);
        Ok(if is_allowed { Verdict::Allowed } else { Verdict::Forbidden { user: name } })
    }

    async fn owner(&self, token: &str) -> Result<Option<UserInfo>, Failure> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let question = TokenReview { spec, ..TokenReview::default() };
        let to = "/apis/authentication.k8s.io/v1/tokenreviews";
        let answer = ask(&self.connection.client(), to, &question, SILENCE).await?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        Ok(status.and_then(|status| status.user))
    }

    fn remembered(&self, asked: &(String, &'static str)) -> Option<Verdict> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known(verdict, since) = known.get(asked)?;
        (since.elapsed() < LIFETIME).then(|| verdict.clone())
    }

    fn remember(&self, asked: (String, &'static str), verdict: Verdict) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(asked, Known(verdict, Instant::now()));
    }
}

/// Without the tokens.
impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviewer").finish_non_exhaustive()
    }
}
