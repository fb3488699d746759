//! Records become messages.
//!
//! An [`Encoder`] is the sending half of one Transport Session for one Observation Domain. It owns
//! what RFC 7011, section 3.1, ties together: the messages and the number of Data Records in
//! them. Bytes go into a buffer of the caller's, who alone knows the socket.
//!
//! A record is written where it will be sent from, without measuring it first, and is taken
//! back or moved to the next message when it turns out too long. That is one pass over the
//! record and, once the buffers have grown, no allocation.

mod list;
mod open;
mod refresh;
mod writer;

use crate::{
    message::{HEADER_LENGTH, OPTIONS_TEMPLATE_SET, SET_HEADER_LENGTH, TEMPLATE_SET},
    template::{Template, TemplateId},
};

use open::OpenMessage;

pub use list::MultiListWriter;
pub use refresh::TemplateRefresh;
pub use writer::RecordWriter;

/// The longest message of a stream: as long as a message can be (RFC 7011, section 3.1).
pub const MAX_STREAM_MESSAGE: u16 = u16::MAX;

/// The longest message of a datagram, if nothing is known of the path or of who reads it.
///
/// It passes wherever IPv6 does, and fits the 1,024 bytes that Antrea's collector reads of a
/// datagram. RFC 7011, section 10.3.3, recommends 512 for the packet as a whole where the path is
/// unknown; many Templates are longer than that.
pub const MAX_DATAGRAM_MESSAGE: u16 = 1_024;

/// Returns the longest message of a UDP datagram over IPv4 on a path with this MTU (RFC 7011,
/// section 10.3.3).
pub const fn max_message_over_ipv4(mtu: u16) -> u16 {
    mtu.saturating_sub(20 + 8)
}

/// Returns the longest message of a UDP datagram over IPv6 on a path with this MTU (RFC 7011,
/// section 10.3.3).
pub const fn max_message_over_ipv6(mtu: u16) -> u16 {
    mtu.saturating_sub(40 + 8)
}

/// How many records share a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packing {
    /// One Set with one record per message. Antrea's collector reads no more than that: it
    /// refuses a second Set.
    #[default]
    OneRecord,
    /// As many records as fit.
    Full,
    /// As many records as fit, of one Template: one Set per message, as Antrea's aggregator sends
    /// them.
    OneSet,
}

/// Why something was not encoded. The encoder goes on as if it had never been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A Template Record is never split (RFC 7011, section 3.4).
    #[error("template {id} needs a message of more than {limit} bytes")]
    TemplateTooLong {
        /// That of the Template.
        id: u16,
        /// The longest message allowed, in bytes.
        limit: u16,
    },
    /// A Data Record is never split (RFC 7011, section 3.4.3).
    #[error("record of template {id} needs a message of more than {limit} bytes")]
    RecordTooLong {
        /// That of the record's Template.
        id: u16,
        /// The longest message allowed, in bytes.
        limit: u16,
    },
    /// Records of no bytes cannot be told apart.
    #[error("record of template {id} is empty")]
    EmptyRecord {
        /// That of the record's Template.
        id: u16,
    },
    /// A value that is cut would be another value (RFC 7011, section 6.2).
    #[error("record of template {id} has a value its type or length cannot express")]
    ValueOutOfRange {
        /// That of the record's Template.
        id: u16,
    },
}

/// The sending half of one Transport Session, for one Observation Domain.
#[derive(Debug)]
pub struct Encoder {
    max_message: u16,
    packing: Packing,
    /// Data Records accepted so far, those in the open message included.
    sequence_number: u32,
    open: OpenMessage,
}

impl Encoder {
    /// Starts a session whose messages have at most `max_message` bytes.
    pub fn new(domain: u32, max_message: u16, packing: Packing) -> Self {
        let open = OpenMessage::new(domain, max_message);
        Self { max_message, packing, sequence_number: 0, open }
    }

    /// Starts a session on a stream, in messages that every collector can read: one record each,
    /// without padding (RFC 7011, section 10.4).
    pub fn stream(domain: u32) -> Self {
        Self::new(domain, MAX_STREAM_MESSAGE, Packing::default())
    }

    /// Starts a session of datagrams, in messages that every collector can read and every path
    /// lets through (RFC 7011, section 10.3).
    pub fn datagrams(domain: u32) -> Self {
        Self::new(domain, MAX_DATAGRAM_MESSAGE, Packing::default())
    }

    /// Appends a message with this one Template Record to `out`, after the one still open.
    pub fn template(
        &mut self,
        export_time: u32,
        template: &Template,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let room = usize::from(self.max_message.saturating_sub(HEADER_LENGTH + SET_HEADER_LENGTH));
        let too_long =
            EncodeError::TemplateTooLong { id: template.id.get(), limit: self.max_message };
        let fields = u16::try_from(template.fields.len()).map_err(|_| too_long)?;
        if template.encoded_length() > room {
            return Err(too_long);
        }
        self.open.close(out);
        self.open.template(export_time, self.sequence_number, template, fields);
        self.open.close(out);
        Ok(())
    }

    /// Appends a message that withdraws `template` to `out`, after the one still open (RFC 7011,
    /// section 8.1). Its id may be used anew.
    ///
    /// Not for UDP, where a Template must not be withdrawn (RFC 7011, section 8.4).
    pub fn withdraw(
        &mut self,
        export_time: u32,
        template: &Template,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.withdrawal(export_time, template_set(template), template.id.get(), out)
    }

    /// Appends a message that withdraws all Templates of the Observation Domain to `out`, but not
    /// its Options Templates, as [`Self::withdraw`] does one.
    pub fn withdraw_all_templates(
        &mut self,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.withdrawal(export_time, TEMPLATE_SET, TEMPLATE_SET, out)
    }

    /// Appends a message that withdraws all Options Templates of the Observation Domain to `out`,
    /// as [`Self::withdraw`] does one.
    pub fn withdraw_all_options_templates(
        &mut self,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.withdrawal(export_time, OPTIONS_TEMPLATE_SET, OPTIONS_TEMPLATE_SET, out)
    }

    fn withdrawal(
        &mut self,
        export_time: u32,
        set_id: u16,
        id: u16,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        const LENGTH: u16 = HEADER_LENGTH + SET_HEADER_LENGTH + 4;
        if self.max_message < LENGTH {
            return Err(EncodeError::TemplateTooLong { id, limit: self.max_message });
        }
        self.open.close(out);
        self.open.withdrawal(export_time, self.sequence_number, set_id, id);
        self.open.close(out);
        Ok(())
    }

    /// Adds one Data Record of `template`, whose fields `write` writes in the template's order.
    ///
    /// Messages that are complete are appended to `out`; with [`Packing::OneRecord`] that is this
    /// very record. A record that fits no message is refused and leaves no trace.
    pub fn record(
        &mut self,
        export_time: u32,
        template: TemplateId,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut RecordWriter<'_>),
    ) -> Result<(), EncodeError> {
        if self.packing == Packing::OneSet && !self.open.takes(template) {
            self.open.close(out);
        }
        let start = self.open.begin_record(self.sequence_number, template);
        let room = self.max_message.saturating_sub(HEADER_LENGTH + SET_HEADER_LENGTH);
        let mut writer = RecordWriter::new(self.open.room(usize::from(room)));
        write(&mut writer);
        match writer.finish() {
            Ok(length) => self.open.take(length),
            Err(refused) => {
                self.open.take_back(&start);
                return Err(refused.explain(template, self.max_message));
            }
        }
        if self.open.length() > usize::from(self.max_message) {
            self.open.move_on(&start, self.sequence_number, template, out);
        }
        self.open.set_export_time(export_time);
        self.sequence_number = self.sequence_number.wrapping_add(1);
        if self.packing == Packing::OneRecord {
            self.open.close(out);
        }
        Ok(())
    }

    /// Closes the open message, if there is one, into `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.open.close(out);
    }

    /// Returns how many Data Records this encoder has accepted, modulo 2^32: the sequence number
    /// of the message after the open one (RFC 7011, section 3.1).
    pub const fn sequence_number(&self) -> u32 {
        self.sequence_number
    }
}

/// Returns the id of the Sets that Templates like this one are sent in (RFC 7011, section 3.3.2).
const fn template_set(template: &Template) -> u16 {
    if template.is_options() { OPTIONS_TEMPLATE_SET } else { TEMPLATE_SET }
}

#[cfg(test)]
mod tests;
