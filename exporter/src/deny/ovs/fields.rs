//! The state of a packet in Open vSwitch's pipeline: registers and what conntrack has said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipfix::reader::{Reader, Truncated};

use super::message::Unreadable;

/// Classes of fields (`oxm_class`): Open vSwitch's own, and OpenFlow's packet registers.
const NXM_1: u16 = 1;
const PACKET_REGISTERS: u16 = 0x8001;

/// Numbers in [`NXM_1`]: 16 registers from 0 on, and 4 of 16 bytes each.
const WIDE_REGISTERS: u8 = 111;
const CT_STATE: u8 = 105;
const CT_MARK: u8 = 107;
const CT_LABEL: u8 = 108;
const CT_PROTOCOL: u8 = 119;
const CT_SOURCE4: u8 = 120;
const CT_DESTINATION4: u8 = 121;
const CT_SOURCE6: u8 = 122;
const CT_DESTINATION6: u8 = 123;
const CT_SOURCE_PORT: u8 = 124;
const CT_DESTINATION_PORT: u8 = 125;

const REGISTERS: usize = 16;

/// What is known of a packet beside its bytes. What the switch leaves out is 0, as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) registers: [u32; REGISTERS],
    pub(super) ct: Ct,
}

/// What conntrack has said, of which the tuple is that of the connection's first packet as it
/// came, before any translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ct {
    pub(super) state: u32,
    pub(super) mark: u32,
    /// As a number: the Agent counts bits from the least significant one.
    pub(super) label: u128,
    pub(super) protocol: u8,
    pub(super) source: Option<IpAddr>,
    pub(super) destination: Option<IpAddr>,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

impl Fields {
    /// Reads fields one after the other; the last of a kind counts, unknown ones are passed over.
    pub(super) fn read(mut reader: Reader<'_>) -> Result<Self, Unreadable> {
        let mut fields = Self::default();
        while !reader.is_empty() {
            let (class, number, length) = (reader.u16()?, reader.u8()?, reader.u8()?);
            let payload = reader.sub(usize::from(length))?;
            let (number, is_masked) = (number >> 1, number & 1 != 0);
            // A mask is as long as the value. Where it has a 0 the switch has said nothing, and
            // the value has a 0 too.
            let size = if is_masked { payload.remaining() / 2 } else { payload.remaining() };
            match class {
                NXM_1 => fields.nicira(number, size, payload)?,
                PACKET_REGISTERS => fields.wide(usize::from(number), 2, payload)?,
                // Among them those of experimenters, whose number follows in the payload.
                _ => {}
            }
        }
        Ok(fields)
    }

    fn nicira(&mut self, number: u8, size: usize, mut value: Reader<'_>) -> Result<(), Unreadable> {
        let ct = &mut self.ct;
        match (number, size) {
            (0..=15, 4) => return self.wide(usize::from(number), 1, value),
            (WIDE_REGISTERS..=114, 16) => {
                return self.wide(usize::from(number - WIDE_REGISTERS), 4, value);
            }
            (CT_STATE, 4) => ct.state = value.u32()?,
            (CT_MARK, 4) => ct.mark = value.u32()?,
            (CT_LABEL, 16) => ct.label = u128::from_be_bytes(array(&mut value)?),
            (CT_PROTOCOL, 1) => ct.protocol = value.u8()?,
            (CT_SOURCE4, 4) => ct.source = Some(Ipv4Addr::from(value.u32()?).into()),
            (CT_DESTINATION4, 4) => ct.destination = Some(Ipv4Addr::from(value.u32()?).into()),
            (CT_SOURCE6, 16) => ct.source = Some(Ipv6Addr::from(array(&mut value)?).into()),
            (CT_DESTINATION6, 16) => {
                ct.destination = Some(Ipv6Addr::from(array(&mut value)?).into());
            }
            (CT_SOURCE_PORT, 2) => ct.source_port = value.u16()?,
            (CT_DESTINATION_PORT, 2) => ct.destination_port = value.u16()?,
            // A field that has its length by definition, and another here.
            (
                0..=15
                | WIDE_REGISTERS..=114
                | CT_STATE
                | CT_MARK
                | CT_LABEL
                | CT_PROTOCOL..=CT_DESTINATION_PORT,
                _,
            ) => return Err(Unreadable),
            _ => {}
        }
        Ok(())
    }

    /// Takes the `nth` register of `width` small ones; those that do not exist are passed over.
    fn wide(&mut self, nth: usize, width: usize, mut value: Reader<'_>) -> Result<(), Unreadable> {
        for register in self.registers.iter_mut().skip(nth * width).take(width) {
            *register = value.u32()?;
        }
        Ok(())
    }
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Truncated> {
    let mut array = [0; N];
    array.copy_from_slice(reader.bytes(N)?);
    Ok(array)
}
