//! What a flow is about: names, policies, identities, as far as any Node knows them.
//!
//! Each Node knows its own Pod and its own policies; the source's also knows the Service. What a
//! half sets replaces what was there. Many flows are about the same Pods and policies, so a flow
//! keeps no text: it shares one copy of each part with all flows that have it in common.

use std::hash::Hash;

use flow::{Endpoint, Exit, FlowRecord, Name, Part, PolicyRule, Service, Shared, Uid, Uids};
use hashbrown::HashSet;

/// Of one flow.
#[derive(Debug, Default)]
pub(super) struct About {
    source: Shared<Endpoint>,
    destination: Shared<Endpoint>,
    service: Shared<Service>,
    ingress: Shared<PolicyRule>,
    egress: Shared<PolicyRule>,
    exit: Shared<Exit>,
    uids: Shared<Uids>,
}

/// One copy of everything flows are about.
#[derive(Debug, Default)]
pub(super) struct Books {
    ends: Book<Endpoint>,
    services: Book<Service>,
    rules: Book<PolicyRule>,
    exits: Book<Exit>,
    uids: Book<Uids>,
}

impl About {
    /// Takes over what `record` tells.
    #[inline]
    pub(super) fn take(&mut self, record: &FlowRecord, books: &mut Books) {
        books.ends.take(&mut self.source, &record.source);
        books.ends.take(&mut self.destination, &record.destination);
        if !self.service.knows(&record.service) {
            books.services.learn(&mut self.service, &record.service.clone().into());
        }
        books.rules.take(&mut self.ingress, &record.ingress);
        books.rules.take(&mut self.egress, &record.egress);
        books.exits.take(&mut self.exit, &record.exit);
        books.uids.take(&mut self.uids, &record.uids);
    }

    /// Reads a little of it.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.source.is_nothing()) ^ u64::from(self.uids.is_nothing())
    }

    /// Writes it into `record`.
    pub(super) fn tell(&self, record: &mut FlowRecord) {
        record.source = self.source.clone();
        record.destination = self.destination.clone();
        record.service = Service::clone(&self.service);
        record.ingress = self.ingress.clone();
        record.egress = self.egress.clone();
        record.exit = self.exit.clone();
        record.uids = self.uids.clone();
    }
}

/// A part that halves add to.
trait Learning: Part + Hash {
    /// Whether there is nothing to learn from `told`.
    fn knows(&self, told: &Self) -> bool;
    fn learn(&mut self, told: &Self);
}

impl Learning for Endpoint {
    fn knows(&self, told: &Self) -> bool {
        has(&self.pod, &told.pod)
            && has(&self.namespace, &told.namespace)
            && has(&self.node, &told.node)
            && has(&self.labels, &told.labels)
            && has(&self.workload, &told.workload)
            && has(&self.zone, &told.zone)
            && has_uid(self.pod_uid, told.pod_uid)
            && has_uid(self.node_uid, told.node_uid)
    }

    fn learn(&mut self, told: &Self) {
        set(&mut self.pod, &told.pod);
        set(&mut self.namespace, &told.namespace);
        set(&mut self.node, &told.node);
        set(&mut self.labels, &told.labels);
        set(&mut self.workload, &told.workload);
        set(&mut self.zone, &told.zone);
        self.pod_uid = told.pod_uid.or(self.pod_uid);
        self.node_uid = told.node_uid.or(self.node_uid);
    }
}

impl Learning for Service {
    #[inline]
    fn knows(&self, told: &Self) -> bool {
        has(&self.name, &told.name)
            && (told.ip.is_none() || told.ip == self.ip)
            && (told.port == 0 || told.port == self.port)
    }

    fn learn(&mut self, told: &Self) {
        set(&mut self.name, &told.name);
        self.ip = told.ip.or(self.ip);
        if told.port != 0 {
            self.port = told.port;
        }
    }
}

impl Learning for PolicyRule {
    fn knows(&self, told: &Self) -> bool {
        has(&self.name, &told.name)
            && has(&self.namespace, &told.namespace)
            && has(&self.rule, &told.rule)
            && (told.policy_type == 0 || told.policy_type == self.policy_type)
            && (told.action == 0 || told.action == self.action)
    }

    fn learn(&mut self, told: &Self) {
        set(&mut self.name, &told.name);
        set(&mut self.namespace, &told.namespace);
        set(&mut self.rule, &told.rule);
        if told.policy_type != 0 {
            self.policy_type = told.policy_type;
        }
        if told.action != 0 {
            self.action = told.action;
        }
    }
}

impl Learning for Exit {
    fn knows(&self, told: &Self) -> bool {
        has(&self.name, &told.name) && has(&self.ip, &told.ip) && has(&self.node, &told.node)
    }

    fn learn(&mut self, told: &Self) {
        set(&mut self.name, &told.name);
        set(&mut self.ip, &told.ip);
        set(&mut self.node, &told.node);
    }
}

impl Learning for Uids {
    fn knows(&self, told: &Self) -> bool {
        has_uid(self.service, told.service)
            && has_uid(self.ingress_policy, told.ingress_policy)
            && has_uid(self.egress_policy, told.egress_policy)
            && has_uid(self.egress, told.egress)
            && has_uid(self.egress_node, told.egress_node)
    }

    fn learn(&mut self, told: &Self) {
        self.service = told.service.or(self.service);
        self.ingress_policy = told.ingress_policy.or(self.ingress_policy);
        self.egress_policy = told.egress_policy.or(self.egress_policy);
        self.egress = told.egress.or(self.egress);
        self.egress_node = told.egress_node.or(self.egress_node);
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
struct Book<T: Part> {
    copies: HashSet<Shared<T>>,
    sweep_at: usize,
}

/// Below this a sweep is not worth its while.
const SMALLEST_SWEEP: usize = 1024;

impl<T: Part> Default for Book<T> {
    fn default() -> Self {
        Self { copies: HashSet::new(), sweep_at: SMALLEST_SWEEP }
    }
}

impl<T: Learning> Book<T> {
    /// Sessions tell the same parts again and again: mostly it is the very copy that is known.
    #[inline]
    fn take(&mut self, known: &mut Shared<T>, told: &Shared<T>) {
        if !told.is_nothing() && !known.is_same(told) && !known.knows(told) {
            self.learn(known, told);
        }
    }

    fn learn(&mut self, known: &mut Shared<T>, told: &Shared<T>) {
        let mut value = known.clone();
        if value.is_nothing() {
            value = told.clone();
        } else {
            value.learn(told);
        }
        *known = self.share(value);
    }

    fn share(&mut self, value: Shared<T>) -> Shared<T> {
        if let Some(copy) = self.copies.get(&value) {
            return copy.clone();
        }
        if self.copies.len() >= self.sweep_at {
            self.copies.retain(|copy| !copy.is_alone());
            self.sweep_at = (2 * self.copies.len()).max(SMALLEST_SWEEP);
        }
        self.copies.insert(value.clone());
        value
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
            record.source.pod_uid = uid(1);
            record.service.name = "shop/db:sql".into();
            record.service.port = 5432;
            record.egress.name = "out".into();
            record.egress.action = 1;
            record.ingress.name = "old".into();
            record.exit.name = "way".into();
            record.uids.egress = uid(3);
        });
        let second = about(|record| {
            record.destination.pod = "b".into();
            record.destination.labels = r#"{"app":"b"}"#.into();
            record.ingress.name = "in".into();
            record.ingress.policy_type = 2;
            record.uids.ingress_policy = uid(2);
        });
        about_it.take(&first, &mut books);
        about_it.take(&second, &mut books);
        let mut told = FlowRecord::default();
        about_it.tell(&mut told);
        let expected = about(|record| {
            *record = first.clone();
            record.destination = second.destination.clone();
            record.ingress = second.ingress.clone();
            record.uids.ingress_policy = uid(2);
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn what_flows_have_in_common_is_there_once() {
        let (mut books, mut flows) = (Books::default(), [About::default(), About::default()]);
        for flow in &mut flows {
            // What came in two sessions is not shared.
            flow.take(&about(|record| record.source.pod = "a".into()), &mut books);
        }
        let [first, second] = flows;
        assert!(!first.source.is_nothing() && first.source.is_same(&second.source));
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
