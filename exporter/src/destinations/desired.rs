//! Which destinations custom resources ask for now.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow::{Name, Profile};
use k8s::objects::{Change, CustomObject, Object};

use super::translate::{Defaults, Refusal, read};
use crate::destination::{Compatibility, Redaction, Spec};
use crate::meter::MAX_DESTINATIONS;

/// Custom resources that are remembered.
pub const KNOWN: usize = 1_024;

/// A resource that is not in force as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of the resource.
    pub name: String,
    pub why: Refusal,
    /// What it said before stays in force.
    pub former_runs: bool,
}

/// What is wanted, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Picture {
    pub(super) specs: Arc<[Spec]>,
    pub(super) refused: Arc<[Refused]>,
    /// Resources there was no room for, since the list began.
    pub(super) unknown: u64,
}

impl Defaults {
    /// For resources beside `configured` other destinations.
    pub fn beside(configured: usize, profile: Profile) -> Self {
        Self {
            profile,
            compatibility: Compatibility::of(profile),
            redaction: Redaction::default(),
            template_refresh: Spec::TEMPLATE_REFRESH,
            room: MAX_DESTINATIONS.saturating_sub(configured),
        }
    }
}

/// All resources as the API server tells them.
#[derive(Debug)]
pub(super) struct Desired {
    defaults: Defaults,
    resources: BTreeMap<Name, Resource>,
    unknown: u64,
}

#[derive(Debug)]
struct Resource {
    uid: Name,
    created_ms: u64,
    /// As it was when it last could be used.
    accepted: Option<Spec>,
    refused: Option<Refusal>,
    /// Not in the list that is being read, so far.
    is_missed: bool,
}

impl Desired {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, resources: BTreeMap::new(), unknown: 0 }
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Applied(Object::Custom(object)) => self.applied(&object),
            Change::Applied(_) => {}
            Change::Deleted { name, uid, .. } => {
                let is_it = |known: &Resource| uid.is_empty() || known.uid == uid;
                if self.resources.get(&name).is_some_and(is_it) {
                    self.resources.remove(&name);
                }
            }
            Change::ListBegun(_) => {
                self.unknown = 0;
                self.resources.values_mut().for_each(|it| it.is_missed = true);
            }
            Change::ListEnded(_) => self.resources.retain(|_, it| !it.is_missed),
        }
    }

    fn applied(&mut self, object: &CustomObject) {
        let CustomObject { uid, name, created_ms, json, .. } = object;
        let has_room = self.resources.len() < KNOWN;
        let resource = match self.resources.get_mut(name) {
            // Under the same name, another one is no edit of the first.
            Some(known) if known.uid == *uid => known,
            Some(other) => {
                *other = Resource::new(uid, *created_ms);
                other
            }
            None if has_room => {
                self.resources.entry(name.clone()).or_insert(Resource::new(uid, *created_ms))
            }
            None => {
                self.unknown += 1;
                return;
            }
        };
        resource.is_missed = false;
        match read(name.as_str(), json, &self.defaults) {
            Ok(spec) => (resource.accepted, resource.refused) = (Some(spec), None),
            Err(why) => resource.refused = Some(why),
        }
    }

    /// Destinations are in the order of their names, and so are those that are refused.
    pub(super) fn picture(&self) -> Picture {
        let usable = self.resources.iter().filter(|(_, it)| it.accepted.is_some());
        let mut ages: Vec<_> = usable.map(|(name, it)| (it.created_ms, name)).collect();
        ages.sort_unstable();
        // The oldest run, so that all Nodes choose the same and a new one ends no other.
        let room = self.defaults.room;
        let running: Vec<_> = ages.into_iter().take(room).map(|(_, name)| name).collect();
        let (mut specs, mut refused) = (Vec::new(), Vec::new());
        for (name, resource) in &self.resources {
            let runs = running.contains(&name);
            specs.extend(resource.accepted.as_ref().filter(|_| runs).cloned());
            let crowded = resource.accepted.is_some() && !runs;
            let why = resource.refused.clone().or(crowded.then_some(Refusal::TooMany(room)));
            let refusal = |why| Refused { name: name.as_str().to_owned(), why, former_runs: runs };
            refused.extend(why.map(refusal));
        }
        Picture { specs: specs.into(), refused: refused.into(), unknown: self.unknown }
    }
}

impl Resource {
    fn new(uid: &Name, created_ms: u64) -> Self {
        Self { uid: uid.clone(), created_ms, accepted: None, refused: None, is_missed: false }
    }
}

#[cfg(test)]
mod tests;
