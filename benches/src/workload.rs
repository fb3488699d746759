//! What an exporter of a busy cluster sends: 100,000 records of Antrea's IPv4 Template.
//!
//! The same seed gives the same bytes on every machine, so that figures can be compared. Sizes are
//! those of a real cluster's names: a record has 279 bytes on average, most of them text.

mod classic; // flows as routers tell them, without text
mod cluster; // Nodes, Pods, Services and policies
mod flows; // what the cluster's Pods say to each other
mod random; // the same numbers every time

use std::{iter, net::Ipv4Addr, sync::Arc};

use ipfix::{
    encode::{Encoder, Packing, RecordWriter},
    registry::{InformationElement, antrea, iana},
    template::{Template, TemplateId},
};

pub use classic::ClassicRecord;
pub use flows::records;

/// How many records there are, unless a benchmark asks for others.
pub const RECORDS: usize = 100_000;

/// How many of a record's fields are text.
pub const TEXTS: usize = 17;

/// What is put in the place of an empty string for those who cannot read one.
const NOTHING: &str = "-";

/// When the messages left the exporter, in seconds since the UNIX epoch.
pub const EXPORT_TIME: u32 = 1_790_000_000;

/// The Observation Domain of the messages.
pub const DOMAIN: u32 = 7;

/// A text that many records share.
pub type Text = Arc<str>;

/// One record of the Flow Exporter of a Node, with what the Template says in its order.
///
/// What does not apply is empty or zero, as Antrea sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Seconds since the UNIX epoch.
    pub start: u32,
    /// Seconds since the UNIX epoch.
    pub end: u32,
    /// flowEndReason (136).
    pub end_reason: u8,
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub forward: Counters,
    pub source_address: Ipv4Addr,
    pub destination_address: Ipv4Addr,
    pub reverse: Counters,
    pub source: Pod,
    pub destination: Pod,
    pub service_port: u16,
    /// `namespace/name:port`.
    pub service_port_name: Text,
    pub ingress: Policy,
    pub egress: Policy,
    pub tcp_state: Text,
    /// flowType (56506/137).
    pub flow_type: u8,
    pub egress_name: Text,
    pub egress_ip: Text,
    pub egress_node: Text,
    pub snat_port: u16,
    pub snat_address: Ipv4Addr,
    /// Sent as destinationClusterIPv4 and as destinationServiceIPv4.
    pub service_address: Ipv4Addr,
}

/// What went one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub packets_total: u64,
    pub octets_total: u64,
    pub packets_delta: u64,
    pub octets_delta: u64,
}

/// The Pod at one end of a flow, if the exporter knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: Text,
    pub namespace: Text,
    pub node: Text,
}

/// The policy that a flow was let through by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub name: Text,
    pub namespace: Text,
    /// ingressNetworkPolicyType (56506/115).
    pub kind: u8,
    pub rule: Text,
    /// ingressNetworkPolicyRuleAction (56506/139).
    pub action: u8,
}

/// The elements of Antrea's Flow Exporter for IPv4, in its order.
#[rustfmt::skip] // as they are grouped
const ELEMENTS: [InformationElement; 43] = [
    iana::FLOW_START_SECONDS, iana::FLOW_END_SECONDS, iana::FLOW_END_REASON,
    iana::SOURCE_TRANSPORT_PORT, iana::DESTINATION_TRANSPORT_PORT, iana::PROTOCOL_IDENTIFIER,
    iana::PACKET_TOTAL_COUNT, iana::OCTET_TOTAL_COUNT,
    iana::PACKET_DELTA_COUNT, iana::OCTET_DELTA_COUNT,
    iana::SOURCE_IPV4_ADDRESS, iana::DESTINATION_IPV4_ADDRESS,
    iana::PACKET_TOTAL_COUNT.reverse(), iana::OCTET_TOTAL_COUNT.reverse(),
    iana::PACKET_DELTA_COUNT.reverse(), iana::OCTET_DELTA_COUNT.reverse(),
    antrea::SOURCE_POD_NAME, antrea::SOURCE_POD_NAMESPACE, antrea::SOURCE_NODE_NAME,
    antrea::DESTINATION_POD_NAME, antrea::DESTINATION_POD_NAMESPACE, antrea::DESTINATION_NODE_NAME,
    antrea::DESTINATION_SERVICE_PORT, antrea::DESTINATION_SERVICE_PORT_NAME,
    antrea::INGRESS_NETWORK_POLICY_NAME, antrea::INGRESS_NETWORK_POLICY_NAMESPACE,
    antrea::INGRESS_NETWORK_POLICY_TYPE, antrea::INGRESS_NETWORK_POLICY_RULE_NAME,
    antrea::INGRESS_NETWORK_POLICY_RULE_ACTION,
    antrea::EGRESS_NETWORK_POLICY_NAME, antrea::EGRESS_NETWORK_POLICY_NAMESPACE,
    antrea::EGRESS_NETWORK_POLICY_TYPE, antrea::EGRESS_NETWORK_POLICY_RULE_NAME,
    antrea::EGRESS_NETWORK_POLICY_RULE_ACTION,
    antrea::TCP_STATE, antrea::FLOW_TYPE,
    antrea::EGRESS_NAME, antrea::EGRESS_IP, antrea::EGRESS_NODE_NAME, antrea::PROXY_SNAT_PORT,
    antrea::DESTINATION_CLUSTER_IPV4, antrea::PROXY_SNAT_IPV4, antrea::DESTINATION_SERVICE_IPV4,
];

/// Describes [`Record`]s.
pub fn template() -> Template {
    Template::new(TemplateId::MIN, ELEMENTS)
}

impl Record {
    /// Writes the record in the order of [`template`].
    #[inline]
    pub fn encode(&self, writer: &mut RecordWriter<'_>) {
        writer.u32(self.start);
        writer.u32(self.end);
        writer.u8(self.end_reason);
        writer.u16(self.source_port);
        writer.u16(self.destination_port);
        writer.u8(self.protocol);
        self.forward.encode(writer);
        writer.ipv4(self.source_address);
        writer.ipv4(self.destination_address);
        self.reverse.encode(writer);
        self.source.encode(writer);
        self.destination.encode(writer);
        writer.u16(self.service_port);
        writer.string(&self.service_port_name);
        self.ingress.encode(writer);
        self.egress.encode(writer);
        writer.string(&self.tcp_state);
        writer.u8(self.flow_type);
        writer.string(&self.egress_name);
        writer.string(&self.egress_ip);
        writer.string(&self.egress_node);
        writer.u16(self.snat_port);
        writer.ipv4(self.service_address);
        writer.ipv4(self.snat_address);
        writer.ipv4(self.service_address);
    }

    /// Returns the record with no string empty, for those who cannot read one.
    #[must_use]
    pub fn without_empty_strings(mut self) -> Self {
        let nothing = Text::from(NOTHING);
        for text in self.texts_mut() {
            if text.is_empty() {
                *text = Arc::clone(&nothing);
            }
        }
        self
    }

    /// Returns its strings, in the order of [`template`].
    pub fn texts(&self) -> [&Text; TEXTS] {
        let Self { source, destination, ingress, egress, .. } = self;
        #[rustfmt::skip] // as they are grouped
        let texts = [
            &source.name, &source.namespace, &source.node,
            &destination.name, &destination.namespace, &destination.node,
            &self.service_port_name,
            &ingress.name, &ingress.namespace, &ingress.rule,
            &egress.name, &egress.namespace, &egress.rule,
            &self.tcp_state, &self.egress_name, &self.egress_ip, &self.egress_node,
        ];
        texts
    }

    fn texts_mut(&mut self) -> [&mut Text; TEXTS] {
        let Self { source, destination, ingress, egress, .. } = self;
        #[rustfmt::skip] // as they are grouped
        let texts = [
            &mut source.name, &mut source.namespace, &mut source.node,
            &mut destination.name, &mut destination.namespace, &mut destination.node,
            &mut self.service_port_name,
            &mut ingress.name, &mut ingress.namespace, &mut ingress.rule,
            &mut egress.name, &mut egress.namespace, &mut egress.rule,
            &mut self.tcp_state, &mut self.egress_name, &mut self.egress_ip, &mut self.egress_node,
        ];
        texts
    }
}

impl Counters {
    #[inline]
    fn encode(self, writer: &mut RecordWriter<'_>) {
        writer.u64(self.packets_total);
        writer.u64(self.octets_total);
        writer.u64(self.packets_delta);
        writer.u64(self.octets_delta);
    }
}

impl Pod {
    #[inline]
    fn encode(&self, writer: &mut RecordWriter<'_>) {
        writer.string(&self.name);
        writer.string(&self.namespace);
        writer.string(&self.node);
    }
}

impl Policy {
    #[inline]
    fn encode(&self, writer: &mut RecordWriter<'_>) {
        writer.string(&self.name);
        writer.string(&self.namespace);
        writer.u8(self.kind);
        writer.string(&self.rule);
        writer.u8(self.action);
    }
}

/// How records share messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// As many as fit the longest message there is.
    Stream,
    /// As many as fit a datagram of 1,420 bytes.
    Datagram,
    /// One per message, as Antrea's exporter sends them.
    Single,
}

impl Packed {
    /// Starts the session whose messages are packed this way.
    pub fn encoder(self) -> Encoder {
        match self {
            Self::Stream => Encoder::new(DOMAIN, u16::MAX, Packing::Full),
            Self::Datagram => Encoder::new(DOMAIN, 1_420, Packing::Full),
            Self::Single => Encoder::new(DOMAIN, u16::MAX, Packing::OneRecord),
        }
    }
}

/// Messages back to back, as a stream or a file has them.
#[derive(Debug, Clone)]
pub struct Messages {
    bytes: Vec<u8>,
}

impl Messages {
    /// Encodes `records`, behind a message with their Template.
    pub fn of(records: &[Record], packed: Packed) -> Self {
        Self::write(records, &template(), packed, Record::encode)
    }

    /// Encodes `records`, behind a message with their Template.
    pub fn of_classic(records: &[ClassicRecord], packed: Packed) -> Self {
        Self::write(records, &ClassicRecord::template(), packed, ClassicRecord::encode)
    }

    fn write<R>(
        records: &[R],
        template: &Template,
        packed: Packed,
        encode: fn(&R, &mut RecordWriter<'_>),
    ) -> Self {
        let (mut encoder, mut bytes) = (packed.encoder(), Vec::new());
        encoder.template(EXPORT_TIME, template, &mut bytes).expect("the Template fits");
        for record in records {
            encoder
                .record(EXPORT_TIME, template.id, &mut bytes, |writer| encode(record, writer))
                .expect("every record fits");
        }
        encoder.finish(&mut bytes);
        Self { bytes }
    }

    /// Returns all messages in one piece.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the messages one by one. The first has the Template and nothing else.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        iter::from_fn(move || {
            let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
            rest.split_off(..length)
        })
    }
}

#[cfg(test)]
mod tests;
