//! Who we are to S3.

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_sdk_s3::config::{Region, SharedCredentialsProvider};
use config::Secret;

/// Who we are to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A key, as the environment gives it.
    Key { id: Secret, secret: Secret, token: Option<Secret> },
    /// Whatever the SDK's chain finds but for that: the files of a profile, a web identity
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`), that of the container, that of the
    /// machine.
    Found,
}

/// What no version of the SDK changes behind our back.
pub(super) fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

impl Credentials {
    /// Nothing is asked for before it is needed. `region` is where tokens are exchanged.
    pub(super) fn provider(&self, region: &str) -> SharedCredentialsProvider {
        match self {
            Self::Key { id, secret, token } => {
                let token = token.as_ref().map(|token| token.reveal().to_owned());
                SharedCredentialsProvider::new(aws_sdk_s3::config::Credentials::new(
                    id.reveal(),
                    secret.reveal(),
                    token,
                    None,
                    "environment",
                ))
            }
            Self::Found => SharedCredentialsProvider::new(chain(region)),
        }
    }
}

/// The SDK's own chain without the variables of a key, which are read, and judged, elsewhere.
fn chain(region: &str) -> CredentialsProviderChain {
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_behavior_version(Some(behaviour()));
    let profile = ProfileFileCredentialsProvider::builder().configure(&config).build();
    let web = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let machine = ImdsCredentialsProvider::builder().configure(&config).build();
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else("WebIdentityToken", web)
        .or_else("EcsContainer", container)
        .or_else("Ec2InstanceMetadata", machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let key = Credentials::Key {
            id: secret("someone"),
            secret: secret("hunter2"),
            token: Some(secret("hunter3")),
        };
        assert!(!format!("{key:?}").contains("someone"));
        let shown = format!("{key:?} {:?}", key.provider("here"));
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
