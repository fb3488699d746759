//! What a message contained, apart from its records.

use crate::message::MessageHeader;

/// What a message contained, apart from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// What the message begins with (RFC 7011, section 3.1).
    pub header: MessageHeader,
    /// Data Records of this message that were visited.
    pub records: u32,
    /// Templates that are new, or differ from the one they replace.
    pub templates: u32,
    /// Templates that replaced a different one which was not withdrawn (RFC 7011, section 8.1).
    pub redefinitions: u32,
    /// Templates withdrawn.
    pub withdrawals: u32,
    /// Templates forgotten because they have not been sent again for too long.
    pub templates_expired: u32,
    /// Templates that were not remembered: beyond a limit, or with records of no bytes at all.
    /// Their Data Sets count as `sets_without_template`.
    pub templates_refused: u32,
    /// Data Sets that were skipped because their Template is not known.
    pub sets_without_template: u32,
    /// Data Sets that are kept until their Template comes.
    pub sets_waiting: u32,
    /// Data Sets of earlier messages that had been waiting, and whose Template has come.
    pub sets_resumed: u32,
    /// Data Records of those, visited beside `records`.
    pub records_resumed: u32,
    /// Data Sets of earlier messages that waited in vain: for too long, until there was no more
    /// room, or for a Template that does not describe them.
    pub sets_given_up: u32,
    /// Sets that were skipped because their id is reserved (RFC 7011, section 3.3.2).
    pub sets_reserved: u32,
    /// Data Records of this Observation Domain that were sent between the message before and this
    /// one, and have not arrived.
    pub lost_records: u32,
    /// The message is older than one that has already arrived: late or twice.
    pub out_of_order: bool,
    /// The very same message was decoded before, and nothing in it was visited again.
    pub duplicate: bool,
}

impl Summary {
    pub(super) const fn new(header: MessageHeader) -> Self {
        Self {
            header,
            records: 0,
            templates: 0,
            redefinitions: 0,
            withdrawals: 0,
            templates_expired: 0,
            templates_refused: 0,
            sets_without_template: 0,
            sets_waiting: 0,
            sets_resumed: 0,
            records_resumed: 0,
            sets_given_up: 0,
            sets_reserved: 0,
            lost_records: 0,
            out_of_order: false,
            duplicate: false,
        }
    }

    /// Returns true if each Data Record of the message was counted, so that the sequence number of
    /// the next message is known.
    pub(super) const fn is_complete(&self) -> bool {
        self.sets_without_template == 0 && self.sets_waiting == 0
    }
}
