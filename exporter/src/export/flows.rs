//! What the Exporting Process sends: Flow Records, in the Templates of their profile or as Antrea's
//! gRPC messages.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use flow::{Family, FlowEndReason, FlowRecord, PolicyRule, Profile, encode, template};
use grpc::export::Refusal;
use ipfix::encode::{EncodeError, Encoder};
use ipfix::template::{Template, TemplateId};
use ipfix::transport::export::Export;

use super::{Form, Spent};
use crate::destination::Compatibility;
use crate::metrics::DestinationMetrics;

/// Templates are numbered as Antrea does: IPv4 first.
const V4: TemplateId = TemplateId::MIN;
const V6: TemplateId = match TemplateId::new(257) {
    Ok(id) => id,
    Err(_) => panic!("above 255"),
};

/// Flow Records as IPFIX, and what becomes of the messages.
#[derive(Debug, Clone)]
pub struct Flows {
    form: Form,
    /// Gets a copy of every message that was written whole, as an IPFIX File (RFC 5655).
    copy: Option<Arc<File>>,
    /// Gets every record that has been told.
    spent: Option<Arc<Spent>>,
    /// Learns what was refused after it had been sent.
    metrics: Option<Arc<DestinationMetrics>>,
}

impl Flows {
    pub fn new(form: Form, copy: Option<Arc<File>>) -> Self {
        Self { form, copy, spent: None, metrics: None }
    }

    /// Counts in `metrics` what is refused after it was sent.
    #[must_use]
    pub(super) fn counting(mut self, metrics: Arc<DestinationMetrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    pub(super) fn return_to(&mut self, spent: Arc<Spent>) {
        self.spent = Some(spent);
    }

    fn give_back(&self, records: impl Iterator<Item = Arc<FlowRecord>>) {
        if let Some(spent) = &self.spent {
            spent.give(records);
        }
    }

    /// What is sent is like this from the next session on.
    pub(super) fn reform(&mut self, form: Form) {
        self.form = form;
    }

    /// The records that this destination gets for one: Antrea's exporter tells a connection that
    /// has fallen silent again, with nothing new.
    #[inline]
    pub(super) fn told(
        &self,
        record: Arc<FlowRecord>,
    ) -> (Arc<FlowRecord>, Option<Arc<FlowRecord>>) {
        black_box(touch(&record));
        let is_silent = record.end_reason == FlowEndReason::IdleTimeout && has_news(&record);
        if self.form.compatibility != Compatibility::Antrea || !is_silent {
            return (record, None);
        }
        let mut last = FlowRecord::clone(&record);
        for counters in [&mut last.forward, &mut last.reverse] {
            (counters.packets_delta, counters.octets_delta) = (0, 0);
        }
        let mut first = Arc::unwrap_or_clone(record);
        first.end_reason = FlowEndReason::ActiveTimeout;
        (Arc::new(first), Some(Arc::new(last)))
    }

    /// A record that others share, as this destination is told it, where that differs.
    fn censored(&self, record: &FlowRecord) -> Option<FlowRecord> {
        // Antrea's template has no room for what tells pings apart; its ports are 0.
        let is_ping = matches!(record.key.protocol, flow::protocol::ICMP | flow::protocol::ICMPV6);
        let portless = self.form.profile == Profile::Antrea && is_ping;
        // Each record of a denied connection says that it has ended.
        let ended = self.form.compatibility == Compatibility::Antrea && is_denied(record);
        (portless || ended || !self.form.redaction.is_empty()).then(|| {
            let mut censored = record.clone();
            if portless {
                censored.key.source_port = 0;
            }
            if ended {
                censored.end_reason = FlowEndReason::EndOfFlow;
            }
            self.form.redaction.apply(&mut censored);
            censored
        })
    }
}

/// Reads a little of each part of a record that is encoded later, for the sake of having it read: it
/// is in another core's cache, and many records are fetched in the time of one.
#[inline]
fn touch(record: &FlowRecord) -> usize {
    let names = [
        &record.source.pod,
        &record.destination.pod,
        &record.service.name,
        &record.ingress.name,
        &record.ingress.rule,
        &record.egress.name,
        &record.egress.rule,
        &record.tcp_state,
        &record.exit.node,
    ];
    let counters = record.forward.octets_delta ^ record.reverse.octets_delta ^ record.start_ms;
    // The low bits are as good as all.
    let counters = usize::from(counters.to_le_bytes()[0]);
    names.iter().map(|name| name.len()).sum::<usize>() ^ counters
}

fn has_news(record: &FlowRecord) -> bool {
    [&record.forward, &record.reverse]
        .iter()
        .any(|it| (it.packets_delta, it.octets_delta) != (0, 0))
}

fn is_denied(record: &FlowRecord) -> bool {
    let denies = |action| matches!(action, PolicyRule::DROP | PolicyRule::REJECT);
    denies(record.ingress.action) || denies(record.egress.action)
}

impl Export for Flows {
    type Record = Arc<FlowRecord>;

    fn templates(&self) -> Vec<Template> {
        [(V4, Family::V4), (V6, Family::V6)]
            .map(|(id, family)| template(id, self.form.profile, family))
            .into()
    }

    fn encode(
        &self,
        record: &Arc<FlowRecord>,
        encoder: &mut Encoder,
        export_time: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let censored = self.censored(record);
        let record = censored.as_ref().unwrap_or(record);
        let family = Family::of(record);
        let id = if family == Family::V4 { V4 } else { V6 };
        let profile = self.form.profile;
        encoder.record(export_time, id, out, |writer| encode(record, profile, family, writer))
    }

    /// A copy that cannot be written is given up; it must not stop the records themselves.
    fn sent(&mut self, messages: &[u8]) {
        let Some(copy) = &self.copy else { return };
        if let Err(error) = copy.as_ref().write_all(messages) {
            tracing::error!(%error, "copy cannot be written and ends here");
            self.copy = None;
        }
    }

    fn done(&mut self, records: impl Iterator<Item = Arc<FlowRecord>>) {
        self.give_back(records);
    }
}

impl grpc::export::Export for Flows {
    type Record = Arc<FlowRecord>;

    fn encode(
        &self,
        record: &Arc<FlowRecord>,
        export_time_ns: u64,
        domain: u32,
        out: &mut Vec<u8>,
    ) {
        let censored = self.censored(record);
        let record = censored.as_ref().unwrap_or(record);
        let with_ids = self.form.profile == Profile::Fyke;
        grpc::encode(record, &grpc::Head { export_time_ns, domain, with_ids }, out);
    }

    fn done(&mut self, records: impl Iterator<Item = Arc<FlowRecord>>) {
        self.give_back(records);
    }

    fn refused_late(&mut self, why: Refusal, records: u64) {
        let reason = why.name();
        tracing::error!(reason, records, "collector has refused what was sent already");
        if let Some(metrics) = &self.metrics {
            metrics.records_refused_late[why as usize].inc_by(records);
        }
    }
}

#[cfg(test)]
mod tests;
