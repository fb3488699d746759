//! What a message of `NetFlow` tells, as Flow Records.
//!
//! The types of version 9's fields are the numbers of IANA's first elements (RFC 5102, section 4),
//! so a template is compiled as one of IPFIX; only times are counted from when the router started.

use std::net::IpAddr;

use flow::{FlowKey, FlowRecord, Interner, Plan, protocol};
use ipfix::registry::{IANA_PEN, iana};
use ipfix::template::{FieldSpecifier, Template, TemplateId};
use ipfix::value;
use netflow_parser::V9FlowRecord;
use netflow_parser::static_versions::v5::{FlowSet, V5};

/// When a message was made, by both of the router's clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// Milliseconds since 1970.
    pub(super) unix_ms: u64,
    /// Milliseconds since the router started, as far as 32 bits tell.
    pub(super) up_ms: u32,
}

impl Clocks {
    /// What `up_ms` is in milliseconds since 1970. No flow is told for as long as the 49 days
    /// after which the router's clock begins anew, and none ends long after its message.
    fn unix_ms(self, up_ms: u32) -> u64 {
        let age = i64::from(self.up_ms.wrapping_sub(up_ms).cast_signed());
        self.unix_ms.saturating_add_signed(-age)
    }
}

/// The records of a message of version 5.
pub(super) fn of_v5(message: &V5) -> Vec<FlowRecord> {
    let header = &message.header;
    let nanoseconds = u64::from(header.unix_nsecs);
    let unix_ms = u64::from(header.unix_secs) * 1_000 + nanoseconds / 1_000_000;
    let clocks = Clocks { unix_ms, up_ms: header.sys_up_time };
    message.flowsets.iter().map(|flow| record_of_v5(flow, clocks)).collect()
}

fn record_of_v5(flow: &FlowSet, clocks: Clocks) -> FlowRecord {
    let mut record = FlowRecord {
        key: FlowKey {
            source: IpAddr::V4(flow.src_addr),
            destination: IpAddr::V4(flow.dst_addr),
            source_port: flow.src_port,
            destination_port: flow.dst_port,
            protocol: flow.protocol_number,
            icmp_type_code: 0,
        },
        start_ms: clocks.unix_ms(flow.first),
        end_ms: clocks.unix_ms(flow.last),
        ..FlowRecord::default()
    };
    record.forward.packets_delta = flow.d_pkts.into();
    record.forward.octets_delta = flow.d_octets.into();
    untangle_icmp(&mut record);
    record
}

/// Routers put type and code where others have the destination's port.
fn untangle_icmp(record: &mut FlowRecord) {
    let key = &mut record.key;
    if matches!(key.protocol, protocol::ICMP | protocol::ICMPV6) && key.icmp_type_code == 0 {
        key.icmp_type_code = std::mem::take(&mut key.destination_port);
    }
}

/// How to read the records of one template of version 9.
#[derive(Debug)]
pub(super) struct Layout {
    types: Vec<u16>,
    plan: Plan,
    begins: Option<usize>,
    ends: Option<usize>,
}

impl Layout {
    /// Of the template that `record` is of.
    pub(super) fn of(record: &V9FlowRecord) -> Self {
        let types: Vec<_> = record.iter().map(|(field, _)| u16::from(*field)).collect();
        let fields = record.iter().zip(&types).map(|((_, value), id)| {
            let length = u16::try_from(value.byte_len()).unwrap_or(u16::MAX);
            FieldSpecifier { pen: IANA_PEN, id: *id, length }
        });
        let template = Template { id: TemplateId::MIN, fields: fields.collect(), scope_count: 0 };
        let position = |wanted: u16| types.iter().position(|id| *id == wanted);
        let begins = position(iana::FLOW_START_SYS_UP_TIME.id);
        let ends = position(iana::FLOW_END_SYS_UP_TIME.id);
        Self { plan: Plan::compile(&template), begins, ends, types }
    }

    /// Whether `record` is of the same template.
    pub(super) fn is_of(&self, record: &V9FlowRecord) -> bool {
        let types = record.iter().map(|(field, _)| u16::from(*field));
        record.len() == self.types.len() && types.eq(self.types.iter().copied())
    }

    pub(super) fn unknown_fields(&self) -> usize {
        self.plan.unknown_fields()
    }

    /// Returns nothing if the record does not say between which addresses the flow is.
    pub(super) fn read(
        &self,
        record: &V9FlowRecord,
        clocks: Clocks,
        names: &mut Interner,
    ) -> Option<FlowRecord> {
        if !self.plan.is_flow() {
            return None;
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(record.len()));
        for (_, value) in record {
            let start = bytes.len();
            if value.write_be_bytes(&mut bytes).is_err() {
                bytes.truncate(start);
            }
            ends.push(start..bytes.len());
        }
        let values: Vec<&[u8]> = ends.into_iter().filter_map(|span| bytes.get(span)).collect();
        let mut told = self.plan.decode_values(&values, names);
        let time = |at: Option<usize>| {
            let up_ms = value::unsigned(values.get(at?)?)?;
            Some(clocks.unix_ms(u32::try_from(up_ms).ok()?))
        };
        told.start_ms = time(self.begins).unwrap_or(told.start_ms);
        told.end_ms = time(self.ends).unwrap_or(told.end_ms);
        untangle_icmp(&mut told);
        Some(told)
    }
}
