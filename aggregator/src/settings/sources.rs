//! The file, flags and the environment, read but not yet weighed.

use std::collections::HashMap;
use std::path::PathBuf;

use config::{Layer, Raw, Sources, yaml};

use super::keys::{self, KIND};
use super::{click_house, cluster, s3};

/// `flow-aggregator.conf`, if there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File(pub Option<PathBuf>);

/// What is in it now, or why that cannot be said. Two that are equal need no second look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub Option<Result<String, String>>);

/// Variables of the environment that tell something.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let secrets = [
        &click_house::USERNAME,
        &click_house::PASSWORD,
        &s3::KEY_ID,
        &s3::SECRET_KEY,
        &s3::TOKEN,
        &s3::REGION_AROUND,
    ];
    let keys = keys::all().into_iter().chain(secrets);
    keys.filter_map(|key| key.variable).chain([cluster::POD])
}

impl File {
    pub fn read(&self) -> Text {
        let read = |path: &PathBuf| yaml::load(path).map_err(|error| error.to_string());
        Text(self.0.as_ref().map(read))
    }

    /// Joins all sources. A file that could not be read is an error among the findings.
    pub fn sources(
        &self,
        text: &Text,
        flags: HashMap<&'static str, Raw>,
        environment: HashMap<&'static str, String>,
    ) -> Sources {
        let mut sources = Sources { flags, environment, ..Sources::default() };
        if let (Some(path), Some(text)) = (&self.0, &text.0) {
            let layer = Layer::of_file(&KIND, path, text, &keys::all(), &mut sources.findings);
            sources.layers.extend(layer);
        }
        sources
    }
}
