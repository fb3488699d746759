//! Flow Records as the messages of one Transport Session, without the session.

use flow::{Family, FlowRecord, Profile, encode, template};
use ipfix::encode::{EncodeError, Encoder, Packing};
use ipfix::template::TemplateId;

/// Templates are numbered as Antrea does: IPv4 first.
const V4: u16 = 256;
const V6: u16 = 257;

/// Messages of one Transport Session, and which records each of them carries.
#[derive(Debug)]
pub struct Messages {
    encoder: Encoder,
    profile: Profile,
    ids: [TemplateId; 2],
    bytes: Vec<u8>,
    /// Where each message ends, and how many records have been encoded by then.
    ends: Vec<(usize, usize)>,
}

impl Messages {
    /// Begins with the templates. `domain` is the Node's Observation Domain, `now` in seconds.
    pub fn new(domain: u32, profile: Profile, now: u32) -> Result<Self, MessagesError> {
        let packing = match profile {
            // Antrea's collector takes one record per message and nothing else.
            Profile::Antrea => Packing::OneRecord,
            Profile::Fyke => Packing::Full,
        };
        let ids = [TemplateId::new(V4)?, TemplateId::new(V6)?];
        let mut encoder = Encoder::new(domain, u16::MAX, packing);
        let mut bytes = Vec::new();
        for (id, family) in ids.into_iter().zip([Family::V4, Family::V6]) {
            encoder.template(now, &template(id, profile, family), &mut bytes)?;
        }
        let ends = vec![(bytes.len(), 0)];
        Ok(Self { encoder, profile, ids, bytes, ends })
    }

    /// Puts `records` in the place of the previous messages. Returns how many fit no message;
    /// they are taken out of `records`.
    pub fn encode(&mut self, records: &mut Vec<FlowRecord>, now: u32) -> u64 {
        self.bytes.clear();
        self.ends.clear();
        let mut encoded = 0;
        let mut refused = 0;
        records.retain(|record| {
            let before = self.bytes.len();
            let fits = self.record(record, now).is_ok();
            if self.bytes.len() > before {
                // Either the open message had no room for this record and was closed without
                // it, or the packing closes each message behind its record.
                let with_it = fits && self.profile == Profile::Antrea;
                self.ends.push((self.bytes.len(), encoded + usize::from(with_it)));
            }
            encoded += usize::from(fits);
            refused += u64::from(!fits);
            fits
        });
        self.encoder.finish(&mut self.bytes);
        self.ends.push((self.bytes.len(), encoded));
        refused
    }

    fn record(&mut self, record: &FlowRecord, now: u32) -> Result<(), EncodeError> {
        let (family, profile) = (Family::of(record), self.profile);
        let [v4, v6] = self.ids;
        let id = if family == Family::V4 { v4 } else { v6 };
        self.encoder
            .record(now, id, &mut self.bytes, |writer| encode(record, profile, family, writer))
    }

    /// Whole messages, back to back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many records, and of how many bytes, are in the messages that end within the first
    /// `written` bytes.
    pub fn within(&self, written: usize) -> (usize, usize) {
        let whole = self.ends.iter().rev().find(|(end, _)| *end <= written);
        whole.map_or((0, 0), |&(end, records)| (records, end))
    }
}

/// Why a session cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    #[error("template cannot be numbered")]
    Id(#[from] ipfix::template::InvalidTemplateId),
    #[error("template does not fit a message")]
    Template(#[from] EncodeError),
}
