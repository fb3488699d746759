//! Flows as routers tell them: twenty elements of IANA, no text, 72 bytes.

use std::net::Ipv4Addr;

use ipfix::{
    encode::RecordWriter,
    registry::{InformationElement, iana},
    template::{Template, TemplateId},
};

use super::{Record, random::Random};

#[rustfmt::skip] // as they are grouped
const ELEMENTS: [InformationElement; 20] = [
    iana::SOURCE_IPV4_ADDRESS, iana::DESTINATION_IPV4_ADDRESS, iana::IP_NEXT_HOP_IPV4_ADDRESS,
    iana::INGRESS_INTERFACE, iana::EGRESS_INTERFACE,
    iana::PACKET_DELTA_COUNT, iana::OCTET_DELTA_COUNT,
    iana::FLOW_START_MILLISECONDS, iana::FLOW_END_MILLISECONDS,
    iana::SOURCE_TRANSPORT_PORT, iana::DESTINATION_TRANSPORT_PORT, iana::TCP_CONTROL_BITS,
    iana::PROTOCOL_IDENTIFIER, iana::IP_CLASS_OF_SERVICE,
    iana::BGP_SOURCE_AS_NUMBER, iana::BGP_DESTINATION_AS_NUMBER,
    iana::SOURCE_IPV4_PREFIX_LENGTH, iana::DESTINATION_IPV4_PREFIX_LENGTH,
    iana::FLOW_END_REASON, iana::MINIMUM_TTL,
];

/// One record of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassicRecord {
    pub source_address: Ipv4Addr,
    pub destination_address: Ipv4Addr,
    pub next_hop: Ipv4Addr,
    pub interfaces: [u32; 2],
    pub packets: u64,
    pub octets: u64,
    /// Milliseconds since the UNIX epoch.
    pub start: u64,
    /// Milliseconds since the UNIX epoch.
    pub end: u64,
    pub source_port: u16,
    pub destination_port: u16,
    pub tcp_control_bits: u16,
    pub protocol: u8,
    pub class_of_service: u8,
    pub systems: [u32; 2],
    pub prefix_lengths: [u8; 2],
    pub end_reason: u8,
    pub minimum_ttl: u8,
}

impl ClassicRecord {
    /// Describes the records.
    pub fn template() -> Template {
        Template::new(TemplateId::MIN, ELEMENTS)
    }

    /// Returns what routers on the way would tell of the same flows.
    pub fn of(records: &[Record]) -> Vec<Self> {
        let mut random = Random::new(72);
        records.iter().map(|record| Self::of_one(record, &mut random)).collect()
    }

    fn of_one(record: &Record, random: &mut Random) -> Self {
        let milliseconds = |seconds: u32| u64::from(seconds) * 1_000;
        Self {
            source_address: record.source_address,
            destination_address: record.destination_address,
            next_hop: Ipv4Addr::new(192, 168, 0, random.u8(1, 20)),
            interfaces: [random.u32(64), random.u32(64)],
            packets: record.forward.packets_delta,
            octets: record.forward.octets_delta,
            start: milliseconds(record.start) + u64::from(random.u16(0, 1_000)),
            end: milliseconds(record.end) + u64::from(random.u16(0, 1_000)),
            source_port: record.source_port,
            destination_port: record.destination_port,
            tcp_control_bits: if record.protocol == 6 { 0x1b } else { 0 },
            protocol: record.protocol,
            class_of_service: *random.one_of(&[0, 0, 0, 46 << 2]),
            systems: [64_512 + random.u32(1_000), 64_512 + random.u32(1_000)],
            prefix_lengths: [random.u8(8, 25), random.u8(8, 25)],
            end_reason: record.end_reason,
            minimum_ttl: random.u8(32, 64),
        }
    }

    /// Writes the record in the order of [`Self::template`].
    #[inline]
    pub fn encode(&self, writer: &mut RecordWriter<'_>) {
        writer.ipv4(self.source_address);
        writer.ipv4(self.destination_address);
        writer.ipv4(self.next_hop);
        writer.u32(self.interfaces[0]);
        writer.u32(self.interfaces[1]);
        writer.u64(self.packets);
        writer.u64(self.octets);
        writer.u64(self.start);
        writer.u64(self.end);
        writer.u16(self.source_port);
        writer.u16(self.destination_port);
        writer.u16(self.tcp_control_bits);
        writer.u8(self.protocol);
        writer.u8(self.class_of_service);
        writer.u32(self.systems[0]);
        writer.u32(self.systems[1]);
        writer.u8(self.prefix_lengths[0]);
        writer.u8(self.prefix_lengths[1]);
        writer.u8(self.end_reason);
        writer.u8(self.minimum_ttl);
    }
}
