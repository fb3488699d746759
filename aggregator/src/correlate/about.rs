//! What a flow is about: names, policies, identities, as far as any Node knows them.
//!
//! Each Node knows its own Pod and its own policies; the source's also knows the Service. What a
//! half sets replaces what was there. Many flows are about the same Pods and policies, so a flow
//! keeps no text: it shares one copy of each part with all flows that have it in common.

use std::hash::Hash;
use std::sync::Arc;

use flow::{Endpoint, FlowRecord, Name, PolicyRule, Service, Uid, Uids};
use hashbrown::HashSet;

/// Where a flow begins or ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct End {
    at: Endpoint,
    labels: Name,
    pod_uid: Option<Uid>,
    node_uid: Option<Uid>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Served {
    by: Service,
    uid: Option<Uid>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Ruled {
    by: PolicyRule,
    uid: Option<Uid>,
}

/// By which Egress a flow leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Exit {
    name: Name,
    ip: Name,
    node: Name,
    uid: Option<Uid>,
    node_uid: Option<Uid>,
}

/// Of one flow. `None` is what nobody has told.
#[derive(Debug, Default)]
pub(super) struct About {
    source: Option<Arc<End>>,
    destination: Option<Arc<End>>,
    service: Option<Arc<Served>>,
    ingress: Option<Arc<Ruled>>,
    egress: Option<Arc<Ruled>>,
    exit: Option<Arc<Exit>>,
}

/// One copy of everything flows are about.
#[derive(Debug, Default)]
pub(super) struct Books {
    ends: Book<End>,
    services: Book<Served>,
    rules: Book<Ruled>,
    exits: Book<Exit>,
}

impl About {
    /// Takes over what `record` tells.
    #[inline]
    pub(super) fn take(&mut self, record: &FlowRecord, books: &mut Books) {
        let unknown = Uids::default();
        let uids = record.uids.as_deref().unwrap_or(&unknown);
        let source = Part {
            known: &record.source,
            labels: &record.source_labels,
            uids: [uids.source_pod, uids.source_node],
        };
        books.ends.take(&mut self.source, &source);
        let destination = Part {
            known: &record.destination,
            labels: &record.destination_labels,
            uids: [uids.destination_pod, uids.destination_node],
        };
        books.ends.take(&mut self.destination, &destination);
        books.services.take(&mut self.service, &(&record.service, uids.service));
        books.rules.take(&mut self.ingress, &(&record.ingress, uids.ingress_policy));
        books.rules.take(&mut self.egress, &(&record.egress, uids.egress_policy));
        let exit = Way {
            names: [&record.egress_name, &record.egress_ip, &record.egress_node_name],
            uids: [uids.egress, uids.egress_node],
        };
        books.exits.take(&mut self.exit, &exit);
    }

    /// Reads a little of it.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.source.is_some()) ^ u64::from(self.exit.is_some())
    }

    /// Writes it into `record`.
    pub(super) fn tell(&self, record: &mut FlowRecord) {
        let mut uids = Uids::default();
        if let Some(source) = &self.source {
            record.source = source.at.clone();
            record.source_labels = source.labels.clone();
            (uids.source_pod, uids.source_node) = (source.pod_uid, source.node_uid);
        }
        if let Some(destination) = &self.destination {
            record.destination = destination.at.clone();
            record.destination_labels = destination.labels.clone();
            (uids.destination_pod, uids.destination_node) =
                (destination.pod_uid, destination.node_uid);
        }
        if let Some(service) = &self.service {
            record.service = service.by.clone();
            uids.service = service.uid;
        }
        if let Some(rule) = &self.ingress {
            record.ingress = rule.by.clone();
            uids.ingress_policy = rule.uid;
        }
        if let Some(rule) = &self.egress {
            record.egress = rule.by.clone();
            uids.egress_policy = rule.uid;
        }
        if let Some(exit) = &self.exit {
            record.egress_name = exit.name.clone();
            record.egress_ip = exit.ip.clone();
            record.egress_node_name = exit.node.clone();
            (uids.egress, uids.egress_node) = (exit.uid, exit.node_uid);
        }
        record.uids = (uids != Uids::default()).then(|| Arc::new(uids));
    }
}

/// What a record tells of one part, still in the record.
trait Told<T> {
    /// Whether `known` has nothing to learn from it.
    fn is_known(&self, known: &T) -> bool;
    fn add_to(&self, known: &mut T);
}

struct Part<'a> {
    known: &'a Endpoint,
    labels: &'a Name,
    uids: [Option<Uid>; 2],
}

impl Told<End> for Part<'_> {
    #[inline]
    fn is_known(&self, end: &End) -> bool {
        has(&end.at.pod, &self.known.pod)
            && has(&end.at.namespace, &self.known.namespace)
            && has(&end.at.node, &self.known.node)
            && has(&end.labels, self.labels)
            && has_uid(end.pod_uid, self.uids[0])
            && has_uid(end.node_uid, self.uids[1])
    }

    fn add_to(&self, end: &mut End) {
        set(&mut end.at.pod, &self.known.pod);
        set(&mut end.at.namespace, &self.known.namespace);
        set(&mut end.at.node, &self.known.node);
        set(&mut end.labels, self.labels);
        end.pod_uid = self.uids[0].or(end.pod_uid);
        end.node_uid = self.uids[1].or(end.node_uid);
    }
}

impl Told<Served> for (&Service, Option<Uid>) {
    #[inline]
    fn is_known(&self, served: &Served) -> bool {
        let (told, uid) = *self;
        has(&served.by.name, &told.name)
            && (told.ip.is_none() || told.ip == served.by.ip)
            && (told.port == 0 || told.port == served.by.port)
            && has_uid(served.uid, uid)
    }

    fn add_to(&self, served: &mut Served) {
        let (told, uid) = *self;
        set(&mut served.by.name, &told.name);
        served.by.ip = told.ip.or(served.by.ip);
        if told.port != 0 {
            served.by.port = told.port;
        }
        served.uid = uid.or(served.uid);
    }
}

impl Told<Ruled> for (&PolicyRule, Option<Uid>) {
    #[inline]
    fn is_known(&self, ruled: &Ruled) -> bool {
        let (told, uid) = *self;
        has(&ruled.by.name, &told.name)
            && has(&ruled.by.namespace, &told.namespace)
            && has(&ruled.by.rule, &told.rule)
            && (told.policy_type == 0 || told.policy_type == ruled.by.policy_type)
            && (told.action == 0 || told.action == ruled.by.action)
            && has_uid(ruled.uid, uid)
    }

    fn add_to(&self, ruled: &mut Ruled) {
        let (told, uid) = *self;
        set(&mut ruled.by.name, &told.name);
        set(&mut ruled.by.namespace, &told.namespace);
        set(&mut ruled.by.rule, &told.rule);
        if told.policy_type != 0 {
            ruled.by.policy_type = told.policy_type;
        }
        if told.action != 0 {
            ruled.by.action = told.action;
        }
        ruled.uid = uid.or(ruled.uid);
    }
}

struct Way<'a> {
    names: [&'a Name; 3],
    uids: [Option<Uid>; 2],
}

impl Told<Exit> for Way<'_> {
    #[inline]
    fn is_known(&self, exit: &Exit) -> bool {
        let [name, ip, node] = self.names;
        has(&exit.name, name)
            && has(&exit.ip, ip)
            && has(&exit.node, node)
            && has_uid(exit.uid, self.uids[0])
            && has_uid(exit.node_uid, self.uids[1])
    }

    fn add_to(&self, exit: &mut Exit) {
        let [name, ip, node] = self.names;
        set(&mut exit.name, name);
        set(&mut exit.ip, ip);
        set(&mut exit.node, node);
        exit.uid = self.uids[0].or(exit.uid);
        exit.node_uid = self.uids[1].or(exit.node_uid);
    }
}

/// Names of one session are shared, so that most comparisons are of pointers.
#[inline]
fn has(known: &Name, told: &Name) -> bool {
    told.is_empty() || known == told
}

#[inline]
fn has_uid(known: Option<Uid>, told: Option<Uid>) -> bool {
    told.is_none() || known == told
}

fn set(known: &mut Name, told: &Name) {
    if !told.is_empty() {
        *known = told.clone();
    }
}

/// One copy of each distinct part.
///
/// What no flow is about any more is swept out when the book has doubled since the last time, so
/// that it is never larger than twice what flows hold.
#[derive(Debug)]
struct Book<T> {
    copies: HashSet<Arc<T>>,
    sweep_at: usize,
    /// What nobody has told anything of.
    nothing: T,
}

/// Below this a sweep is not worth its while.
const SMALLEST_SWEEP: usize = 1024;

impl<T: Default> Default for Book<T> {
    fn default() -> Self {
        Self { copies: HashSet::new(), sweep_at: SMALLEST_SWEEP, nothing: T::default() }
    }
}

impl<T: Clone + Default + Eq + Hash> Book<T> {
    #[inline]
    fn take(&mut self, known: &mut Option<Arc<T>>, told: &impl Told<T>) {
        if !told.is_known(known.as_deref().unwrap_or(&self.nothing)) {
            self.learn(known, told);
        }
    }

    fn learn(&mut self, known: &mut Option<Arc<T>>, told: &impl Told<T>) {
        let mut value = known.as_deref().cloned().unwrap_or_default();
        told.add_to(&mut value);
        *known = Some(self.share(value));
    }

    fn share(&mut self, value: T) -> Arc<T> {
        if let Some(copy) = self.copies.get(&value) {
            return Arc::clone(copy);
        }
        if self.copies.len() >= self.sweep_at {
            self.copies.retain(|copy| Arc::strong_count(copy) > 1);
            self.sweep_at = (2 * self.copies.len()).max(SMALLEST_SWEEP);
        }
        let copy = Arc::new(value);
        self.copies.insert(Arc::clone(&copy));
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(change: impl FnOnce(&mut FlowRecord)) -> FlowRecord {
        let mut record = FlowRecord::default();
        change(&mut record);
        record
    }

    #[test]
    fn a_half_replaces_what_it_knows_and_leaves_the_rest() {
        let (mut books, mut about_it) = (Books::default(), About::default());
        let uid = |n: u8| Some(Uid([n; 16]));
        let first = about(|record| {
            record.source.pod = "a".into();
            record.source.node = "node-a".into();
            record.service.name = "shop/db:sql".into();
            record.service.port = 5432;
            record.egress.name = "out".into();
            record.egress.action = 1;
            record.ingress.name = "old".into();
            record.egress_name = "way".into();
            record.uids = Some(Arc::new(Uids { source_pod: uid(1), ..Uids::default() }));
        });
        let second = about(|record| {
            record.destination.pod = "b".into();
            record.destination_labels = r#"{"app":"b"}"#.into();
            record.ingress.name = "in".into();
            record.ingress.policy_type = 2;
            record.uids = Some(Arc::new(Uids { ingress_policy: uid(2), ..Uids::default() }));
        });
        about_it.take(&first, &mut books);
        about_it.take(&second, &mut books);
        let mut told = FlowRecord::default();
        about_it.tell(&mut told);
        let expected = about(|record| {
            *record = first.clone();
            record.destination = second.destination.clone();
            record.destination_labels = second.destination_labels.clone();
            record.ingress = second.ingress.clone();
            let uids = Uids { source_pod: uid(1), ingress_policy: uid(2), ..Uids::default() };
            record.uids = Some(Arc::new(uids));
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn what_flows_have_in_common_is_there_once() {
        let (mut books, mut flows) = (Books::default(), [About::default(), About::default()]);
        for flow in &mut flows {
            // Names that came in two sessions are not shared.
            flow.take(&about(|record| record.source.pod = "a".into()), &mut books);
        }
        let [first, second] = flows.each_ref().map(|flow| flow.source.as_ref().unwrap());
        assert!(Arc::ptr_eq(first, second));
    }

    #[test]
    fn what_nobody_holds_is_swept_out() {
        let mut books = Books::default();
        let mut kept = About::default();
        kept.take(&about(|record| record.source.pod = "kept".into()), &mut books);
        for number in 0..100_000 {
            let name = format!("pod-{number}");
            let gone = about(|record| record.source.pod = name.as_str().into());
            About::default().take(&gone, &mut books);
            assert!(books.ends.copies.len() <= SMALLEST_SWEEP + 1);
        }
        let mut told = FlowRecord::default();
        kept.tell(&mut told);
        assert_eq!(told.source.pod.as_str(), "kept");
    }
}
