//! Files, flags and the environment, read but not yet weighed.

use std::collections::HashMap;
use std::path::PathBuf;

use config::{Layer, Raw, Sources, yaml};

use super::keys::{AGENT_FILE, KEYS, OWN_FILE};

/// The files there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `antrea-agent.conf`.
    pub agent: Option<PathBuf>,
    /// `flow-exporter.conf`.
    pub own: Option<PathBuf>,
}

/// What is in the files now, or why that cannot be said. Two that are equal need no second look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    pub agent: Option<Result<String, String>>,
    pub own: Option<Result<String, String>>,
}

impl Files {
    pub fn read(&self) -> Texts {
        let read = |path: &PathBuf| yaml::load(path).map_err(|error| error.to_string());
        Texts { agent: self.agent.as_ref().map(read), own: self.own.as_ref().map(read) }
    }

    /// Joins all sources. A file that could not be read is an error among the findings.
    pub fn sources(
        &self,
        texts: &Texts,
        flags: HashMap<&'static str, Raw>,
        environment: HashMap<&'static str, String>,
    ) -> Sources {
        let mut sources = Sources { flags, environment, ..Sources::default() };
        let agent = (&AGENT_FILE, &self.agent, &texts.agent);
        for (kind, path, text) in [(&OWN_FILE, &self.own, &texts.own), agent] {
            if let (Some(path), Some(text)) = (path, text) {
                let layer = Layer::of_file(kind, path, text, &KEYS, &mut sources.findings);
                sources.layers.extend(layer);
            }
        }
        sources
    }
}
