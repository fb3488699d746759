//! Who may ask for flows: they tell who talks to whom in the whole cluster.

use grpc::Status;
use k8s::review::{Reviewer, Verdict};

/// What RBAC has to allow with the verb `get`, among the `nonResourceURLs`.
const PATH: &str = "/flows";

/// Who gets flows.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever reaches the port.
    Anybody,
    /// Who has a certificate of our authority, or a token whose owner the API server lets. Without
    /// an API server, certificates alone count.
    Known { tokens: Option<Reviewer> },
}

impl Access {
    /// Whether a call may be answered. `is_certified`: the connection has shown a certificate.
    pub(super) async fn check(
        &self,
        is_certified: bool,
        token: Option<&str>,
    ) -> Result<(), Status> {
        let Self::Known { tokens } = self else { return Ok(()) };
        match (is_certified, tokens, token) {
            (true, _, _) => Ok(()),
            (false, Some(reviewer), Some(token)) => match reviewer.may_get(token, PATH).await {
                Ok(Verdict::Allowed) => Ok(()),
                Ok(Verdict::Forbidden { user }) => {
                    let need =
                        format!("{user} needs a rule with nonResourceURLs [{PATH}], verb get");
                    Err(Status::new(Status::PERMISSION_DENIED, need))
                }
                Ok(Verdict::Unknown) => Err(unknown("the token is nobody's")),
                Err(failure) => {
                    tracing::debug!(error = %daemon::Chain(&failure), "a token cannot be checked");
                    Err(Status::new(Status::UNAVAILABLE, "the token cannot be checked now"))
                }
            },
            (false, Some(_), None) => Err(unknown("show a certificate or a bearer token")),
            (false, None, _) => Err(unknown("show a certificate")),
        }
    }
}

fn unknown(why: &str) -> Status {
    Status::new(Status::UNAUTHENTICATED, why)
}
