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
mod record;
mod sequence;
mod templates;

use crate::{
    message::{
        MessageError, MessageHeader, OPTIONS_TEMPLATE_SET, SET_HEADER_LENGTH, SetError,
        TEMPLATE_SET,
    },
    reader::Reader,
    template::{Template, TemplateId},
};

use layout::Spans;
use sequence::Sequences;
use templates::Templates;

pub use record::{DataRecord, Fields, Values};

/// How much of a peer's doing a session remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Templates per session, over all its Observation Domains.
    pub templates: usize,
    /// Fields per Template.
    pub fields_per_template: usize,
    /// Observation Domains whose sequence numbers are followed.
    pub domains: usize,
}

impl Default for Limits {
    /// Allows several times what known exporters use, and about 4 MiB per session at worst.
    fn default() -> Self {
        Self { templates: 1024, fields_per_template: 512, domains: 256 }
    }
}

/// What a message contained, apart from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub header: MessageHeader,
    /// Data Records visited.
    pub records: u32,
    /// Templates that are new, or differ from the one they replace.
    pub templates: u32,
    /// Templates withdrawn.
    pub withdrawals: u32,
    /// Templates that were not remembered: beyond a limit, or with records of no bytes at all.
    /// Their Data Sets count as `sets_without_template`.
    pub templates_refused: u32,
    /// Data Sets that were skipped because their Template is not known.
    pub sets_without_template: u32,
    /// Sets that were skipped because their id is reserved (RFC 7011, section 3.3.2).
    pub sets_reserved: u32,
    /// Data Records of this Observation Domain that were sent between the message before and this
    /// one, and have not arrived.
    pub lost_records: u32,
    /// The message is older than one that has already arrived: late or twice.
    pub out_of_order: bool,
}

impl Summary {
    const fn new(header: MessageHeader) -> Self {
        Self {
            header,
            records: 0,
            templates: 0,
            withdrawals: 0,
            templates_refused: 0,
            sets_without_template: 0,
            sets_reserved: 0,
            lost_records: 0,
            out_of_order: false,
        }
    }
}

/// The receiving half of one Transport Session.
///
/// `P` is what the caller compiles a Template into, such as the way its fields map to a record of
/// the caller's. It is made once per Template, kept beside it and handed out with each record.
#[derive(Debug)]
pub struct Session<P> {
    templates: Templates<P>,
    sequences: Sequences,
    /// Where the fields of the record being visited are; kept for its allocation.
    spans: Spans,
}

impl<P> Session<P> {
    /// Starts a session that knows no Templates.
    pub fn new(limits: Limits) -> Self {
        Self {
            templates: Templates::new(limits),
            sequences: Sequences::new(limits.domains),
            spans: Spans::default(),
        }
    }

    /// Decodes one whole message.
    ///
    /// Calls `compile` once for each Template that is new or changed, and `visit` once for each
    /// Data Record. Both happen as the message is read: an error may come after some records have
    /// been visited, and those are sound.
    pub fn decode(
        &mut self,
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
        while !reader.is_empty() {
            let offset = reader.offset();
            let id = reader.u16().map_err(MessageError::SetHeader)?;
            let length = reader.u16().map_err(MessageError::SetHeader)?;
            let malformed = |source| MessageError::Set { id, offset, source };
            let set = set_body(&mut reader, length).map_err(malformed)?;
            let result = match (id, TemplateId::new(id)) {
                (TEMPLATE_SET | OPTIONS_TEMPLATE_SET, _) => {
                    self.templates.learn(set, id, &mut summary, &mut compile)
                }
                (_, Ok(id)) => self.data_set(message, set, id, &mut summary, &mut visit),
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

    /// Visits the records of a Data Set.
    fn data_set(
        &mut self,
        message: &[u8],
        mut set: Reader<'_>,
        id: TemplateId,
        summary: &mut Summary,
        visit: &mut impl FnMut(&P, &Template, DataRecord<'_>),
    ) -> Result<(), SetError> {
        let MessageHeader { domain, export_time, .. } = summary.header;
        let Some(known) = self.templates.get(domain, id) else {
            summary.sets_without_template += 1;
            return Ok(());
        };
        // What is shorter than any record is padding (RFC 7011, section 3.3.1). No Template with
        // records of no bytes is ever known, so the loop always comes closer to its end.
        while set.remaining() >= known.minimum_record_length {
            let offset = set.offset();
            self.spans
                .delimit(&known.template, &mut set)
                .map_err(|source| SetError::Record { offset, source })?;
            let record = DataRecord {
                domain,
                export_time,
                message,
                template: &known.template,
                spans: self.spans.as_slice(),
            };
            visit(&known.plan, &known.template, record);
            summary.records += 1;
        }
        Ok(())
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
