//! The only messages that can be sent.
//!
//! None of them changes anything in the switch beyond this connection: what is asked for is read,
//! what is set is the connection's own. `OFPT_SET_CONFIG` is not among them, though most observers
//! begin with it: its fragment mode is the whole bridge's.

use super::message::{HEADER, NICIRA, VERSION, kind, multipart, nicira};

/// Reasons of a packet-in, as bits (OpenFlow 1.5.1, 7.4.1): all six there are.
const EVERY_REASON: u32 = 0x3f;
/// Properties of `OFPT_SET_ASYNC` (7.3.10): reasons for controllers that are slaves and those that
/// are not, by kind of message.
const ASYNC_PROPERTIES: u16 = 12;
const PACKET_IN: u16 = 1;

/// `OFPP_CONTROLLER`, `OFPG_ANY`, `OFPMT_OXM` (7.2.1, 7.2.4, 7.2.3).
const CONTROLLER: u32 = 0xffff_fffd;
const ANY_GROUP: u32 = 0xffff_ffff;
const OXM_MATCH: u16 = 1;

/// Stands for every table in a [`Request::ControllerFlows`].
pub(super) const ALL_TABLES: u8 = 0xff;

/// One message to the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// `OFPT_HELLO` with OpenFlow 1.5 as the only version.
    Hello,
    /// `OFPT_ECHO_REQUEST`: is anybody there?
    Echo,
    /// `OFPT_ECHO_REPLY` with what the switch has asked with.
    EchoReply(&'a [u8]),
    /// `NXT_SET_PACKET_IN_FORMAT`: this connection wants `NXT_PACKET_IN2`.
    PacketInFormat,
    /// `OFPT_SET_ASYNC`: this connection wants packet-ins, and nothing else nobody asked for.
    OnlyPacketIns,
    /// `NXT_SET_CONTROLLER_ID`: this connection wants the packet-ins meant for that controller.
    ControllerId(u16),
    /// `OFPMP_TABLE_FEATURES` without a body, which asks; one with a body would set.
    TableNames,
    /// `OFPMP_FLOW_DESC`: the flows of a table that output to a controller.
    ControllerFlows { table: u8 },
}

/// Bytes for the switch. Nothing but [`Request`]s gets in.
#[derive(Debug, Default)]
pub(super) struct Outbox(Vec<u8>);

impl Outbox {
    /// Adds a message; `id` comes back in the answer.
    pub(super) fn push(&mut self, id: u32, request: Request<'_>) {
        let start = self.0.len();
        self.0.extend([VERSION, request.kind(), 0, 0]);
        self.0.extend(id.to_be_bytes());
        request.body(&mut self.0);
        // Only an echo can be long, and it is as long as a message of the switch was.
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.0.get_mut(start + 2..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Request<'_> {
    fn kind(self) -> u8 {
        match self {
            Self::Hello => kind::HELLO,
            Self::Echo => kind::ECHO_REQUEST,
            Self::EchoReply(_) => kind::ECHO_REPLY,
            Self::PacketInFormat | Self::ControllerId(_) => kind::EXPERIMENTER,
            Self::OnlyPacketIns => kind::SET_ASYNC,
            Self::TableNames | Self::ControllerFlows { .. } => kind::MULTIPART_REQUEST,
        }
    }

    fn body(self, out: &mut Vec<u8>) {
        match self {
            // One element: a bitmap of versions, in which 1.5 is bit 6.
            Self::Hello => {
                out.extend([0, 1, 0, 8]);
                out.extend((1u32 << VERSION).to_be_bytes());
            }
            Self::Echo => {}
            Self::EchoReply(asked) => {
                out.extend(
                    asked.get(..asked.len().min(usize::from(u16::MAX) - HEADER)).unwrap_or(asked),
                );
            }
            Self::PacketInFormat => {
                experimenter(out, nicira::SET_PACKET_IN_FORMAT);
                out.extend(nicira::FORMAT_PACKET_IN2.to_be_bytes());
            }
            Self::OnlyPacketIns => only_packet_ins(out),
            Self::ControllerId(id) => {
                experimenter(out, nicira::SET_CONTROLLER_ID);
                out.extend([0; 6]);
                out.extend(id.to_be_bytes());
            }
            Self::TableNames => multipart_request(out, multipart::TABLE_FEATURES),
            Self::ControllerFlows { table } => controller_flows(out, table),
        }
    }
}

fn experimenter(out: &mut Vec<u8>, subtype: u32) {
    out.extend(NICIRA.to_be_bytes());
    out.extend(subtype.to_be_bytes());
}

fn only_packet_ins(out: &mut Vec<u8>) {
    for property in 0..ASYNC_PROPERTIES {
        let reasons = if property == PACKET_IN { EVERY_REASON } else { 0 };
        out.extend(property.to_be_bytes());
        out.extend([0, 8]);
        out.extend(reasons.to_be_bytes());
    }
}

fn multipart_request(out: &mut Vec<u8>, what: u16) {
    out.extend(what.to_be_bytes());
    out.extend([0; 6]);
}

fn controller_flows(out: &mut Vec<u8>, table: u8) {
    multipart_request(out, multipart::FLOW_DESC);
    out.extend([table, 0, 0, 0]);
    out.extend(CONTROLLER.to_be_bytes());
    out.extend(ANY_GROUP.to_be_bytes());
    // Padding, then cookie and its mask, of which every flow's is right.
    out.extend([0; 4 + 8 + 8]);
    // A match of no fields, padded to eight bytes.
    out.extend(OXM_MATCH.to_be_bytes());
    out.extend([0, 4, 0, 0, 0, 0]);
}

#[cfg(test)]
mod tests;
