//! `NXT_PACKET_IN2`: a packet, and what the switch knows about it.

use ipfix::reader::Reader;

use super::fields::Fields;
use super::message::{Unreadable, property};

/// Types of properties (`NXPINT_*` in Open vSwitch's `nicira-ext.h`).
const PACKET: u16 = 0;
const TABLE: u16 = 3;
const METADATA: u16 = 6;
const USER_DATA: u16 = 7;
const CONTINUATION: u16 = 8;

/// What of a packet-in is of use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PacketIn<'a> {
    /// From the Ethernet header on; the end may be missing.
    pub(super) packet: &'a [u8],
    /// The flow table that sent it here.
    pub(super) table: u8,
    pub(super) fields: Fields,
    /// What the flow's author wants the controller to know.
    pub(super) user_data: &'a [u8],
    /// The packet waits in the switch until somebody resumes it.
    pub(super) is_paused: bool,
}

impl<'a> PacketIn<'a> {
    pub(super) fn read(mut properties: Reader<'a>) -> Result<Self, Unreadable> {
        let mut packet_in = Self::default();
        while !properties.is_empty() {
            let (kind, mut payload) = property(&mut properties)?;
            match kind {
                PACKET => packet_in.packet = payload.bytes(payload.remaining())?,
                TABLE => packet_in.table = payload.u8()?,
                METADATA => packet_in.fields = Fields::read(payload)?,
                USER_DATA => packet_in.user_data = payload.bytes(payload.remaining())?,
                CONTINUATION => packet_in.is_paused = true,
                _ => {}
            }
        }
        Ok(packet_in)
    }
}
