//! What the Exporting Process sends: records of batches, in the templates of a profile.

use std::sync::Arc;

use flow::{Batch, Family, FlowRecord, Layout};
use ipfix::encode::{EncodeError, Encoder, Packing};
use ipfix::template::{Template, TemplateId};
use ipfix::transport::export::Export;

use super::{Directions, Options, Profile};

/// Templates are numbered as Antrea does: IPv4 first.
const V4: TemplateId = TemplateId::MIN;
const V6: TemplateId = match TemplateId::new(257) {
    Ok(id) => id,
    Err(_) => panic!("above 255"),
};

/// One Data Record to be: a record of a batch, in one of its directions.
#[derive(Debug, Clone)]
pub(super) struct Told {
    batch: Batch,
    index: usize,
    is_reverse: bool,
}

#[derive(Debug)]
pub(super) struct Flows {
    v4: Layout,
    v6: Layout,
    cluster_id: Arc<str>,
    is_uniflow: bool,
    /// Records that no message can hold, and why the last one could not.
    pub(super) refused: u64,
    pub(super) reason: Option<EncodeError>,
}

impl Flows {
    pub(super) fn new(options: &Options) -> Self {
        let contents = options.contents;
        let layout = |family| match options.profile {
            Profile::Antrea => Layout::antrea(contents, family),
            Profile::Standard(directions) => {
                Layout::standard(contents, directions == Directions::Biflow, family)
            }
            Profile::Iana => Layout::iana(contents, family),
        };
        let is_uniflow =
            matches!(options.profile, Profile::Standard(Directions::Uniflow) | Profile::Iana);
        Self {
            v4: layout(Family::V4),
            v6: layout(Family::V6),
            cluster_id: options.cluster_id.as_str().into(),
            is_uniflow,
            refused: 0,
            reason: None,
        }
    }

    /// The Data Records of a batch, those of IPv4 first, so that they share messages.
    pub(super) fn told(&self, batch: &Batch) -> Vec<Told> {
        let mut told = Vec::with_capacity(batch.len());
        for family in [Family::V4, Family::V6] {
            for (index, record) in batch.iter().enumerate() {
                if Family::of(record) != family {
                    continue;
                }
                let record_of = |is_reverse| Told { batch: Arc::clone(batch), index, is_reverse };
                told.push(record_of(false));
                if self.is_uniflow && came_back(record) {
                    told.push(record_of(true));
                }
            }
        }
        told
    }

    /// The fewest bytes a record takes, in the longer of the templates.
    pub(super) fn least_record(&self) -> usize {
        let least = |template: Template| template.minimum_record_length();
        self.templates().into_iter().map(least).max().unwrap_or(0)
    }
}

/// How records share messages of this profile.
pub(super) const fn packing(profile: Profile) -> Packing {
    match profile {
        Profile::Antrea => Packing::OneSet,
        Profile::Standard(_) | Profile::Iana => Packing::Full,
    }
}

fn came_back(record: &FlowRecord) -> bool {
    record.reverse.packets_total > 0 || record.reverse.packets_delta > 0
}

impl Export for Flows {
    type Record = Told;

    fn templates(&self) -> Vec<Template> {
        vec![self.v4.template(V4), self.v6.template(V6)]
    }

    fn encode(
        &self,
        told: &Told,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let Some(record) = told.batch.get(told.index) else { return Ok(()) };
        let reversed = told.is_reverse.then(|| record.reversed());
        let record = reversed.as_ref().unwrap_or(record);
        let (id, layout) = match Family::of(record) {
            Family::V4 => (V4, &self.v4),
            Family::V6 => (V6, &self.v6),
        };
        encoder.record(export_time, id, out, |writer| {
            layout.encode(record, &self.cluster_id, writer);
        })
    }

    fn refused(&mut self, told: &Told, error: EncodeError) {
        // What came back is a part of a record that counts once.
        self.refused += u64::from(!told.is_reverse);
        self.reason = Some(error);
    }
}
