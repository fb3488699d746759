//! `nfnetlink_log`: what the kernel is told, and tells (`linux/netfilter/nfnetlink_log.h`).

use std::net::IpAddr;

use crate::conntrack::attributes::{Attributes, Malformed, u32_be, u64_be};
use crate::conntrack::message::Message;
use crate::conntrack::{Entry, Kind, Tuple, entry};

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NFNL_SUBSYS_ULOG: u16 = 4 << 8;
const NFULNL_MSG_PACKET: u16 = NFNL_SUBSYS_ULOG;
const NFULNL_MSG_CONFIG: u16 = NFNL_SUBSYS_ULOG | 1;

const NFULA_CFG_CMD: u16 = 1;
const NFULA_CFG_MODE: u16 = 2;
const NFULA_CFG_NLBUFSIZ: u16 = 3;
const NFULA_CFG_TIMEOUT: u16 = 4;
const NFULA_CFG_QTHRESH: u16 = 5;
const NFULA_CFG_FLAGS: u16 = 6;

const NFULNL_CFG_CMD_BIND: u8 = 1;
const NFULNL_COPY_PACKET: u8 = 2;
const NFULNL_CFG_F_SEQ: u16 = 1;
const NFULNL_CFG_F_CONNTRACK: u16 = 4;

const NFULA_TIMESTAMP: u16 = 3;
const NFULA_PAYLOAD: u16 = 9;
const NFULA_PREFIX: u16 = 10;
const NFULA_SEQ: u16 = 12;
const NFULA_CT: u16 = 18;

/// Bytes of each packet: the headers of nearly any.
const COPY_RANGE: u32 = 256;
/// Bytes of messages that the kernel collects in one datagram at most.
const DATAGRAM: u32 = 32 * 1024;
/// Packets after which it sends them.
const BATCH: u32 = 64;
/// Hundredths of a second after which it does so anyway.
const LATENCY: u32 = 5;

/// Header of netlink, and `struct nfgenmsg`.
const HEADERS: usize = 16 + 4;

/// What a group is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Bind,
    CopyPackets,
    Buffer,
    Batch,
    Latency,
    /// Number the packets.
    Count,
    /// Number the packets, and add their connections.
    CountAndConnection,
}

/// A request for one group, which is to be acknowledged.
pub(super) fn request(group: u16, command: Command, sequence: u32) -> Vec<u8> {
    let flags = |flags: u16| (NFULA_CFG_FLAGS, flags.to_be_bytes().to_vec());
    let (kind, payload) = match command {
        Command::Bind => (NFULA_CFG_CMD, vec![NFULNL_CFG_CMD_BIND]),
        Command::CopyPackets => {
            let mode = [&COPY_RANGE.to_be_bytes()[..], &[NFULNL_COPY_PACKET, 0]].concat();
            (NFULA_CFG_MODE, mode)
        }
        Command::Buffer => (NFULA_CFG_NLBUFSIZ, DATAGRAM.to_be_bytes().to_vec()),
        Command::Batch => (NFULA_CFG_QTHRESH, BATCH.to_be_bytes().to_vec()),
        Command::Latency => (NFULA_CFG_TIMEOUT, LATENCY.to_be_bytes().to_vec()),
        Command::Count => flags(NFULNL_CFG_F_SEQ),
        Command::CountAndConnection => flags(NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK),
    };
    let attribute = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    let length = HEADERS + usize::from(attribute).next_multiple_of(4);
    let mut request = [
        &u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes()[..],
        &NFULNL_MSG_CONFIG.to_ne_bytes(),
        &(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &[0; 4], // to the kernel
        &[0; 2], // any family, version 0
        &group.to_be_bytes(),
        &attribute.to_ne_bytes(),
        &kind.to_ne_bytes(),
        &payload,
    ]
    .concat();
    request.resize(length, 0);
    request
}

pub(super) fn is_packet(message: &Message<'_>) -> bool {
    message.kind == NFULNL_MSG_PACKET
}

/// One packet, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    pub(super) group: u16,
    /// Without the zero at its end.
    pub(super) prefix: &'a [u8],
    pub(super) payload: &'a [u8],
    /// Nanoseconds since 1970; packets of the Node itself have none.
    pub(super) time_ns: Option<u64>,
    pub(super) sequence: Option<u32>,
    pub(super) connection: Option<Entry>,
}

impl<'a> Logged<'a> {
    /// Reads what follows the netlink header.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let (&[_, _, g0, g1], attributes) = body.split_first_chunk().ok_or(Malformed)?;
        let mut logged = Self {
            group: u16::from_be_bytes([g0, g1]),
            prefix: &[],
            payload: &[],
            time_ns: None,
            sequence: None,
            connection: None,
        };
        for attribute in Attributes::new(attributes) {
            let (kind, payload) = attribute?;
            match kind {
                NFULA_PREFIX => logged.prefix = payload.strip_suffix(&[0]).unwrap_or(payload),
                NFULA_PAYLOAD => logged.payload = payload,
                NFULA_TIMESTAMP => logged.time_ns = Some(timestamp(payload)?),
                NFULA_SEQ => logged.sequence = Some(u32_be(payload)?),
                // One that cannot be read costs what it would have told, and not the packet.
                NFULA_CT => logged.connection = entry(Kind::New, payload).ok(),
                _ => {}
            }
        }
        Ok(logged)
    }

    /// Where the client sent this packet, if that was replaced before it was logged.
    pub(super) fn service(&self, packet: &Tuple) -> Option<(IpAddr, u16)> {
        let sent = self.connection.as_ref()?.original;
        let is_answer = sent.source() != packet.source();
        let to = (sent.destination(), sent.destination_port());
        let is_replaced = to != (packet.destination(), packet.destination_port());
        (is_replaced && !is_answer && sent.as_icmp().is_none()).then_some(to)
    }
}

/// Seconds and microseconds.
fn timestamp(payload: &[u8]) -> Result<u64, Malformed> {
    let (seconds, microseconds) = payload.split_at_checked(8).ok_or(Malformed)?;
    let (seconds, microseconds) = (u64_be(seconds)?, u64_be(microseconds)?);
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(microseconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conntrack::message::Messages;
    use crate::deny::packet;

    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + payload.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tuple_attribute(
        kind: u16,
        source: [u8; 4],
        destination: [u8; 4],
        ports: [u16; 2],
    ) -> Vec<u8> {
        let ip = [attribute(1, &source), attribute(2, &destination)].concat();
        let [from, to] = ports.map(u16::to_be_bytes);
        let proto = [attribute(1, &[6]), attribute(2, &from), attribute(3, &to)].concat();
        attribute(kind, &[attribute(1, &ip), attribute(2, &proto)].concat())
    }

    #[test]
    fn a_request_is_a_well_formed_message() {
        let commands = [
            (Command::Bind, vec![1]),
            (Command::CopyPackets, vec![0, 0, 1, 0, 2, 0]),
            (Command::Count, vec![0, 1]),
            (Command::CountAndConnection, vec![0, 5]),
        ];
        for (command, payload) in commands {
            let request = request(7, command, 9);
            let messages: Vec<_> = Messages(&request).collect();
            let [Ok(message)] = messages[..] else { panic!("{messages:?}") };
            assert_eq!((message.kind, message.flags, message.sequence), (0x401, 5, 9));
            assert_eq!(message.body[..4], [0, 0, 0, 7]);
            let attributes: Vec<_> = Attributes::new(&message.body[4..]).collect();
            let [Ok((_, told))] = attributes[..] else { panic!("{attributes:?}") };
            assert_eq!(told, payload);
        }
    }

    #[test]
    fn a_packet_says_where_its_client_wanted_to() {
        let (client, backend, service) = ([10, 0, 0, 1], [10, 0, 1, 1], [10, 96, 0, 1]);
        let connection = [
            tuple_attribute(1, client, service, [5000, 443]),
            tuple_attribute(2, backend, client, [8443, 5000]),
            attribute(12, &[0, 0, 0, 1]),
            attribute(8, &[0, 0, 0, 0x13]),
        ];
        let time = [&3_u64.to_be_bytes()[..], &5_u64.to_be_bytes()].concat();
        let body = [
            &[2, 0, 0, 7][..],
            &attribute(NFULA_PREFIX, b"np\0"),
            &attribute(NFULA_TIMESTAMP, &time),
            &attribute(NFULA_SEQ, &[0, 0, 0, 8]),
            &attribute(NFULA_CT, &connection.concat()),
        ]
        .concat();
        let logged = Logged::read(&body).unwrap();
        assert_eq!((logged.group, logged.prefix, logged.sequence), (7, &b"np"[..], Some(8)));
        assert_eq!(logged.time_ns, Some(3_000_005_000));
        assert_eq!(logged.connection.map(|entry| entry.mark), Some(0x13));
        let packet = Tuple::new((client.into(), 5000), (backend.into(), 8443), 6);
        assert_eq!(logged.service(&packet), Some((service.into(), 443)));
        assert_eq!(logged.service(&packet.reversed()), None);
        let direct = Tuple::new((client.into(), 5000), (service.into(), 443), 6);
        assert_eq!(logged.service(&direct), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(body in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(logged) = Logged::read(&body) {
                prop_assert!(logged.payload.len() <= body.len());
                packet::read(logged.payload).ok();
            }
        }
    }
}
