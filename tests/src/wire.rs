//! What an exporter puts on the wire, without a connection.

use std::sync::Arc;

use anyhow::Result;
use exporter::export::{Flows, Form};
use flow::{FlowRecord, Profile};
use ipfix::encode::Encoder;
use ipfix::transport::export::Export;

/// The messages of one Transport Session.
#[derive(Debug)]
pub struct Wire {
    flows: Flows,
    encoder: Encoder,
}

impl Wire {
    /// A session of the Observation Domain `domain`.
    pub fn new(domain: u32, profile: Profile) -> Self {
        let form = Form::plain(profile);
        let encoder = Encoder::new(domain, u16::MAX, form.packing());
        let flows = Flows::new(form, None);
        Self { flows, encoder }
    }

    /// What a session begins with.
    pub fn templates(&mut self, now: u32) -> Result<Vec<u8>> {
        let mut messages = Vec::new();
        for template in self.flows.templates() {
            self.encoder.template(now, &template, &mut messages)?;
        }
        Ok(messages)
    }

    /// Messages with `records`.
    pub fn records<R>(&mut self, records: &[R], now: u32) -> Result<Vec<u8>>
    where
        R: Clone + Into<Arc<FlowRecord>>,
    {
        let mut messages = Vec::new();
        for record in records {
            self.flows.encode(&record.clone().into(), &mut self.encoder, now, &mut messages)?;
        }
        self.encoder.finish(&mut messages);
        Ok(messages)
    }
}
