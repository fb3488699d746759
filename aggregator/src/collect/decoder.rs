//! Messages of one session as Flow Records.

use std::sync::Arc;
use std::time::Instant;

use flow::{FlowRecord, Interner, NameRoom, Plan};
use ipfix::decode::{Limits, Rules, Session, Summary};
use ipfix::message::MessageError;
use ipfix::template::Template;

/// Distinct names a session shares among its records. Beyond, they are shared anew.
const NAMES_PER_SESSION: usize = 65_536;

/// A message that is malformed from somewhere on, and what it told before.
#[derive(Debug, thiserror::Error)]
#[error("message is malformed behind {} sound records", records.len())]
pub struct Malformed {
    pub domain: u32,
    pub records: Vec<FlowRecord>,
    #[source]
    pub source: MessageError,
}

/// Messages of one session as Flow Records.
#[derive(Debug)]
pub struct Decoder {
    session: Session<Plan>,
    names: Interner,
    unusable: u64,
    unknown_fields: u64,
    /// Records of the message before.
    expected: usize,
}

impl Decoder {
    /// Begins with a session that has seen nothing yet, and shares the memory for its names with
    /// others.
    #[must_use]
    pub fn new(session: Session<Plan>, room: Arc<NameRoom>) -> Self {
        let names = Interner::within(NAMES_PER_SESSION, room);
        Self { session, names, unusable: 0, unknown_fields: 0, expected: 0 }
    }

    /// Decodes one whole message that arrived at `now`. Records that are not of flows are counted
    /// and left out, so that no record is shorter than [`Plan::SHORTEST_FLOW`].
    pub fn decode(
        &mut self,
        message: &[u8],
        now: Instant,
    ) -> Result<(Summary, Vec<FlowRecord>), Malformed> {
        let Self { session, names, unusable, unknown_fields, expected } = self;
        // No more than the message can tell.
        let most = message.len() / Plan::SHORTEST_FLOW;
        let mut records = Vec::with_capacity((*expected).min(most));
        let mut domain = 0;
        let compile = |template: &Template| {
            let plan = Plan::compile(template);
            // A template of options tells of the exporter, and is nothing that should be known.
            if plan.is_flow() {
                *unknown_fields += plan.unknown_fields() as u64;
            }
            plan
        };
        let decoded = session.decode_at(now, message, compile, |plan, _, data| {
            domain = data.domain;
            if plan.is_flow() {
                records.push(plan.decode(&data, names));
            } else {
                *unusable += 1;
            }
        });
        *expected = records.len();
        match decoded {
            Ok(summary) => Ok((summary, records)),
            Err(source) => Err(Malformed { domain, records, source }),
        }
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
        Self { session, names, unusable: 0, unknown_fields: 0, expected: 0 }
    }
}
