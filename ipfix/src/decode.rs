//! Messages become records.
//!
//! A [`Session`] is the receiving half of one Transport Session. Templates live and die with it
//! (RFC 7011, section 8), so an exporter that reconnects can never be decoded with a stale one.
//!
//! A peer decides what arrives, never how much is remembered of it: [`Limits`] bounds the state of
//! a session, and what goes beyond is counted in the [`Summary`] and left out, so that one odd
//! Template does not cost a session its other flows. Broken framing is different: after a length
//! that lied nothing can be trusted, and [`MessageError`] says so.

mod layout;
pub mod list;
mod record;
mod rules;
mod sequence;
mod summary;
mod templates;
mod typed;
mod waiting;

use std::time::Instant;

use crate::{
    message::{
        MessageError, MessageHeader, OPTIONS_TEMPLATE_SET, SET_HEADER_LENGTH, SetError,
        TEMPLATE_SET,
    },
    reader::Reader,
    template::{Template, TemplateId},
};

use layout::Anchors;
use sequence::Sequences;
use templates::{Known, Templates};
use waiting::WaitingSets;

pub use record::{DataRecord, Fields, Values};
pub use rules::{Duplicates, Limits, Redefinition, Rules, Waiting};
pub use summary::Summary;
pub use typed::Types;

/// The receiving half of one Transport Session.
///
/// `P` is what the caller compiles a Template into, such as the way its fields map to a record of
/// the caller's. It is made once per Template, kept beside it and handed out with each record.
#[derive(Debug)]
pub struct Session<P> {
    templates: Templates<P>,
    sequences: Sequences,
    duplicates: Duplicates,
    waiting: WaitingSets,
    /// What moves the fields of the record being visited; kept for its allocation.
    anchors: Anchors,
}

impl<P> Session<P> {
    /// Starts a session that knows no Templates and forgives its peer what can be forgiven.
    pub fn new(limits: Limits) -> Self {
        Self::with_rules(limits, Rules::default())
    }

    /// Starts a session that knows no Templates.
    pub fn with_rules(limits: Limits, rules: Rules) -> Self {
        Self {
            templates: Templates::new(limits, rules),
            sequences: Sequences::new(limits.domains),
            duplicates: rules.duplicates,
            waiting: WaitingSets::new(rules.waiting),
            anchors: Anchors::default(),
        }
    }

    /// Decodes one whole message, in a session in which nothing expires and nothing waits.
    ///
    /// Calls `compile` once for each Template that is new or changed, and `visit` once for each
    /// Data Record. Both happen as the message is read: an error may come after some records have
    /// been visited, and those are sound.
    pub fn decode(
        &mut self,
        message: &[u8],
        compile: impl FnMut(&Template) -> P,
        visit: impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> Result<Summary, MessageError> {
        self.decode_message(None, message, compile, visit)
    }

    /// Decodes one whole message that arrived at `now`, as [`Self::decode`] does.
    ///
    /// Forgets Templates that have outlived their lifetime (RFC 7011, section 8.4), and keeps what
    /// has no Template yet, as far as the [`Rules`] of the session say so.
    pub fn decode_at(
        &mut self,
        now: Instant,
        message: &[u8],
        compile: impl FnMut(&Template) -> P,
        visit: impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> Result<Summary, MessageError> {
        self.decode_message(Some(now), message, compile, visit)
    }

    fn decode_message(
        &mut self,
        now: Option<Instant>,
        message: &[u8],
        mut compile: impl FnMut(&Template) -> P,
        mut visit: impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> Result<Summary, MessageError> {
        let mut reader = Reader::new(message);
        let header = MessageHeader::decode(&mut reader)?;
        if usize::from(header.length) != message.len() {
            let (stated, actual) = (header.length, message.len());
            return Err(MessageError::Length { stated, actual });
        }
        let mut summary = Summary::new(header);
        let skip = self.duplicates == Duplicates::Skip;
        if skip && self.sequences.came_twice(header.domain, message) {
            summary.duplicate = true;
            return Ok(summary);
        }
        self.templates.expire(now, &mut summary);
        self.waiting.expire(now, &mut summary);
        while !reader.is_empty() {
            let offset = reader.offset();
            let id = reader.u16().map_err(MessageError::SetHeader)?;
            let length = reader.u16().map_err(MessageError::SetHeader)?;
            let malformed = |source| MessageError::Set { id, offset, source };
            let set = set_body(&mut reader, length).map_err(malformed)?;
            let result = match (id, TemplateId::new(id)) {
                (TEMPLATE_SET | OPTIONS_TEMPLATE_SET, _) => {
                    let learned = self.templates.learn(set, id, now, &mut summary, &mut compile);
                    self.resume(&mut summary, &mut visit);
                    learned
                }
                (_, Ok(id)) => self.data_set(message, set, id, now, &mut summary, &mut visit),
                (_, Err(_)) => {
                    summary.sets_reserved += 1;
                    Ok(())
                }
            };
            result.map_err(malformed)?;
        }
        self.sequences.follow(&mut summary);
        Ok(summary)
    }

    /// Visits the records of a Data Set, or keeps it until its Template comes.
    fn data_set(
        &mut self,
        message: &[u8],
        set: Reader<'_>,
        id: TemplateId,
        now: Option<Instant>,
        summary: &mut Summary,
        visit: &mut impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> Result<(), SetError> {
        let header = summary.header;
        let Some(known) = self.templates.get(header.domain, id) else {
            let body = { set }.bytes(set.remaining()).unwrap_or_default();
            if self.waiting.keep(header, id, body, now, summary) {
                summary.sets_waiting += 1;
            } else {
                summary.sets_without_template += 1;
            }
            return Ok(());
        };
        let source = Source { header, message, templates: &self.templates };
        let (records, result) = source.visit(known, set, &mut self.anchors, visit);
        summary.records += records;
        result
    }

    /// Visits the records of the Data Sets that have waited for a Template now known.
    fn resume(
        &mut self,
        summary: &mut Summary,
        visit: &mut impl FnMut(&P, &Template, DataRecord<'_>),
    ) {
        let templates = &self.templates;
        for set in self.waiting.resume(|domain, id| templates.get(domain, id).is_some()) {
            let Some(known) = templates.get(set.header.domain, set.id) else { continue };
            let source = Source { header: set.header, message: &set.body, templates };
            let body = Reader::new(&set.body);
            let (records, result) = source.visit(known, body, &mut self.anchors, visit);
            summary.records_resumed += records;
            // A Set its Template does not describe is no fault of the message that brought the
            // Template: the Set may be older than the Template that was meant.
            match result {
                Ok(()) => summary.sets_resumed += 1,
                Err(_) => summary.sets_given_up += 1,
            }
        }
    }
}

/// What the records of a Set have in common.
struct Source<'a, P> {
    header: MessageHeader,
    /// What the Set is a part of.
    message: &'a [u8],
    templates: &'a Templates<P>,
}

impl<P> Source<'_, P> {
    /// Visits the records in `set`, which are of the Template `known`. Returns how many there were,
    /// whatever comes after them.
    fn visit(
        &self,
        known: &Known<P>,
        mut set: Reader<'_>,
        anchors: &mut Anchors,
        visit: &mut impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> (u32, Result<(), SetError>) {
        let MessageHeader { domain, export_time, .. } = self.header;
        let mut records = 0;
        anchors.prepare(&known.layout);
        // What is shorter than any record is padding (RFC 7011, section 3.3.1). No Template with
        // records of no bytes is ever known, so the loop always comes closer to its end.
        while set.remaining() >= known.layout.minimum() {
            let offset = set.offset();
            if let Err(source) =
                anchors.delimit(self.message, &known.layout, &known.template, &mut set)
            {
                return (records, Err(SetError::Record { offset, source }));
            }
            let record = DataRecord {
                domain,
                export_time,
                message: self.message,
                template: &known.template,
                templates: self.templates,
                layout: &known.layout,
                anchors: anchors.as_slice(),
            };
            visit(&known.plan, &known.template, record);
            records += 1;
        }
        (records, Ok(()))
    }
}

/// Splits off what a Set of `length` bytes has behind its header.
fn set_body<'a>(message: &mut Reader<'a>, length: u16) -> Result<Reader<'a>, SetError> {
    let Some(body) = length.checked_sub(SET_HEADER_LENGTH) else {
        return Err(SetError::Short(length));
    };
    message.sub(usize::from(body)).map_err(SetError::Long)
}

#[cfg(test)]
mod tests;
