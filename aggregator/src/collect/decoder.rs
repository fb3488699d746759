//! Messages of one session as Flow Records.

use std::sync::Arc;
use std::time::Instant;

use flow::{FlowRecord, Interner, NameRoom, Plan};
use ipfix::decode::{Limits, Rules, Session, Summary};
use ipfix::message::MessageError;
use ipfix::template::Template;

/// Distinct names a session shares among its records. Beyond, they are shared anew.
const NAMES_PER_SESSION: usize = 65_536;

/// Messages of one session as Flow Records.
#[derive(Debug)]
pub struct Decoder {
    session: Session<Plan>,
    names: Interner,
    unusable: u64,
    unknown_fields: u64,
}

impl Decoder {
    /// Begins with a session that has seen nothing yet, and shares the memory for its names with
    /// others.
    #[must_use]
    pub fn new(session: Session<Plan>, room: Arc<NameRoom>) -> Self {
        let names = Interner::within(NAMES_PER_SESSION, room);
        Self { session, names, unusable: 0, unknown_fields: 0 }
    }

    /// Decodes one whole message that arrived at `now`, and adds its records to `records`: after an
    /// error those before it, which are sound. Records that are not of flows are counted and left
    /// out, so that no record is shorter than [`Plan::SHORTEST_FLOW`].
    pub fn decode(
        &mut self,
        message: &[u8],
        now: Instant,
        records: &mut Vec<FlowRecord>,
    ) -> Result<Summary, MessageError> {
        let Self { session, names, unusable, unknown_fields } = self;
        let compile = |template: &Template| {
            let plan = Plan::compile(template);
            // A template of options tells of the exporter, and is nothing that should be known.
            if plan.is_flow() {
                *unknown_fields += plan.unknown_fields() as u64;
            }
            plan
        };
        session.decode_at(now, message, compile, |plan, _, data| {
            if plan.is_flow() {
                plan.decode_into(records.push_mut(FlowRecord::default()), &data, names);
            } else {
                *unusable += 1;
            }
        })
    }

    /// The names of this session.
    pub fn names(&self) -> &Interner {
        &self.names
    }

    /// How many fields of new templates are of unknown elements, since this was last asked.
    pub fn take_unknown_fields(&mut self) -> u64 {
        std::mem::take(&mut self.unknown_fields)
    }

    /// How many records that are not of flows came since this was last asked.
    pub fn take_unusable(&mut self) -> u64 {
        std::mem::take(&mut self.unusable)
    }
}

impl Default for Decoder {
    /// A session on a stream, with others nowhere.
    fn default() -> Self {
        let session = Session::with_rules(Limits::default(), Rules::stream());
        let names = Interner::new(NAMES_PER_SESSION);
        Self { session, names, unusable: 0, unknown_fields: 0 }
    }
}
