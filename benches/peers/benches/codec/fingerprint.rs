//! Whether two have read the same values.

use std::{
    hash::{DefaultHasher, Hasher},
    net::Ipv4Addr,
};

use benches::workload::Record;

/// A hash of values in their order, which does not depend on how a library types them.
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    values: u64,
    hasher: DefaultHasher,
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values && self.hasher.finish() == other.hasher.finish()
    }
}

impl Fingerprint {
    pub(super) fn number(&mut self, number: u64) {
        self.values += 1;
        self.hasher.write_u64(number);
    }

    pub(super) fn address(&mut self, address: Ipv4Addr) {
        self.number(u64::from(address.to_bits()));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.hasher.write(text.as_bytes());
    }

    /// What the generator has put in.
    pub(super) fn of_all(records: &[Record]) -> Self {
        let mut all = Self::default();
        for record in records {
            all.record(record);
        }
        all
    }

    pub(super) fn record(&mut self, record: &Record) {
        self.number(record.start.into());
        self.number(record.end.into());
        self.number(record.end_reason.into());
        self.number(record.source_port.into());
        self.number(record.destination_port.into());
        self.number(record.protocol.into());
        let counters = |c: benches::workload::Counters| {
            [c.packets_total, c.octets_total, c.packets_delta, c.octets_delta]
        };
        for count in counters(record.forward) {
            self.number(count);
        }
        self.address(record.source_address);
        self.address(record.destination_address);
        for count in counters(record.reverse) {
            self.number(count);
        }
        let texts = record.texts();
        texts[..6].iter().for_each(|text| self.text(text));
        self.number(record.service_port.into());
        self.text(texts[6]);
        for (policy, texts) in [(&record.ingress, &texts[7..10]), (&record.egress, &texts[10..13])]
        {
            self.text(texts[0]);
            self.text(texts[1]);
            self.number(policy.kind.into());
            self.text(texts[2]);
            self.number(policy.action.into());
        }
        self.text(texts[13]);
        self.number(record.flow_type.into());
        texts[14..].iter().for_each(|text| self.text(text));
        self.number(record.snat_port.into());
        self.address(record.service_address);
        self.address(record.snat_address);
        self.address(record.service_address);
    }
}
