//! The output to S3.

#[cfg(feature = "s3")]
mod options; // what the sink is told

use std::time::Duration;

use config::address::is_url_host;
use config::write::{Line, text};
use config::{Findings, Key, Name, Raw, Secret, Setting, Severity, Sources, read, size};
use flow::S3Columns;

use super::keys::{DURATION, FILE, Reload, Section, TRUTH};
use super::{print, values};

const DEFAULT_RECORDS: u32 = 1_000_000;
/// What the Secret of Antrea's chart has as long as nobody has changed it.
const PLACEHOLDER: &str = "changeme";
const LEAST_BYTES: u64 = 64 << 10;
/// What S3 takes in parts of 8 MiB is 80 times that; it has to be in memory.
const MOST_BYTES: u64 = 1 << 30;

pub(super) static SECTION: Section = Section {
    title: "Output: S3",
    reload: Reload::Live,
    antrea: &[&ENABLE, &BUCKET, &PREFIX, &REGION, &FORMAT, &COMPRESS, &RECORDS, &INTERVAL],
    ours: &[&ENDPOINT, &PATH_STYLE, &COLUMNS, &NAMING, &BYTES, &TIMEOUT],
};

pub(super) static ENABLE: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.enable")],
    form: TRUTH,
    default: "false",
    doc: "Whether records go to S3.",
    ..Key::NONE
};

pub(super) static BUCKET: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.bucketName")],
    form: "a text",
    doc: "The bucket. It has to be there; until it is, records wait.",
    ..Key::NONE
};

pub(super) static PREFIX: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.bucketPrefix")],
    form: "a text",
    doc: "What names of objects begin with; a slash follows it.",
    ..Key::NONE
};

pub(super) static REGION: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.region")],
    form: "a text",
    doc: "Where the bucket is, as far as you know: Amazon is asked where it really is. Without it, \
          AWS_REGION of the environment, or us-east-1.",
    ..Key::NONE
};

pub(super) static FORMAT: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.recordFormat")],
    form: "CSV or Parquet",
    default: "CSV",
    doc: "What records are written as. CSV: Antrea's rows. Parquet: files as those in \
          dataDirectory, with every attribute; Antrea has no such format.",
    ..Key::NONE
};

pub(super) static COMPRESS: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.compress")],
    form: TRUTH,
    default: "true",
    doc: "Whether CSV is compressed (gzip). Parquet is, in itself.",
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
    doc: "How long a record waits for others at most before it is stored.",
    ..Key::NONE
};

static ENDPOINT: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.endpoint")],
    form: "https://HOST[:PORT], or http://",
    doc: "Another server than Amazon's. Over http:// everybody on the way can read the flows. An \
          authority of your own is named by SSL_CERT_FILE in the environment.",
    ..Key::NONE
};

static PATH_STYLE: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.pathStyle")],
    form: "true, false or nothing",
    doc: "Whether the bucket is in the path of requests and not in the name of the host. Without \
          it, it is if there is an endpoint.",
    ..Key::NONE
};

static COLUMNS: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.columns")],
    form: "v1.9, v1.13, v1.15, v2.0, v2.6 or v2.7",
    default: "v2.7",
    doc: "The first release of Antrea with these columns of CSV. v1.13 are those of 1.14 too, which \
          Theia's Snowflake pipe reads; v2.0 those of every release up to 2.5.",
    ..Key::NONE
};

static NAMING: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.objectNames")],
    form: "original or hive",
    default: "original",
    doc: "original: PREFIX/records-….csv.gz. hive: PREFIX/date=YYYY-MM-DD/hour=HH/records-….csv.gz, \
          by when the first record of the object was taken (UTC).",
    ..Key::NONE
};

static BYTES: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.maxBytesPerFile")],
    form: "a size from 64KiB to 1GiB, such as 64MiB",
    default: "64MiB",
    doc: "An object that is so long is complete. It is in memory until it is stored.",
    ..Key::NONE
};

static TIMEOUT: Key = Key {
    names: &[Name::current(FILE, "s3Uploader.requestTimeout")],
    form: DURATION,
    default: "60s",
    doc: "How long one request may take, which carries 8 MiB at most.",
    ..Key::NONE
};

pub(super) static KEY_ID: Key = Key {
    variable: Some("AWS_ACCESS_KEY_ID"),
    form: "an access key",
    doc: "Who we are to S3. Without it, or with changeme, which Antrea's chart has: a profile \
          (AWS_PROFILE), a web identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN), the role of \
          the container or of the machine.",
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

pub(super) static REGION_AROUND: Key = Key {
    variable: Some("AWS_REGION"),
    form: "a region",
    doc: "Where the bucket is, if s3Uploader.region does not say.",
    ..Key::NONE
};

const LAYOUTS: [(&str, S3Columns); 6] = [
    ("v1.9", S3Columns::V1_9),
    ("v1.13", S3Columns::V1_13),
    ("v1.15", S3Columns::V1_15),
    ("v2.0", S3Columns::V2_0),
    ("v2.6", S3Columns::V2_6),
    ("v2.7", S3Columns::V2_7),
];

/// The output to S3.
#[derive(Debug, Clone, PartialEq)]
pub struct S3 {
    pub enable: Setting<bool>,
    bucket: Setting<Option<String>>,
    prefix: Setting<Option<String>>,
    region: Setting<Option<String>>,
    is_parquet: Setting<bool>,
    compress: Setting<bool>,
    records: Setting<u32>,
    interval: Setting<Duration>,
    endpoint: Setting<Option<String>>,
    path_style: Setting<Option<bool>>,
    columns: Setting<S3Columns>,
    is_hive: Setting<bool>,
    bytes: Setting<u64>,
    timeout: Setting<Duration>,
    key_id: Setting<Option<Secret>>,
    secret_key: Setting<Option<Secret>>,
    token: Setting<Option<Secret>>,
    region_around: Setting<Option<String>>,
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
        let region = Setting::optional(sources.pick(&REGION, region));
        let formats = [("CSV", false), ("Parquet", true)];
        let is_parquet = sources.pick(&FORMAT, |raw| read::word(raw, &formats));
        let compress = sources.pick(&COMPRESS, read::truth);
        let records = sources.pick(&RECORDS, records);
        let interval = sources.pick(&INTERVAL, read::timeout);
        let endpoint = Setting::optional(sources.pick(&ENDPOINT, endpoint));
        let path_style = Setting::optional(sources.pick(&PATH_STYLE, read::truth));
        let columns = sources.pick(&COLUMNS, |raw| read::word(raw, &LAYOUTS));
        let names = [("original", false), ("hive", true)];
        let is_hive = sources.pick(&NAMING, |raw| read::word(raw, &names));
        let bytes = sources.pick(&BYTES, |raw| match read::bytes(raw)? {
            bytes if bytes < LEAST_BYTES => Err("it is too small"),
            bytes if bytes > MOST_BYTES => Err("it is too large"),
            bytes => Ok(bytes),
        });
        let timeout = sources.pick(&TIMEOUT, read::timeout);
        let key_id = Setting::optional(sources.pick(&KEY_ID, values::secret));
        let secret_key = Setting::optional(sources.pick(&SECRET_KEY, values::secret));
        let token = Setting::optional(sources.pick(&TOKEN, values::secret));
        let region_around = Setting::optional(sources.pick(&REGION_AROUND, self::region));
        Some(Self {
            enable,
            bucket,
            prefix,
            region,
            is_parquet: is_parquet?,
            compress: compress?,
            records: records?,
            interval: interval?,
            endpoint,
            path_style,
            columns: columns?,
            is_hive: is_hive?,
            bytes: bytes?,
            timeout: timeout?,
            key_id,
            secret_key,
            token,
            region_around,
        })
    }

    fn check(&self, findings: &mut Findings) {
        let mut note = |severity, setting: &config::Origin, key: &Key, what: &str| {
            findings.note(severity, setting.clone(), key.name(), what);
        };
        if self.bucket.value.is_none() {
            let what = "expected the name of a bucket, found nothing";
            note(Severity::Error, &self.enable.origin, &BUCKET, what);
        }
        for (setting, key) in [(&self.key_id, &KEY_ID), (&self.secret_key, &SECRET_KEY)] {
            if setting.value.as_ref().is_some_and(is_placeholder) {
                let what =
                    "it is the placeholder of Antrea's chart, and counts as not set; empty it";
                note(Severity::Doubt, &setting.origin, key, what);
            }
        }
        let secrets =
            [(&self.key_id, &KEY_ID), (&self.secret_key, &SECRET_KEY), (&self.token, &TOKEN)];
        for (setting, key) in secrets {
            if !setting.value.as_ref().is_none_or(values::is_sendable) {
                note(Severity::Error, &setting.origin, key, values::NOT_SENDABLE);
            }
        }
        // Half of a key would be passed over for whatever else the SDK finds.
        let is_there = |setting: &Setting<Option<Secret>>| {
            setting.value.as_ref().is_some_and(|value| !is_placeholder(value))
        };
        if is_there(&self.key_id) != is_there(&self.secret_key) {
            let what = "expected both of the key's id and its secret, or neither; found one";
            note(Severity::Error, &self.secret_key.origin, &SECRET_KEY, what);
        }
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let format = |is_parquet: &bool| if *is_parquet { "Parquet" } else { "CSV" }.to_owned();
        let names = |is_hive: &bool| if *is_hive { "hive" } else { "original" }.to_owned();
        let layout = |it: &S3Columns| {
            let word = LAYOUTS.iter().find(|(_, columns)| columns == it);
            word.map_or("", |(word, _)| word).to_owned()
        };
        let style = |it: &Option<bool>| it.map_or_else(|| text(""), |it| it.to_string());
        vec![
            print::number(&ENABLE, &self.enable),
            print::maybe(&BUCKET, &self.bucket),
            print::maybe(&PREFIX, &self.prefix),
            print::maybe(&REGION, &self.region),
            print::line(&FORMAT, &self.is_parquet, format),
            print::number(&COMPRESS, &self.compress),
            print::number(&RECORDS, &self.records),
            print::time(&INTERVAL, &self.interval),
            print::maybe(&ENDPOINT, &self.endpoint),
            print::line(&PATH_STYLE, &self.path_style, style),
            print::line(&COLUMNS, &self.columns, layout),
            print::line(&NAMING, &self.is_hive, names),
            print::line(&BYTES, &self.bytes, |it| size::format(*it)),
            print::time(&TIMEOUT, &self.timeout),
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

/// It becomes part of a host's name.
fn region(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.bytes().all(is_inner) {
        Ok(text.to_owned())
    } else {
        Err("no region has such a name: letters, digits and -")
    }
}

/// A scheme, a host, perhaps a port, and nothing else.
fn endpoint(raw: &Raw) -> Result<String, &'static str> {
    let text = read::text(raw)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or("it does not begin with https:// or http://")?;
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    if rest.contains(['/', '?', '#', '@']) {
        return Err("it has more than a host and a port");
    }
    if !is_url_host(host) {
        return Err("it has no host, or one with what no host has; IPv6 addresses are in brackets");
    }
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = |port: &str| is_number(port) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_none_or(is_port) { Ok(text.to_owned()) } else { Err("its port is none") }
}

fn is_placeholder(secret: &Secret) -> bool {
    secret.reveal() == PLACEHOLDER
}

#[cfg(all(test, feature = "s3"))]
mod tests;
