//! Who the clients from outside are, where Antrea's zones cannot tell.
//!
//! A connection to a `NodePort` or the like crosses zone 0 first: there the host's rules replace
//! what the client asked for by a Pod's address, and often the client's own address by that of
//! the Node's gateway. Antrea's zone sees what is left. The index keeps, of zone 0, the
//! connections that may be the first half of one of Antrea's, and [`Clients::find`] joins the
//! two: what leaves zone 0 is what enters Antrea's.

mod index; // connections by what becomes of their packets

use std::net::IpAddr;

use flow::protocol;
use k8s::Cluster;

use crate::conntrack::{Entry, Kind, Tuple, status};
use crate::meter::Due;
use index::{Client, Index};

/// How long a client is remembered after its connection has ended: a collector may be away.
const KEEP_NS: u64 = 300 * 1_000_000_000;
/// What clocks and the order of dumps may make of two views of one connection.
const SLACK_NS: u64 = 10 * 1_000_000_000;
/// To where, with `antreaProxy.proxyAll`, the host sends what comes for a `NodePort`: Antrea then
/// chooses the Pod.
const VIRTUAL: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 252)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfc01, 0, 0, 0, 0, 0, 0, 2)),
];

/// What zone 0 knows of a connection that Antrea's zone has only the rest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalClient {
    pub address: IpAddr,
    pub port: u16,
    /// What the host made of the client's address, if it changed it.
    pub translated: Option<(IpAddr, u16)>,
    /// What the client asked for.
    pub destination: (IpAddr, u16),
}

impl ExternalClient {
    /// The connection from the client to the Pod: its original and its reply tuple.
    pub fn connection(&self, due: &Due<'_>) -> (Tuple, Tuple) {
        let client = (self.address, self.port);
        let pod = (due.reply.source(), due.reply.source_port());
        let protocol = due.original.protocol();
        let seen = self.translated.unwrap_or(client);
        (Tuple::new(client, self.destination, protocol), Tuple::new(pod, seen, protocol))
    }
}

/// How many clients there are, and how often what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientTally {
    /// Remembered now, and those of them whose connection goes on.
    pub known: u64,
    pub live: u64,
    /// Entries of clients that found no room. One can be refused several times, once per dump.
    pub refused: u64,
    /// Ended ones that had to make room before their time.
    pub forgotten_early: u64,
}

/// Connections of zone 0 that come from outside and go to Pods.
#[derive(Debug)]
pub struct Clients {
    index: Index,
    /// Counts dumps of zone 0; a client keeps the number at which it was last heard of.
    dump: u32,
}

impl Clients {
    /// Remembers `limit` clients at most, less than 350 bytes each.
    pub fn new(limit: usize) -> Self {
        Self { index: Index::new(limit), dump: 0 }
    }

    pub const fn tally(&self) -> ClientTally {
        self.index.tally
    }

    /// Takes in what the kernel says about a connection of zone 0 at `now` (nanoseconds since
    /// 1970).
    pub fn observe(&mut self, entry: &Entry, cluster: &Cluster, now: u64) {
        let is_ghost = entry.kind == Kind::Dump && entry.status & status::DYING != 0;
        if is_ghost || !is_candidate(entry, cluster, now) {
            return;
        }
        let key = entry.reply.reversed();
        self.index.update(key, entry, self.dump, now);
        if entry.kind == Kind::Destroy {
            self.index.end(key, entry, entry.stop_ns.unwrap_or(now), now);
        }
    }

    /// A dump of zone 0 begins.
    pub const fn dump_started(&mut self) {
        self.dump = self.dump.wrapping_add(1);
    }

    /// The dump has ended; `complete` if it showed every connection there is. Those that it did
    /// not show have ended.
    pub fn dump_finished(&mut self, complete: bool, now: u64) {
        if complete {
            self.index.end_unseen(self.dump, now);
        }
    }

    /// Forgets clients whose connections have ended long ago.
    pub fn forget(&mut self, now: u64) {
        self.index.forget_before(now.saturating_sub(KEEP_NS));
    }

    /// The client of a connection in one of Antrea's zones, if zone 0 knows better.
    pub fn find(&self, due: &Due<'_>) -> Option<ExternalClient> {
        if self.index.is_empty() || !has_ports(due.original.protocol()) {
            return None;
        }
        let client = self.find_by(due.original, due).or_else(|| {
            // As Antrea joins the two: by the Pod, and by the address that it sees of the client.
            let seen = (due.reply.destination(), due.original.source_port());
            let pod = (due.reply.source(), due.reply.source_port());
            let key = Tuple::new(seen, pod, due.original.protocol());
            (key != *due.original).then(|| self.find_by(&key, due)).flatten()
        })?;
        let (asked, seen) = (&client.original, &client.seen);
        Some(ExternalClient {
            address: asked.source(),
            port: asked.source_port(),
            translated: Some(*seen).filter(|&it| it != (asked.source(), asked.source_port())),
            destination: (asked.destination(), asked.destination_port()),
        })
    }

    /// Of several connections in turn with the same ends, the one that began when `due` did.
    fn find_by(&self, key: &Tuple, due: &Due<'_>) -> Option<&Client> {
        let meets = |client: &&Client| {
            let ended_before =
                client.ended_ns.is_some_and(|end| end.saturating_add(SLACK_NS) < due.start_ns);
            !ended_before && client.start_ns <= due.end_ns.saturating_add(SLACK_NS)
        };
        let all = self.index.get(key).iter().filter(meets);
        all.min_by_key(|client| client.start_ns.abs_diff(due.start_ns))
    }
}

/// Whether Antrea's zone may have the rest of this connection, and less of it than zone 0.
fn is_candidate(entry: &Entry, cluster: &Cluster, now: u64) -> bool {
    let to = entry.reply.source();
    let is_translated = entry.reply != entry.original.reversed();
    let is_pod = || {
        VIRTUAL.contains(&to)
            || cluster.is_pod_address(to)
            || cluster.pod(to, now / 1_000_000).owner().is_some()
    };
    is_translated && has_ports(entry.original.protocol()) && is_pod()
}

const fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP)
}

#[cfg(test)]
mod tests;
