//! The workload's records as the decoder makes them, told again and again.

use std::{net::IpAddr, time::Duration};

use benches::{
    cpu_time,
    workload::{self, Messages, Packed, RECORDS},
};
use flow::{FlowRecord, Interner, Plan};
use ipfix::decode::{Limits, Rules, Session};

pub(crate) use benches::workload::DOMAIN;

pub(crate) const NOW_MS: u64 = workload::EXPORT_TIME as u64 * 1000;
/// Records that are there at a time, as from one message of 64 KiB.
const MESSAGE: usize = 233;

pub(crate) struct Replay {
    pub(crate) records: Vec<FlowRecord>,
}

impl Replay {
    pub(crate) fn new() -> Self {
        let messages = Messages::of(&workload::records(RECORDS), Packed::Stream);
        let mut decoder = Decoder::new();
        let mut records = Vec::with_capacity(RECORDS);
        for message in messages.iter() {
            decoder.decode(message, |record| records.push(record));
        }
        Self { records }
    }

    /// Tells every record once more, of so many copies of the flows, 5 s after the last time.
    /// Returns what `take` spent per record. The records are in the cache, as they are when they
    /// have just been decoded.
    pub(crate) fn timed(&mut self, copies: u8, mut take: impl FnMut(&[FlowRecord])) -> Duration {
        let mut spent = Duration::ZERO;
        for copy in 0..copies {
            for message in self.records.chunks_mut(MESSAGE) {
                for record in &mut *message {
                    readdress(record, 10 + copy);
                    if copy == 0 {
                        grow(record);
                    }
                }
                let begun = cpu_time();
                take(message);
                spent += cpu_time().saturating_sub(begun);
            }
        }
        let records = u32::try_from(self.records.len()).expect("not as many");
        spent / records / u32::from(copies)
    }
}

/// Gives the record's flow another address.
fn readdress(record: &mut FlowRecord, first: u8) {
    let other = |address: &mut IpAddr| {
        if let IpAddr::V4(v4) = address {
            let [_, rest @ ..] = v4.octets();
            *address = [first, rest[0], rest[1], rest[2]].into();
        }
    };
    other(&mut record.key.source);
    record.proxy_snat_ip.as_mut().map(other);
}

fn grow(record: &mut FlowRecord) {
    record.end_ms += 5_000;
    for counters in [&mut record.forward, &mut record.reverse] {
        counters.packets_total += counters.packets_delta;
        counters.octets_total += counters.octets_delta;
    }
}

/// Reads messages of one session.
pub(crate) struct Decoder {
    session: Session<Plan>,
    names: Interner,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let session = Session::with_rules(Limits::default(), Rules::stream());
        Self { session, names: Interner::new(65_536) }
    }

    pub(crate) fn decode(&mut self, message: &[u8], mut take: impl FnMut(FlowRecord)) {
        let Self { session, names } = self;
        let visit = |plan: &Plan, _: &_, data: ipfix::decode::DataRecord<'_>| {
            take(plan.decode(&data, names));
        };
        session.decode(message, Plan::compile, visit).expect("it is sound");
    }
}
