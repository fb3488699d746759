//! `NetGauze`, whose records own their values.

use std::{hint::black_box, io::Cursor};

use benches::workload::Messages;
use netgauze_flow_pkt::{
    ie::{Field, antrea, reverse},
    ipfix::{DataRecord, IpfixPacket, Set, TemplatesMap},
};
use netgauze_parse_utils::{
    WritablePduWithOneInput, reader::SliceReader, traits::ParseFromWithOneInput,
};

use super::fingerprint::Fingerprint;

fn packets(messages: &Messages, mut visit: impl FnMut(IpfixPacket)) -> TemplatesMap {
    let mut templates = TemplatesMap::new();
    for message in messages.iter() {
        let mut reader = SliceReader::new(message);
        visit(IpfixPacket::parse(&mut reader, &mut templates).expect("it is sound"));
    }
    templates
}

/// Decodes every field of every record.
pub(super) fn decode(messages: &Messages) {
    packets(messages, |packet| _ = black_box(packet));
}

/// What was decoded, to be encoded again.
pub(super) struct Encoding {
    packets: Vec<IpfixPacket>,
    templates: TemplatesMap,
    out: Vec<u8>,
}

impl Encoding {
    pub(super) fn of(messages: &Messages) -> Self {
        let mut all = Vec::new();
        let templates = packets(messages, |packet| all.push(packet));
        Self { packets: all, templates, out: Vec::with_capacity(1 << 17) }
    }

    /// Encodes the packets, of which each takes the place of the one before, and hands each out.
    pub(super) fn encode(&mut self, mut visit: impl FnMut(&[u8])) {
        for packet in &self.packets {
            self.out.clear();
            let mut cursor = Cursor::new(&mut self.out);
            packet.write(&mut cursor, Some(&self.templates)).expect("there is room");
            visit(&self.out);
        }
    }

    /// Returns all messages in one piece.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.encode(|message| all.extend_from_slice(message));
        all
    }
}

/// Returns what all values together are.
pub(super) fn fingerprint(messages: &Messages) -> Fingerprint {
    let mut all = Fingerprint::default();
    packets(messages, |packet| {
        for set in packet.sets() {
            if let Set::Data { records, .. } = set {
                let fields = records.iter().flat_map(DataRecord::fields);
                fields.for_each(|field| add(&mut all, field));
            }
        }
    });
    all
}

fn add(all: &mut Fingerprint, field: &Field) {
    match field {
        Field::flowStartSeconds(time) | Field::flowEndSeconds(time) => {
            all.number(time.timestamp().cast_unsigned());
        }
        Field::flowEndReason(reason) => all.number(u8::from(*reason).into()),
        Field::protocolIdentifier(protocol) => all.number(u8::from(*protocol).into()),
        Field::sourceTransportPort(port) | Field::destinationTransportPort(port) => {
            all.number((*port).into());
        }
        Field::packetTotalCount(count)
        | Field::octetTotalCount(count)
        | Field::packetDeltaCount(count)
        | Field::octetDeltaCount(count)
        | Field::Reverse(
            reverse::Field::packetTotalCount(count)
            | reverse::Field::octetTotalCount(count)
            | reverse::Field::packetDeltaCount(count)
            | reverse::Field::octetDeltaCount(count),
        ) => all.number(*count),
        Field::sourceIPv4Address(address) | Field::destinationIPv4Address(address) => {
            all.address(*address);
        }
        Field::Antrea(field) => add_of_antrea(all, field),
        other => panic!("no record has {other:?}"),
    }
}

fn add_of_antrea(all: &mut Fingerprint, field: &antrea::Field) {
    use antrea::Field as F;
    match field {
        F::sourcePodName(text)
        | F::sourcePodNamespace(text)
        | F::sourceNodeName(text)
        | F::destinationPodName(text)
        | F::destinationPodNamespace(text)
        | F::destinationNodeName(text)
        | F::destinationServicePortName(text)
        | F::ingressNetworkPolicyName(text)
        | F::ingressNetworkPolicyNamespace(text)
        | F::ingressNetworkPolicyRuleName(text)
        | F::egressNetworkPolicyName(text)
        | F::egressNetworkPolicyNamespace(text)
        | F::egressNetworkPolicyRuleName(text)
        | F::tcpState(text)
        | F::egressName(text)
        | F::egressIP(text)
        | F::egressNodeName(text) => all.text(text),
        F::destinationServicePort(port) | F::proxySnatPort(port) => all.number((*port).into()),
        F::ingressNetworkPolicyType(number)
        | F::ingressNetworkPolicyRuleAction(number)
        | F::egressNetworkPolicyType(number)
        | F::egressNetworkPolicyRuleAction(number)
        | F::flowType(number) => all.number((*number).into()),
        F::destinationClusterIPv4(address)
        | F::proxySnatIPv4(address)
        | F::destinationServiceIPv4(address) => all.address(*address),
        other => panic!("no record has {other:?}"),
    }
}
