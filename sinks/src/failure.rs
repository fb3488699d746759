//! Why a far end did not take what it was sent, by what to do about it.

/// Why a far end did not take what it was sent, by what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    NoBucket,
    Denied,
    UnknownKey,
    Signature,
    Expired,
    NoCredentials,
    WrongRegion,
    SlowDown,
    Clock,
    Timeout,
    Unreachable,
    Other,
}

impl Failure {
    /// In the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::NoBucket,
        Self::Denied,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NoCredentials,
        Self::WrongRegion,
        Self::SlowDown,
        Self::Clock,
        Self::Timeout,
        Self::Unreachable,
        Self::Other,
    ];

    /// What metrics call it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoBucket => "no_bucket",
            Self::Denied => "denied",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NoCredentials => "no_credentials",
            Self::WrongRegion => "wrong_region",
            Self::SlowDown => "slow_down",
            Self::Clock => "clock",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Other => "other",
        }
    }

    /// What has happened, and what to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoBucket => {
                "there is no such bucket; make it, or correct bucketName (and endpoint)"
            }
            Self::Denied => {
                "access is denied; allow s3:PutObject and s3:AbortMultipartUpload on objects below \
                 bucketPrefix"
            }
            Self::UnknownKey => "nobody has this access key there; correct AWS_ACCESS_KEY_ID",
            Self::Signature => {
                "the signature is wrong; correct AWS_SECRET_ACCESS_KEY, or region where the server \
                 is not Amazon's"
            }
            Self::Expired => "the credentials have expired; renew AWS_SESSION_TOKEN and its key",
            Self::NoCredentials => {
                "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give \
                 the process a role"
            }
            Self::WrongRegion => {
                "the bucket is in another region; it is asked there next if the answer says where, \
                 else correct region"
            }
            Self::SlowDown => "it asks for fewer requests; they come ever more slowly meanwhile",
            Self::Clock => "the clocks differ too much; correct that of this machine",
            Self::Timeout => "it did not answer in time; see the network, or raise requestTimeout",
            Self::Unreachable => "it cannot be reached; see the network, the name and the endpoint",
            Self::Other => "it did not take the object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_numbers_are_their_places() {
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
        }
    }
}
