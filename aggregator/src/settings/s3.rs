//! The output to S3, of which this build has the settings alone.

use std::time::Duration;

use config::write::Line;
use config::{Findings, Key, Name, Raw, Secret, Setting, Severity, Sources, read};

use super::keys::{DURATION, FILE, Reload, Section, TRUTH};
use super::{print, values};

const DEFAULT_RECORDS: u32 = 1_000_000;

pub(super) static SECTION: Section = Section {
    title: "Output: S3",
    reload: Reload::Live,
    antrea: &[&ENABLE, &BUCKET, &PREFIX, &REGION, &FORMAT, &COMPRESS, &RECORDS, &INTERVAL],
    ours: &[],
};

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go to S3. This build cannot yet, and refuses to start with true.",
    ..Key::NONE
};

pub(super) static BUCKET: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.bucketName")],
    form: "a text",
    doc: "The bucket.",
    ..Key::NONE
};

pub(super) static PREFIX: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.bucketPrefix")],
    form: "a text",
    doc: "What names of objects begin with.",
    ..Key::NONE
};

pub(super) static REGION: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.region")],
    form: "a text",
    doc: "The region; without it, that of AWS_REGION in the environment.",
    ..Key::NONE
};

pub(super) static FORMAT: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.recordFormat")],
    form: "CSV",
    default: "CSV",
    doc: "What records are written as.",
    ..Key::NONE
};

pub(super) static COMPRESS: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.compress")],
    form: TRUTH,
    default: "true",
    doc: "Whether objects are compressed (gzip).",
    ..Key::NONE
};

pub(super) static RECORDS: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.maxRecordsPerFile")],
    form: "a number from 0 to 2147483647",
    default: "1000000",
    doc: "Records of one object at most; 0 stands for 1000000.",
    ..Key::NONE
};

pub(super) static INTERVAL: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.uploadInterval")],
    form: DURATION,
    default: "60s",
    doc: "How often an object is stored.",
    ..Key::NONE
};

pub(super) static KEY_ID: Key = Key {
    variable: Some("AWS_ACCESS_KEY_ID"),
    form: "an access key",
    doc: "Who we are to S3.",
    ..Key::NONE
};

pub(super) static SECRET_KEY: Key = Key {
    variable: Some("AWS_SECRET_ACCESS_KEY"),
    form: "a secret key",
    doc: "The secret for that.",
    ..Key::NONE
};

pub(super) static TOKEN: Key = Key {
    variable: Some("AWS_SESSION_TOKEN"),
    form: "a token",
    doc: "A session's token, if there is one.",
    ..Key::NONE
};

/// The output to S3.
#[derive(Debug, Clone, PartialEq)]
pub struct S3 {
    pub enable: Setting<bool>,
    bucket: Setting<Option<String>>,
    prefix: Setting<Option<String>>,
    region: Setting<Option<String>>,
    format: Setting<&'static str>,
    compress: Setting<bool>,
    records: Setting<u32>,
    interval: Setting<Duration>,
    key_id: Setting<Option<Secret>>,
    secret_key: Setting<Option<Secret>>,
    token: Setting<Option<Secret>>,
}

impl S3 {
    pub(super) fn pick(sources: &mut Sources) -> Option<Self> {
        let enable = sources.pick(&ENABLE, read::truth)?;
        let before = sources.findings.iter().count();
        let is_on = enable.value;
        let picked = Self::pick_rest(sources, enable);
        match &picked {
            Some(it) if is_on => it.check(&mut sources.findings),
            _ => sources.findings.soften_after(before),
        }
        picked
    }

    fn pick_rest(sources: &mut Sources, enable: Setting<bool>) -> Option<Self> {
        let bucket = Setting::optional(sources.pick(&BUCKET, values::text));
        let prefix = Setting::optional(sources.pick(&PREFIX, values::text));
        let region = Setting::optional(sources.pick(&REGION, values::text));
        let format = sources.pick(&FORMAT, |raw| read::word(raw, &[("CSV", "CSV")]));
        let compress = sources.pick(&COMPRESS, read::truth);
        let records = sources.pick(&RECORDS, records);
        let interval = sources.pick(&INTERVAL, read::timeout);
        let key_id = Setting::optional(sources.pick(&KEY_ID, values::secret));
        let secret_key = Setting::optional(sources.pick(&SECRET_KEY, values::secret));
        let token = Setting::optional(sources.pick(&TOKEN, values::secret));
        Some(Self {
            enable,
            bucket,
            prefix,
            region,
            format: format?,
            compress: compress?,
            records: records?,
            interval: interval?,
            key_id,
            secret_key,
            token,
        })
    }

    fn check(&self, findings: &mut Findings) {
        if self.bucket.value.is_none() {
            let what = "expected the name of a bucket, found nothing";
            findings.note(Severity::Error, self.enable.origin.clone(), BUCKET.name(), what);
        }
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        vec![
            print::number(&ENABLE, &self.enable),
            print::maybe(&BUCKET, &self.bucket),
            print::maybe(&PREFIX, &self.prefix),
            print::maybe(&REGION, &self.region),
            print::number(&FORMAT, &self.format),
            print::number(&COMPRESS, &self.compress),
            print::number(&RECORDS, &self.records),
            print::time(&INTERVAL, &self.interval),
            print::secret("s3Uploader.accessKeyID", &self.key_id),
            print::secret("s3Uploader.secretAccessKey", &self.secret_key),
            print::secret("s3Uploader.sessionToken", &self.token),
        ]
    }
}

fn records(raw: &Raw) -> Result<u32, String> {
    let records = read::number(raw, 0..=i32::MAX.unsigned_abs())?;
    Ok(if records == 0 { DEFAULT_RECORDS } else { records })
}
