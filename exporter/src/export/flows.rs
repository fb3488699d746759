//! What the Exporting Process sends: Flow Records, in the Templates of their profile or as Antrea's
//! gRPC messages.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use flow::{Family, FlowRecord, Profile, encode, template};
use ipfix::encode::{EncodeError, Encoder, Packing};
use ipfix::template::{Template, TemplateId};
use ipfix::transport::export::Export;

/// Templates are numbered as Antrea does: IPv4 first.
const V4: TemplateId = TemplateId::MIN;
const V6: TemplateId = match TemplateId::new(257) {
    Ok(id) => id,
    Err(_) => panic!("above 255"),
};

/// Flow Records as IPFIX, and what becomes of the messages.
#[derive(Debug, Clone)]
pub struct Flows {
    profile: Profile,
    /// Gets a copy of every message that was written whole, as an IPFIX File (RFC 5655).
    copy: Option<Arc<File>>,
}

impl Flows {
    pub fn new(profile: Profile, copy: Option<File>) -> Self {
        Self { profile, copy: copy.map(Arc::new) }
    }

    /// How many records share a message.
    pub const fn packing(&self) -> Packing {
        match self.profile {
            // Antrea's collector takes one record per message and nothing else.
            Profile::Antrea => Packing::OneRecord,
            Profile::Fyke => Packing::Full,
        }
    }
}

impl Export for Flows {
    type Record = FlowRecord;

    fn templates(&self) -> Vec<Template> {
        [(V4, Family::V4), (V6, Family::V6)]
            .map(|(id, family)| template(id, self.profile, family))
            .into()
    }

    fn encode(
        &self,
        record: &FlowRecord,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let family = Family::of(record);
        let id = if family == Family::V4 { V4 } else { V6 };
        encoder.record(export_time, id, out, |writer| encode(record, self.profile, family, writer))
    }

    /// A copy that cannot be written is given up; it must not stop the records themselves.
    fn sent(&mut self, messages: &[u8]) {
        let Some(copy) = &self.copy else { return };
        if let Err(error) = copy.as_ref().write_all(messages) {
            tracing::error!(%error, "copy cannot be written and ends here");
            self.copy = None;
        }
    }
}

impl grpc::export::Export for Flows {
    type Record = FlowRecord;

    fn encode(&self, record: &FlowRecord, export_time_ns: u64, domain: u32, out: &mut Vec<u8>) {
        let with_ids = self.profile == Profile::Fyke;
        grpc::encode(record, &grpc::Head { export_time_ns, domain, with_ids }, out);
    }
}
