//! What can go wrong, sorted by what to do about it. All of it is worth another try: what is wrong
//! with a bucket or its rights is mended there, while records wait here.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::Failure;

/// The header that says where a bucket is.
const REGION_HEADER: &str = "x-amz-bucket-region";
/// No answer that tells a region is longer.
const LONGEST_ANSWER: usize = 16 << 10;

/// Why an object was not stored.
#[derive(Debug, thiserror::Error)]
#[error("S3: {}", .failure.advice())]
pub struct S3Error {
    pub failure: Failure,
    /// Where the bucket is, if the answer says so.
    pub(super) region: Option<String>,
    /// The upload in parts that the request belongs to is not there any more.
    pub(super) is_upload_gone: bool,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl S3Error {
    pub(super) fn new<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let answer = error.raw_response();
        let region = answer.and_then(region);
        let status = answer.map(|answer| answer.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let failure = match &error {
            SdkError::TimeoutError(_) => Failure::Timeout,
            error if has_no_credentials(error) => Failure::NoCredentials,
            SdkError::DispatchFailure(why) if why.is_timeout() => Failure::Timeout,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Failure::Unreachable,
            _ => sort(&code, status, region.is_some()),
        };
        let is_upload_gone = code == "NoSuchUpload";
        let source: Box<dyn Error + Send + Sync> = match error {
            // Around this one there is nothing but its kind.
            SdkError::ServiceError(inner) => Box::new(Answer::new(status, inner.err())),
            error => Box::new(error),
        };
        Self { failure, region, is_upload_gone, source }
    }

    /// The answer lacks what it must have.
    pub(super) fn incomplete(what: &'static str) -> Self {
        let source = format!("its answer has no {what}").into();
        Self { failure: Failure::Other, region: None, is_upload_gone: false, source }
    }
}

/// What S3 answered, in one line.
#[derive(Debug, thiserror::Error)]
#[error("it answered {status}: {code}: {message}")]
struct Answer {
    status: u16,
    code: String,
    message: String,
}

impl Answer {
    fn new(status: Option<u16>, error: &impl ProvideErrorMetadata) -> Self {
        let text = |text: Option<&str>| text.unwrap_or("-").chars().take(300).collect();
        Self {
            status: status.unwrap_or(0),
            code: text(error.code()),
            message: text(error.message()),
        }
    }
}

/// By S3's error codes; answers to HEAD have none but the status.
fn sort(code: &str, status: Option<u16>, tells_region: bool) -> Failure {
    match (code, status) {
        ("NoSuchBucket", _) | ("NotFound", Some(404)) => Failure::NoBucket,
        ("InvalidAccessKeyId" | "InvalidClientTokenId", _) => Failure::UnknownKey,
        ("SignatureDoesNotMatch", _) => Failure::Signature,
        ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "ExpiredTokenException", _) => {
            Failure::Expired
        }
        ("RequestTimeTooSkewed" | "RequestExpired", _) => Failure::Clock,
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, Some(301 | 307)) => Failure::WrongRegion,
        ("AccessDenied" | "AccountProblem" | "AllAccessDisabled", _) => Failure::Denied,
        ("SlowDown" | "Throttling" | "RequestLimitExceeded" | "TooManyRequests", _)
        | (_, Some(429 | 503)) => Failure::SlowDown,
        ("RequestTimeout", _) | (_, Some(408 | 504)) => Failure::Timeout,
        (_, Some(400)) if tells_region => Failure::WrongRegion,
        (_, Some(403)) => Failure::Denied,
        _ => Failure::Other,
    }
}

/// Where the bucket is, as a header says it, or the text of an error.
fn region(answer: &HttpResponse) -> Option<String> {
    let is_region = |text: &&str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=64).contains(&text.len()) && text.bytes().all(is_part)
    };
    let header = answer.headers().get(REGION_HEADER);
    let body = || {
        let bytes = answer.body().bytes().filter(|bytes| bytes.len() <= LONGEST_ANSWER)?;
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.split_once("<Region>")?.1.split_once("</Region>")?.0)
    };
    header.or_else(body).filter(is_region).map(str::to_owned)
}

fn has_no_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_without_a_text_are_sorted_by_their_status() {
        for (status, told, failure) in [
            (301, true, Failure::WrongRegion),
            (400, true, Failure::WrongRegion),
            (400, false, Failure::Other),
            (403, true, Failure::Denied),
            (500, false, Failure::Other),
            (503, false, Failure::SlowDown),
        ] {
            assert_eq!(sort("", Some(status), told), failure, "{status}");
        }
        assert_eq!(sort("SignatureDoesNotMatch", Some(403), false), Failure::Signature);
    }
}
