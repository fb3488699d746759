//! What is over is remembered for a while, and then forgotten.

use std::collections::VecDeque;
use std::net::IpAddr;

use flow::Name;
use ipnet::IpNet;

use super::claims::forget;
use super::services::Front;
use super::{Kind, Tracker};

/// What is over, in the order in which it is to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Departures {
    queue: VecDeque<(u64, Departure)>,
    /// What ended until then may have been forgotten before its time.
    forgotten_until: u64,
}

#[derive(Debug)]
pub(super) enum Departure {
    PodAddress(IpAddr, u64),
    NodeAddress(IpAddr, u64),
    Front(Front, u64),
    Network(IpNet),
    /// An object's uid, and its name if it is one of few.
    Object(Kind, Name, Name),
}

impl Departures {
    pub(super) fn forgotten_until(&self) -> u64 {
        self.forgotten_until
    }
}

impl Tracker {
    /// Notes that something has ended now.
    pub(super) fn depart(&mut self, departure: Departure) {
        if self.departures.queue.len() >= self.limits.departures
            && let Some((ended, oldest)) = self.departures.queue.pop_front()
        {
            self.stats.forgotten_early += 1;
            // What ends is possible for a while longer.
            self.departures.forgotten_until = ended.saturating_add(self.cluster.margins.linger_ms);
            self.forget_one(ended, oldest);
        }
        self.departures.queue.push_back((self.now, departure));
    }

    /// Forgets what ended too long ago to be asked for.
    pub(super) fn forget(&mut self) {
        let Some(ended) = self.now.checked_sub(self.cluster.margins.keep_ms) else { return };
        while self.departures.queue.front().is_some_and(|(at, _)| *at <= ended) {
            if let Some((ended, departure)) = self.departures.queue.pop_front() {
                self.forget_one(ended, departure);
            }
        }
    }

    /// Forgets what ended until `ended`, unless it has returned.
    fn forget_one(&mut self, ended: u64, departure: Departure) {
        let cluster = &mut self.cluster;
        let now = (self.now, &cluster.margins);
        match departure {
            Departure::PodAddress(address, tenant) => {
                forget(&mut cluster.pods, &address, tenant, ended, now);
            }
            Departure::NodeAddress(address, tenant) => {
                forget(&mut cluster.node_addresses, &address, tenant, ended, now);
            }
            Departure::Front(Front::End(address, port, protocol), tenant) => {
                let key = (address, port, protocol);
                forget(&mut cluster.front_ends, &key, tenant, ended, now);
            }
            Departure::Front(Front::NodePort(port, protocol), tenant) => {
                forget(&mut cluster.node_ports, &(port, protocol), tenant, ended, now);
            }
            Departure::Front(Front::Local(address, port, protocol), tenant) => {
                let key = (address, port, protocol);
                forget(&mut cluster.local_ports, &key, tenant, ended, now);
            }
            Departure::Network(network) => cluster.networks.remove(network),
            Departure::Object(kind, uid, name) => self.forget_object(kind, &uid, name, ended),
        }
    }

    fn forget_object(&mut self, kind: Kind, uid: &Name, name: Name, ended: u64) {
        match kind {
            Kind::Pod => drop(self.pods.forget(uid, ended)),
            Kind::Service => drop(self.services.forget(uid, ended)),
            Kind::Node => {
                let key = (Name::default(), name);
                if self.nodes.forget(uid, ended) && self.nodes.get(&key).is_none() {
                    self.cluster.nodes.remove(&key.1);
                }
            }
            _ => self.forget_small(kind, uid, name, ended),
        }
    }
}
