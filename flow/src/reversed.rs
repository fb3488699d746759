//! What came back, as a flow of its own: for who knows no reverse elements (RFC 5103).

use std::mem::swap;

use crate::{Direction, FlowRecord, Joined, ObservedBy, Service, Side};

impl FlowRecord {
    /// The opposite direction: source and destination, and what was counted of each direction,
    /// change places. What is about the connection as a whole stays: its time, its type, the
    /// policies that let it through, its Egress. What is about its first direction alone is
    /// unset: the Service that was asked for, and the source NAT.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut record = self.clone();
        let key = &mut record.key;
        swap(&mut key.source, &mut key.destination);
        swap(&mut key.source_port, &mut key.destination_port);
        swap(&mut record.forward, &mut record.reverse);
        swap(&mut record.source, &mut record.destination);
        if !record.joined.is_nothing() {
            record.joined = reversed(&record.joined).into();
        }
        record.service = Service::default();
        if record.uids.service.is_some() {
            record.uids.service = None;
        }
        record.observed_by = match record.observed_by {
            ObservedBy::Source => ObservedBy::Destination,
            ObservedBy::Destination => ObservedBy::Source,
            same => same,
        };
        record.proxy_snat_ip = None;
        record.proxy_snat_port = 0;
        record.direction = match record.direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
            Direction::Unspecified => Direction::Unspecified,
        };
        record
    }
}

fn reversed(joined: &Joined) -> Joined {
    Joined {
        from_source: opposite(&joined.from_destination),
        from_destination: opposite(&joined.from_source),
        throughput: joined.reverse_throughput,
        reverse_throughput: joined.throughput,
    }
}

fn opposite(side: &Side) -> Side {
    Side {
        forward: side.reverse,
        reverse: side.forward,
        throughput: side.reverse_throughput,
        reverse_throughput: side.throughput,
        ..*side
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, Endpoint, FlowKey, Uid, Uids};

    #[test]
    fn both_directions_change_places_and_the_connection_stays() {
        let counters = |base| Counters { packets_total: base, ..Counters::default() };
        let end = |pod: &str| Endpoint { pod: pod.into(), ..Endpoint::default() };
        let side = |base| Side {
            forward: counters(base),
            reverse: counters(base + 1),
            throughput: base + 2,
            reverse_throughput: base + 3,
            ..Side::default()
        };
        let uid = |byte| Some(Uid([byte; 16]));
        let record = FlowRecord {
            key: FlowKey {
                source: [10, 0, 0, 1].into(),
                destination: [10, 0, 0, 2].into(),
                source_port: 1,
                destination_port: 2,
                ..FlowKey::default()
            },
            start_ms: 5,
            forward: counters(10),
            reverse: counters(20),
            source: Endpoint { labels: "{}".into(), pod_uid: uid(1), ..end("client") }.into(),
            destination: end("server").into(),
            service: Service { port: 80, ..Service::default() },
            joined: Joined {
                from_source: side(100),
                from_destination: side(200),
                throughput: 30,
                reverse_throughput: 40,
            }
            .into(),
            uids: Uids { service: uid(3), egress: uid(4), ..Uids::default() }.into(),
            observed_by: ObservedBy::Source,
            direction: Direction::Egress,
            tcp_state: "CLOSE".into(),
            ..FlowRecord::default()
        };
        let back = record.reversed();
        assert_eq!((back.key.source, back.key.source_port), (record.key.destination, 2));
        assert_eq!((back.key.destination, back.key.destination_port), (record.key.source, 1));
        assert_eq!((back.forward, back.reverse), (counters(20), counters(10)));
        assert_eq!((back.joined.throughput, back.joined.reverse_throughput), (40, 30));
        assert_eq!((&*back.source.pod, &*back.destination.pod), ("server", "client"));
        assert!(
            back.source.is_same(&record.destination) && back.destination.is_same(&record.source)
        );
        let from = back.joined.from_source;
        assert_eq!((from.forward, from.reverse), (counters(201), counters(200)));
        assert_eq!((from.throughput, from.reverse_throughput), (203, 202));
        assert_eq!((back.uids.service, back.uids.egress), (None, uid(4)));
        assert_eq!(back.observed_by, ObservedBy::Destination);
        assert_eq!(back.service, Service::default());
        assert_eq!((back.start_ms, &*back.tcp_state), (5, "CLOSE"));
        assert_eq!(back.direction, Direction::Ingress);
        let again = FlowRecord { service: record.service.clone(), ..back.reversed() };
        let uids = Uids { service: None, ..*record.uids };
        assert_eq!(again, FlowRecord { uids: uids.into(), ..record });
    }
}
