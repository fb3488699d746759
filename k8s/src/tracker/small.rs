//! Kinds that have no address: what owns Pods, and namespaces.

use std::sync::Arc;

use flow::Name;

use super::departures::Departure;
use super::registry::{Key, Registry, Sight};
use super::{Kind, Tracker};
use crate::objects::{Namespace, Owned};

impl Tracker {
    pub(super) fn owned_applied(&mut self, kind: Kind, object: &Owned) {
        let key = (object.namespace.clone(), object.name.clone());
        if !self.small_applied(kind, key, &object.uid) {
            return;
        }
        match &object.owner {
            Some(owner) => {
                let known = self.cluster.owners.get(&object.uid);
                if known.is_none_or(|known| **known != *owner) {
                    let owner = self.shared_owner(owner);
                    self.cluster.owners.insert(object.uid.clone(), Arc::new(owner));
                }
            }
            None => drop(self.cluster.owners.remove(&object.uid)),
        }
    }

    pub(super) fn namespace_applied(&mut self, namespace: &Namespace) {
        let key = (Name::default(), namespace.name.clone());
        if !self.small_applied(Kind::Namespace, key, &namespace.uid) {
            return;
        }
        let labels = self.kept_labels(&namespace.labels);
        if self.cluster.namespaces.get(&namespace.name) != Some(&labels) {
            self.cluster.namespaces.insert(namespace.name.clone(), labels);
        }
    }

    /// Takes note of an object; says whether it is one to go by.
    fn small_applied(&mut self, kind: Kind, key: Key, uid: &Name) -> bool {
        if !self.is_well_formed(&[uid, &key.1], &[&key.0]) {
            return false;
        }
        let limit = self.limits.objects;
        let Some(registry) = self.small(kind) else { return false };
        let replaced = match registry.see(&key, uid) {
            Sight::Known => return true,
            Sight::Late => {
                self.stats.objects_late += 1;
                return false;
            }
            Sight::New { replaced, .. } => replaced,
        };
        let has_room = registry.len() < limit;
        if has_room {
            registry.insert(key.clone(), uid.clone(), 0, ());
        } else {
            self.stats.objects_refused += 1;
        }
        if let Some(replaced) = replaced {
            self.small_left(kind, key.1, replaced.uid, true);
        }
        has_room
    }

    pub(super) fn small_deleted(&mut self, kind: Kind, key: &Key, uid: &Name) {
        if let Some(live) = self.small(kind).and_then(|registry| registry.delete(key, uid)) {
            self.small_left(kind, key.1.clone(), live.uid, true);
        }
    }

    pub(super) fn small_list_begun(&mut self, kind: Kind) {
        let now = self.now;
        if let Some(registry) = self.small(kind) {
            registry.list_begun(now);
        }
    }

    pub(super) fn small_list_ended(&mut self, kind: Kind) {
        let Some(listed) = self.small(kind).and_then(Registry::list_ended) else { return };
        for ((_, name), live) in listed.missing {
            self.small_left(kind, name, live.uid, false);
        }
    }

    /// Its Pods may be asked for a while longer than it is there.
    fn small_left(&mut self, kind: Kind, name: Name, uid: Name, is_final: bool) {
        self.depart(Departure::Object(kind, uid.clone(), name));
        let now = self.now;
        if let Some(registry) = self.small(kind) {
            registry.depart(uid, 0, is_final, now);
        }
    }

    pub(super) fn forget_small(&mut self, kind: Kind, uid: &Name, name: Name, ended: u64) {
        let Some(registry) = self.small(kind) else { return };
        if !registry.forget(uid, ended) {
            return;
        }
        let key = (Name::default(), name);
        if kind == Kind::Namespace && registry.get(&key).is_none() {
            self.cluster.namespaces.remove(&key.1);
        }
        self.cluster.owners.remove(uid);
    }

    fn small(&mut self, kind: Kind) -> Option<&mut Registry<()>> {
        match kind {
            Kind::ReplicaSet => Some(&mut self.replica_sets),
            Kind::Job => Some(&mut self.jobs),
            Kind::Namespace => Some(&mut self.namespaces),
            Kind::Pod | Kind::Service | Kind::Node | Kind::EndpointSlice | Kind::Custom(_) => None,
        }
    }
}
