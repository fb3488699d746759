//! How flows are stored in S3.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use flow::S3Columns;

use super::Credentials;

/// How flows are stored in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub bucket: String,
    /// What keys begin with; a slash follows it.
    pub prefix: String,
    /// Where the bucket is, as far as one knows. S3 itself is asked; other servers are told this.
    pub region: Option<String>,
    /// Another server than Amazon's: `https://host:port`, or `http://`.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path of requests, and not in the name of the host.
    pub path_style: bool,
    pub credentials: Credentials,
    pub format: Format,
    pub naming: Naming,
    /// An object is complete with so many records,
    pub max_records: usize,
    /// or this long, in bytes as they are stored: with the batch that makes it so,
    pub max_bytes: usize,
    /// or this long after its first record.
    pub interval: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// Where the place in the spool's log is noted at which an object begins; `None` without a
    /// spool.
    pub journal: Option<PathBuf>,
}

impl Options {
    /// Whether everybody on the way can read what is sent.
    pub(super) fn is_open(&self) -> bool {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        let Some(rest) = endpoint.strip_prefix("http://") else { return false };
        let host = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => rest,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_here && host != "localhost"
    }
}

/// What objects are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Rows of a release of Antrea's.
    Csv {
        columns: S3Columns,
        /// The cluster's UUID, which is in every row; empty if nobody knows it.
        cluster: String,
        /// Whether they are compressed (gzip).
        compress: bool,
    },
    /// Files as those of the embedded store, compressed in themselves.
    Parquet,
}

/// What objects are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `PREFIX/records-….csv`.
    #[default]
    Original,
    /// `PREFIX/date=2026-11-21/hour=08/records-….csv`: by when the first record of an object was
    /// taken.
    Hive,
}

#[cfg(test)]
mod tests {
    use config::Secret;

    use super::*;

    #[test]
    fn what_leaves_the_machine_unprotected_is_open() {
        for (endpoint, is_open) in [
            (None, false),
            (Some("https://minio:9000"), false),
            (Some("http://minio:9000"), true),
            (Some("http://minio"), true),
            (Some("http://127.0.0.1:9000"), false),
            (Some("http://localhost"), false),
            (Some("http://[::1]:9000"), false),
            (Some("http://[fd00::1]"), true),
        ] {
            let secret = |text: &str| Secret::new(text.to_owned());
            let options = Options {
                bucket: "b".to_owned(),
                prefix: String::new(),
                region: None,
                endpoint: endpoint.map(str::to_owned),
                path_style: false,
                credentials: Credentials::Key { id: secret("a"), secret: secret("b"), token: None },
                format: Format::Parquet,
                naming: Naming::Hive,
                max_records: 1,
                max_bytes: 1,
                interval: Duration::ZERO,
                timeout: Duration::ZERO,
                journal: None,
            };
            assert_eq!(options.is_open(), is_open, "{endpoint:?}");
        }
    }
}
