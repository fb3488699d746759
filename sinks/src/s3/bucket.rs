//! Objects into the bucket: in one request, or in parts if they are longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, Region, RequestChecksumCalculation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::credentials::behaviour;
use super::object::Object;
use super::{Options, S3Counters, S3Error};
use crate::Failure;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Where S3 is asked about a bucket of which nothing is known, and what other servers are told.
const ANY_REGION: &str = "us-east-1";

/// The way to a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    options: Arc<Options>,
    counters: Arc<S3Counters>,
    /// Made with the first object.
    client: Option<Client>,
    /// Where the bucket is, once S3 has said so.
    region: Option<String>,
    /// The object that is being stored in parts.
    upload: Option<Upload>,
}

/// An object of which S3 has some parts.
#[derive(Debug)]
struct Upload {
    key: String,
    id: String,
    done: Vec<CompletedPart>,
}

impl Bucket {
    pub(super) fn new(options: Arc<Options>, counters: Arc<S3Counters>) -> Self {
        Self { options, counters, client: None, region: None, upload: None }
    }

    /// Stores an object. After an error it can be tried again: parts that S3 has are not sent again.
    ///
    /// # Cancel safety
    ///
    /// As after an error.
    pub(super) async fn store(&mut self, object: &Object) -> Result<(), S3Error> {
        let stored = self.try_to_store(object).await;
        match &stored {
            Ok(()) => {
                self.counters.objects.fetch_add(1, Ordering::Relaxed);
                self.counters.bytes.fetch_add(object.size(), Ordering::Relaxed);
            }
            Err(error) => {
                self.counters.failed(error.failure);
                self.learn(error);
            }
        }
        stored
    }

    /// Throws away the parts of an object that nobody is going to complete.
    pub(super) async fn give_up(&mut self) {
        let (Some(client), Some(upload)) = (&self.client, self.upload.take()) else { return };
        let (bucket, key, id) = (&self.options.bucket, upload.key, upload.id);
        let request = client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
        if let Err(error) = request.send().await.map_err(S3Error::new) {
            tracing::debug!(%error, "parts of an object are left to the bucket's lifecycle rules");
        }
    }

    async fn try_to_store(&mut self, object: &Object) -> Result<(), S3Error> {
        let client = self.client().await?;
        match object.parts.as_slice() {
            [part] => self.store_whole(&client, object, part.clone()).await,
            parts => self.store_parts(&client, &object.key, parts).await,
        }
    }

    async fn store_whole(
        &self,
        client: &Client,
        object: &Object,
        part: Bytes,
    ) -> Result<(), S3Error> {
        let request = client.put_object().bucket(&self.options.bucket).key(&object.key);
        let answer = request.body(ByteStream::from(part)).send().await.map_err(S3Error::new)?;
        // Who says yes to everything, such as a page to log in at, has stored nothing.
        answer.e_tag.map(drop).ok_or_else(|| S3Error::incomplete("entity tag"))
    }

    async fn store_parts(
        &mut self,
        client: &Client,
        key: &str,
        parts: &[Bytes],
    ) -> Result<(), S3Error> {
        let bucket = &self.options.bucket;
        let known = self.upload.take().filter(|upload| upload.key == key);
        let upload = if let Some(upload) = known {
            upload
        } else {
            let begun = client.create_multipart_upload().bucket(bucket).key(key).send().await;
            let id = begun.map_err(S3Error::new)?.upload_id;
            let id = id.ok_or_else(|| S3Error::incomplete("upload id"))?;
            Upload { key: key.to_owned(), id, done: Vec::new() }
        };
        let upload = self.upload.insert(upload);
        for (number, part) in (1..).zip(parts).skip(upload.done.len()) {
            let request = client.upload_part().bucket(bucket).key(key).upload_id(&upload.id);
            let body = ByteStream::from(part.clone());
            let sent = request.part_number(number).body(body).send().await;
            let tag = sent.map_err(S3Error::new)?.e_tag;
            let tag = tag.ok_or_else(|| S3Error::incomplete("entity tag"))?;
            upload.done.push(CompletedPart::builder().part_number(number).e_tag(tag).build());
            self.counters.parts.fetch_add(1, Ordering::Relaxed);
        }
        let done = CompletedMultipartUpload::builder().set_parts(Some(upload.done.clone())).build();
        let request = client.complete_multipart_upload().bucket(bucket).key(key);
        let request = request.upload_id(&upload.id).multipart_upload(done);
        request.send().await.map_err(S3Error::new)?;
        self.upload = None;
        Ok(())
    }

    /// Takes from an answer what helps the next attempt.
    fn learn(&mut self, error: &S3Error) {
        if error.is_upload_gone {
            self.upload = None;
        }
        let Some(region) = &error.region else { return };
        if error.failure == Failure::WrongRegion && self.region.as_ref() != Some(region) {
            tracing::warn!(bucket = self.options.bucket, region, "the bucket is in this region");
            self.region = Some(region.clone());
            (self.client, self.upload) = (None, None);
        }
    }

    async fn client(&mut self) -> Result<Client, S3Error> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        if self.region.is_none() && self.options.endpoint.is_none() {
            self.region = Some(self.look_up_region().await?);
        }
        let region = self.region.as_deref().or(self.options.region.as_deref());
        let client = self.client_in(region.unwrap_or(ANY_REGION));
        Ok(self.client.insert(client).clone())
    }

    /// Asks S3 where the bucket is. It tells those who have no right to look at it as well.
    async fn look_up_region(&self) -> Result<String, S3Error> {
        let hint = self.options.region.as_deref().unwrap_or(ANY_REGION);
        let asked = self.client_in(hint).head_bucket().bucket(&self.options.bucket).send().await;
        let region = match asked.map_err(S3Error::new) {
            Ok(answer) => answer.bucket_region,
            Err(S3Error { region: Some(region), .. }) => Some(region),
            Err(S3Error { failure: Failure::Denied, .. }) => None,
            Err(error) => return Err(error),
        };
        let region = region.unwrap_or_else(|| hint.to_owned());
        tracing::info!(bucket = self.options.bucket, region, "flows are stored in S3");
        Ok(region)
    }

    fn client_in(&self, region: &str) -> Client {
        let options = &self.options;
        let times = TimeoutConfig::builder()
            .connect_timeout(CONNECT_WITHIN)
            .operation_attempt_timeout(options.timeout);
        let mut config = Builder::new()
            .behavior_version(behaviour())
            .region(Region::new(region.to_owned()))
            .credentials_provider(options.credentials.provider(region))
            .force_path_style(options.path_style)
            .timeout_config(times.build())
            // Whoever delivers to us tries again.
            .retry_config(RetryConfig::disabled());
        if let Some(endpoint) = &options.endpoint {
            // Other servers may not know of Amazon's newer checksums. What is sent is part of the
            // signature either way.
            config = config
                .endpoint_url(endpoint)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        }
        Client::from_conf(config.build())
    }
}
