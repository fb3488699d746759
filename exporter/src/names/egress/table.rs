//! All Egresses, and which of them a Pod has.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use flow::Name;
use hashbrown::HashMap;
use k8s::objects::{Change, Object};
use k8s::{Cluster, Limits, Pod};
use kube::core::SelectorExt as _;

use super::resource::{Egress, Selected};

/// Egresses that are remembered.
pub(super) const KNOWN: usize = 4_096;
/// Pods whose Egress is remembered: more than a Node runs.
const PODS: usize = 1_024;

type Labels = Arc<[(Name, Name)]>;

/// By which address, and through which Node, a Pod's connections leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub name: Name,
    pub node: Name,
    addresses: [Option<Name>; 2],
}

impl Effective {
    /// The address in the family of `to`; `None` if it leaves connections of that alone.
    pub fn address(&self, to: IpAddr) -> Option<&Name> {
        let [v4, v6] = &self.addresses;
        if to.is_ipv6() { v6.as_ref() } else { v4.as_ref() }
    }
}

/// Why it is not known by which Egress a Pod's connections leave, if by any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncertain {
    /// They are not listed yet, or may not be.
    NotListed,
    /// There are more than are remembered.
    TooMany,
    /// Several select the Pod.
    Ambiguous,
    /// No Node has its address, as far as its status says.
    Unassigned,
    /// One that cannot be read, or not in full, may be for it.
    NotUnderstood,
    /// The labels of its namespace are not known.
    Namespace,
    /// The Pod, or its namespace, may have more labels than are kept.
    LabelsCut,
}

impl Uncertain {
    /// As a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotListed => "not_listed",
            Self::TooMany => "too_many",
            Self::Ambiguous => "ambiguous",
            Self::Unassigned => "unassigned",
            Self::NotUnderstood => "not_understood",
            Self::Namespace => "namespace",
            Self::LabelsCut => "labels_cut",
        }
    }

    /// Whether that is only a matter of time.
    pub const fn may_be_known_soon(self) -> bool {
        matches!(self, Self::NotListed | Self::Namespace)
    }
}

type Found = Result<Option<Arc<Effective>>, Uncertain>;

/// Which Egress each Pod has. Copies share everything.
#[derive(Debug, Clone, Default)]
pub struct Egresses {
    table: Arc<ArcSwap<Table>>,
    /// What was found last, by the Pod's uid.
    found: Arc<Mutex<HashMap<Name, Remembered>>>,
}

/// Holds while everything is the same that it was found by.
#[derive(Debug)]
struct Remembered {
    table: Arc<Table>,
    labels: Labels,
    namespace: Option<Labels>,
    found: Found,
}

#[derive(Debug, Default)]
struct Table {
    all: Vec<Egress>,
    is_listed: bool,
    refused: u64,
}

impl Egresses {
    /// The Egress by which connections of `pod` leave; `None` if there is none for it.
    pub fn of(&self, pod: &Pod, cluster: &Cluster) -> Found {
        let table = self.table.load_full();
        let namespace = cluster.namespace(&pod.namespace);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(&pod.uid)
            && known.holds(&table, &pod.labels, namespace)
        {
            return known.found.clone();
        }
        let told = table.find(&pod.labels, namespace.map(AsRef::as_ref));
        if found.len() >= PODS {
            found.clear();
        }
        let (labels, namespace) = (Arc::clone(&pod.labels), namespace.cloned());
        let remembered = Remembered { table, labels, namespace, found: told.clone() };
        found.insert(pod.uid.clone(), remembered);
        told
    }

    pub(super) fn publish(&self, known: &Known) {
        let all = known.all.values().map(|it| it.egress.clone()).collect();
        let table = Table { all, is_listed: known.is_listed, refused: known.refused };
        self.table.store(Arc::new(table));
    }
}

impl Remembered {
    fn holds(&self, table: &Arc<Table>, labels: &Labels, namespace: Option<&Labels>) -> bool {
        let is_same_namespace = match (&self.namespace, namespace) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        is_same_namespace && Arc::ptr_eq(&self.table, table) && Arc::ptr_eq(&self.labels, labels)
    }
}

impl Table {
    fn find(&self, labels: &[(Name, Name)], namespace: Option<&[(Name, Name)]>) -> Found {
        if !self.is_listed {
            return Err(Uncertain::NotListed);
        }
        if self.refused > 0 {
            return Err(Uncertain::TooMany);
        }
        if self.all.is_empty() {
            return Ok(None);
        }
        let labels = complete(labels)?;
        let namespace = namespace.map(complete).transpose()?;
        let mut selecting = Vec::new();
        for egress in &self.all {
            match &egress.pods {
                None => return Err(Uncertain::NotUnderstood),
                Some(pods) if pods.have(&labels, namespace.as_ref())? => selecting.push(egress),
                Some(_) => {}
            }
        }
        match selecting.as_slice() {
            [] => Ok(None),
            [one] if one.is_partial => Err(Uncertain::NotUnderstood),
            [one] if one.addresses == [None, None] => Err(Uncertain::Unassigned),
            [one] => Ok(Some(Arc::new(Effective {
                name: one.name.clone(),
                node: one.node.clone(),
                addresses: one.addresses.clone(),
            }))),
            _ => Err(Uncertain::Ambiguous),
        }
    }
}

impl Selected {
    fn have(
        &self,
        labels: &BTreeMap<String, String>,
        namespace: Option<&BTreeMap<String, String>>,
    ) -> Result<bool, Uncertain> {
        if !self.pods.matches(labels) {
            return Ok(false);
        }
        match &self.namespaces {
            None => Ok(true),
            Some(namespaces) => {
                namespace.map(|it| namespaces.matches(it)).ok_or(Uncertain::Namespace)
            }
        }
    }
}

/// The labels, if these are all there are.
fn complete(labels: &[(Name, Name)]) -> Result<BTreeMap<String, String>, Uncertain> {
    if labels.len() >= Limits::default().labels {
        return Err(Uncertain::LabelsCut);
    }
    Ok(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

/// The Egresses that the API server has told of.
#[derive(Debug, Default)]
pub(super) struct Known {
    all: BTreeMap<Name, Told>,
    is_listed: bool,
    /// News of ones that found no room, since the last list began.
    refused: u64,
}

#[derive(Debug)]
struct Told {
    uid: Name,
    egress: Egress,
    /// Not in the list that is being read, so far.
    is_missed: bool,
}

impl Known {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Applied(Object::Custom(object)) => {
                let has_room = self.all.len() < KNOWN || self.all.contains_key(&object.name);
                if !has_room {
                    self.refused += 1;
                    return;
                }
                let egress = Egress::read(&object.name, &object.json);
                let told = Told { uid: object.uid, egress, is_missed: false };
                self.all.insert(object.name, told);
            }
            Change::Applied(_) => {}
            Change::Deleted { name, uid, .. } => {
                if self.all.get(&name).is_some_and(|it| uid.is_empty() || it.uid == uid) {
                    self.all.remove(&name);
                }
            }
            Change::ListBegun(_) => {
                self.refused = 0;
                self.all.values_mut().for_each(|it| it.is_missed = true);
            }
            Change::ListEnded(_) => {
                self.all.retain(|_, it| !it.is_missed);
                self.is_listed = true;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}
