//! `netflow_parser`, with and without the types of Antrea's elements.
//!
//! It returns no record that has an empty string, and so is given others.

use std::hint::black_box;

use benches::workload::{Messages, template};
use ipfix::registry::{ANTREA_PEN, DataType};
use netflow_parser::{
    NetflowPacket, NetflowParser,
    variable_versions::{
        enterprise_registry::EnterpriseFieldDef,
        field_value::{DurationValue, FieldDataType, FieldValue},
        ipfix::FlowSetBody,
    },
};

use super::fingerprint::Fingerprint;

/// A parser that reads elements of enterprises as octets.
pub(super) fn untyped() -> NetflowParser {
    NetflowParser::builder().build().expect("it needs nothing")
}

/// A parser that is told the types of Antrea's elements.
pub(super) fn typed() -> NetflowParser {
    let fields = template().fields;
    let antrea = fields.iter().filter(|field| field.pen == ANTREA_PEN);
    let elements = antrea.filter_map(|field| field.element());
    let definitions = elements.map(|element| {
        let data_type = match element.data_type {
            DataType::String => FieldDataType::String,
            DataType::Ipv4Address => FieldDataType::Ip4Addr,
            _ => FieldDataType::UnsignedDataNumber,
        };
        EnterpriseFieldDef::new(element.pen, element.id, element.name, data_type)
    });
    let builder = NetflowParser::builder().register_enterprise_fields(definitions);
    builder.build().expect("they are well defined")
}

fn packets(parser: &mut NetflowParser, messages: &Messages, mut visit: impl FnMut(NetflowPacket)) {
    for message in messages.iter() {
        let result = parser.parse_bytes(message);
        assert!(result.error.is_none(), "{:?}", result.error);
        result.packets.into_iter().for_each(&mut visit);
    }
}

/// Decodes every field of every record.
pub(super) fn decode(parser: &mut NetflowParser, messages: &Messages) {
    packets(parser, messages, |packet| _ = black_box(packet));
}

/// Returns what all values together are.
pub(super) fn fingerprint(parser: &mut NetflowParser, messages: &Messages) -> Fingerprint {
    let mut all = Fingerprint::default();
    packets(parser, messages, |packet| {
        let NetflowPacket::IPFix(packet) = packet else { panic!("it is IPFIX") };
        for set in packet.flowsets {
            if let FlowSetBody::Data(data) = set.body {
                let values = data.fields.iter().flatten();
                values.for_each(|(_, value)| add(&mut all, value));
            }
        }
    });
    all
}

fn add(all: &mut Fingerprint, value: &FieldValue) {
    match value {
        FieldValue::DataNumber(number) => all.number(number.as_u64().expect("it is small")),
        FieldValue::Duration(DurationValue::Seconds { value, .. }) => all.number(*value),
        FieldValue::Ip4Addr(address) => all.address(*address),
        FieldValue::ProtocolType(protocol) => all.number(u8::from(*protocol).into()),
        FieldValue::FlowEndReason(reason) => all.number(u8::from(*reason).into()),
        FieldValue::String(text) => all.text(&text.value),
        other => panic!("no record has {other:?}"),
    }
}
