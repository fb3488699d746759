//! Which rules are missing: asked all at once, before watching, so that one message names all.

use std::fmt;
use std::time::Duration;

use futures_util::stream::{StreamExt as _, iter};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{ListParams, WatchParams};

use super::{Access, Failure, Reason, Resource, Rule, Verb, ask, send};

/// Questions asked at the same time.
const AT_ONCE: usize = 4;

/// What the API server says of the accesses that it was asked about.
#[derive(Debug, Default)]
pub struct AccessReport {
    /// Not allowed.
    pub missing: Vec<Access>,
    /// Not known, each for the reason why.
    pub unknown: Vec<(Access, Failure)>,
    pub answered: Answered,
}

/// How it was found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answered {
    /// By `SelfSubjectAccessReviews`.
    #[default]
    ByReview,
    /// By trying, since the review itself is not allowed.
    ByTrial,
}

/// The missing rules, ready to be pasted under `rules:` of a `ClusterRole`.
impl fmt::Display for AccessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = Rule::allowing(&self.missing).iter().map(Rule::to_string).collect();
        f.write_str(&rules.join("\n"))
    }
}

/// Asks about every one of `accesses`; `silence` is how long an answer may take.
pub async fn check(client: &kube::Client, accesses: &[Access], silence: Duration) -> AccessReport {
    let reviews = iter(accesses.to_vec()).map(|access| review(client, access, silence));
    let answers: Vec<_> = reviews.buffered(AT_ONCE).collect().await;
    if answers.iter().any(is_denied) {
        let trials = iter(accesses.to_vec()).map(|access| attempt(client, access, silence));
        let answers = trials.buffered(AT_ONCE).collect().await;
        return report(accesses, answers, Answered::ByTrial);
    }
    report(accesses, answers, Answered::ByReview)
}

fn report(
    accesses: &[Access],
    answers: Vec<Result<bool, Failure>>,
    answered: Answered,
) -> AccessReport {
    let mut report = AccessReport { answered, ..AccessReport::default() };
    for (&access, answer) in accesses.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) => report.missing.push(access),
            Err(failure) => report.unknown.push((access, failure)),
        }
    }
    report
}

fn is_denied(answer: &Result<bool, Failure>) -> bool {
    answer.as_ref().is_err_and(|failure| failure.reason() == Reason::Denied)
}

/// Whether the API server says that it would allow `access`.
async fn review(client: &kube::Client, access: Access, silence: Duration) -> Result<bool, Failure> {
    let Resource { group, plural, .. } = Resource::of(access.kind);
    let asked = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(plural.to_owned()),
        verb: Some(access.verb.name().to_owned()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(asked), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let to = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = ask(client, to, &review, silence).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Whether the API server does not refuse when it is done.
async fn attempt(
    client: &kube::Client,
    access: Access,
    silence: Duration,
) -> Result<bool, Failure> {
    let request = Resource::of(access.kind).request();
    let request = match access.verb {
        Verb::List => request.list_metadata(&ListParams::default().limit(1)),
        Verb::Watch => request.watch_metadata(&WatchParams::default().timeout(1), "0"),
    };
    // The head of the answer is all we want to know.
    match send(client, request.map_err(Failure::Unmade)?, silence).await {
        Ok(_body) => Ok(true),
        Err(failure) if failure.reason() == Reason::Denied => Ok(false),
        Err(failure) => Err(failure),
    }
}
