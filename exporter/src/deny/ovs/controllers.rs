//! Which controller the Agent's flows send denied packets to.
//!
//! A flow's `controller` action names a controller by a number, and the switch sends to those
//! connections alone that have taken this number. The Agent draws one when it starts. It is read
//! from the flows themselves.

use ipfix::reader::Reader;

use super::meaning::tells_denied;
use super::message::{NICIRA, Unreadable, property};
use super::request::ALL_TABLES;

/// `OFPIT_WRITE_ACTIONS`, `OFPIT_APPLY_ACTIONS` (OpenFlow 1.5.1, 7.2.6).
const ACTION_INSTRUCTIONS: [u16; 2] = [3, 4];
/// `OFPAT_EXPERIMENTER` (7.2.8) with Open vSwitch's `NXAST_CONTROLLER2`.
const EXPERIMENTER: u16 = 0xffff;
const CONTROLLER2: u16 = 37;
/// Properties of that action (`NXAC2PT_*`).
const CONTROLLER_ID: u16 = 1;
const USER_DATA: u16 = 3;

/// Bytes of a flow (7.3.5.2) before its match: length, padding, table, padding, priority, two
/// timeouts, flags, importance, cookie, with `OFPMP_FLOW_DESC`.
const TABLE_OFFSET: usize = 4;
const BEFORE_MATCH: usize = 24;

/// Controllers to tell apart. There is one Agent; two while it starts anew.
const MOST: usize = 16;

/// What the flows of an answer have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Controllers {
    found: Vec<Controller>,
    /// Flows that tell of denied packets.
    flows: u64,
    /// The table of one of them, and whether they are all there.
    table: Option<(u8, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Controller {
    id: u16,
    /// Flows that tell it of denied packets.
    denials: u64,
    /// Flows that tell it of something else, with user data.
    others: u64,
}

impl Controllers {
    /// Flows that tell of denied packets: none if the Agent's gate is off.
    pub(super) fn flows(&self) -> u64 {
        self.flows
    }

    /// The controller that most of them name. Without any, that of most others: it is the Agent
    /// too, which may begin to tell of denied packets later.
    pub(super) fn main(&self) -> Option<u16> {
        self.found.iter().max_by_key(|it| (it.denials, it.others)).map(|it| it.id)
    }

    /// The table to look into next time, if all flows are in one.
    pub(super) fn table(&self) -> u8 {
        match self.table {
            Some((table, true)) => table,
            _ => ALL_TABLES,
        }
    }

    /// Reads one part of the switch's answer.
    pub(super) fn learn(&mut self, mut flows: Reader<'_>) -> Result<(), Unreadable> {
        while !flows.is_empty() {
            let mut peek = flows;
            let mut flow = flows.sub(usize::from(peek.u16()?))?;
            flow.bytes(TABLE_OFFSET)?;
            let table = flow.u8()?;
            flow.bytes(BEFORE_MATCH - TABLE_OFFSET - 1)?;
            property(&mut flow)?;
            statistics(&mut flow)?;
            self.instructions(table, flow)?;
        }
        Ok(())
    }

    fn instructions(&mut self, table: u8, mut instructions: Reader<'_>) -> Result<(), Unreadable> {
        while !instructions.is_empty() {
            let (kind, mut body) = property(&mut instructions)?;
            if !ACTION_INSTRUCTIONS.contains(&kind) {
                continue;
            }
            body.u32()?;
            while !body.is_empty() {
                let (kind, action) = property(&mut body)?;
                if kind == EXPERIMENTER
                    && let Some((id, is_denial)) = controller(action)?
                {
                    self.note(table, id, is_denial);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, table: u8, id: u16, is_denial: bool) {
        if is_denial {
            self.flows += 1;
            let is_only = self.table.is_none_or(|(other, is_only)| is_only && other == table);
            self.table = Some((table, is_only));
        }
        if self.found.len() < MOST && self.found.iter().all(|it| it.id != id) {
            self.found.push(Controller { id, denials: 0, others: 0 });
        }
        if let Some(found) = self.found.iter_mut().find(|it| it.id == id) {
            *(if is_denial { &mut found.denials } else { &mut found.others }) += 1;
        }
    }
}

/// Flow statistics (`OXS`, 7.2.4.1): reserved, length, padded to eight bytes.
fn statistics(flow: &mut Reader<'_>) -> Result<(), Unreadable> {
    property(flow).map(|_| ())
}

/// Returns the controller an action tells something with user data, and whether that is of denied
/// packets.
fn controller(mut action: Reader<'_>) -> Result<Option<(u16, bool)>, Unreadable> {
    if (action.u32()?, action.u16()?) != (NICIRA, CONTROLLER2) {
        return Ok(None);
    }
    action.bytes(6)?;
    let (mut id, mut told) = (0, None);
    while !action.is_empty() {
        let (kind, mut payload) = property(&mut action)?;
        match kind {
            CONTROLLER_ID => id = payload.u16()?,
            USER_DATA => told = Some(tells_denied(payload.bytes(payload.remaining())?).is_ok()),
            _ => {}
        }
    }
    Ok(told.map(|is_denial| (id, is_denial)))
}
