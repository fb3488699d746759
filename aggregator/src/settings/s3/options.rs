//! What the sink is told.

use std::path::PathBuf;

use config::Secret;
use flow::Uid;
use sinks::s3::{Credentials, Format, Naming, Options};

use super::{S3, is_placeholder};

impl S3 {
    /// How objects are stored; `None` if they are not. `spool` is the directory of the spool.
    pub fn options(&self, uuid: Option<Uid>, spool: Option<PathBuf>) -> Option<Options> {
        let bucket = self.bucket.value.clone().filter(|_| self.enable.value)?;
        let region = self.region.value.clone().or_else(|| self.region_around.value.clone());
        let endpoint = self.endpoint.value.clone();
        let format = if self.is_parquet.value {
            Format::Parquet
        } else {
            Format::Csv {
                columns: self.columns.value,
                cluster: uuid.map(|uuid| uuid.to_string()).unwrap_or_default(),
                compress: self.compress.value,
            }
        };
        Some(Options {
            bucket,
            prefix: self.prefix.value.clone().unwrap_or_default(),
            region,
            path_style: self.path_style.value.unwrap_or(endpoint.is_some()),
            endpoint,
            credentials: self.credentials(),
            format,
            naming: if self.is_hive.value { Naming::Hive } else { Naming::Original },
            max_records: usize::try_from(self.records.value).unwrap_or(usize::MAX),
            max_bytes: usize::try_from(self.bytes.value).unwrap_or(usize::MAX),
            interval: self.interval.value,
            timeout: self.timeout.value,
            journal: spool,
        })
    }

    /// What Antrea's chart has in its Secret until somebody changes it is nothing.
    fn credentials(&self) -> Credentials {
        let real = |secret: &Option<Secret>| secret.clone().filter(|it| !is_placeholder(it));
        match (real(&self.key_id.value), real(&self.secret_key.value)) {
            (Some(id), Some(secret)) => {
                Credentials::Key { id, secret, token: real(&self.token.value) }
            }
            _ => Credentials::Found,
        }
    }
}
