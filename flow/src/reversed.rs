//! What came back, as a flow of its own: for who knows no reverse elements (RFC 5103).

use std::mem::swap;
use std::sync::Arc;

use crate::{Direction, FlowRecord, Service, Side, Uids};

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
        swap(&mut record.throughput, &mut record.reverse_throughput);
        swap(&mut record.source, &mut record.destination);
        swap(&mut record.source_labels, &mut record.destination_labels);
        swap(&mut record.from_source, &mut record.from_destination);
        reverse(&mut record.from_source);
        reverse(&mut record.from_destination);
        record.uids = record.uids.map(|uids| Arc::new(reversed(&uids)));
        record.service = Service::default();
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

fn reverse(side: &mut Side) {
    swap(&mut side.forward, &mut side.reverse);
    swap(&mut side.throughput, &mut side.reverse_throughput);
}

fn reversed(uids: &Uids) -> Uids {
    Uids {
        source_pod: uids.destination_pod,
        source_node: uids.destination_node,
        destination_pod: uids.source_pod,
        destination_node: uids.source_node,
        service: None,
        ..*uids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, Endpoint, FlowKey, Uid};

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
            throughput: 30,
            reverse_throughput: 40,
            source: end("client"),
            destination: end("server"),
            source_labels: "{\"a\":\"1\"}".into(),
            service: Service { port: 80, ..Service::default() },
            from_source: side(100),
            from_destination: side(200),
            uids: Some(Arc::new(Uids {
                source_pod: uid(1),
                destination_pod: uid(2),
                service: uid(3),
                egress: uid(4),
                ..Uids::default()
            })),
            direction: Direction::Egress,
            tcp_state: "CLOSE".into(),
            ..FlowRecord::default()
        };
        let back = record.reversed();
        assert_eq!((back.key.source, back.key.source_port), (record.key.destination, 2));
        assert_eq!((back.key.destination, back.key.destination_port), (record.key.source, 1));
        assert_eq!((back.forward, back.reverse), (counters(20), counters(10)));
        assert_eq!((back.throughput, back.reverse_throughput), (40, 30));
        assert_eq!((&*back.source.pod, &*back.destination.pod), ("server", "client"));
        assert_eq!((&*back.source_labels, &*back.destination_labels), ("", "{\"a\":\"1\"}"));
        let from = back.from_source;
        assert_eq!((from.forward, from.reverse), (counters(201), counters(200)));
        assert_eq!((from.throughput, from.reverse_throughput), (203, 202));
        let uids = back.uids.clone().unwrap();
        assert_eq!((uids.source_pod, uids.destination_pod), (uid(2), uid(1)));
        assert_eq!((uids.service, uids.egress), (None, uid(4)));
        assert_eq!(back.service, Service::default());
        assert_eq!((back.start_ms, &*back.tcp_state), (5, "CLOSE"));
        assert_eq!(back.direction, Direction::Ingress);
        let again = FlowRecord { service: record.service.clone(), ..back.reversed() };
        let uids = record.uids.as_deref().map(|uids| Uids { service: None, ..*uids });
        assert_eq!(again, FlowRecord { uids: uids.map(Arc::new), ..record });
    }
}
