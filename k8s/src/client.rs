//! The way to the API server: where it is, as whom we ask, and what it answers.
//!
//! `kube` brings TLS, credentials and requests. Answers are read here: each within limits of size
//! and silence, and each failure with a reason that can be counted.
mod connection; // a client that can be made anew when its credentials have expired
mod failure; // why a request failed
mod answer; // bodies and lines, within limits
mod resource; // where each kind lives in the API
mod rules; // what the API server has to allow, as data
mod access; // which of it the API server does not allow

pub use access::{AccessReport, Answered, check};
pub use connection::{Connection, ConnectionError, Source, in_cluster};
pub use failure::{Failure, Reason, Refusal};
pub use rules::{Access, ObjectRule, Rule, Verb, cluster_role, rules};

pub(crate) use answer::{Line, Lines, ask, read, send};
pub(crate) use resource::Resource;
