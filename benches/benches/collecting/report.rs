//! Figures beside their floors, and what they are to be.

use std::time::Duration;

use benches::workload::{Messages, RECORDS};

use crate::{
    floor,
    receiver::{Carrier, on_its_own, receive},
    sender::{Sender, Tls},
};

/// One packing over one transport, and what its rounds took in nanoseconds per record.
pub(crate) struct Row<'a> {
    pub(crate) name: &'static str,
    messages: &'a Messages,
    carrier: Carrier,
    /// The most that receiving and decoding may take, as a multiple of what reading alone and
    /// decoding alone take together.
    most: f64,
    tls: Tls,
    received: Vec<f64>,
    floor: Vec<f64>,
    decoded: Vec<f64>,
    /// Records per second of the clock on the wall.
    rate: Vec<f64>,
    lost: u64,
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        name: &'static str,
        messages: &'a Messages,
        carrier: Carrier,
        most: f64,
    ) -> Self {
        let [received, floor, decoded, rate] = [(); 4].map(|()| Vec::new());
        let tls = Tls::new();
        Self { name, messages, carrier, most, tls, received, floor, decoded, rate, lost: 0 }
    }

    /// Runs each contender once.
    pub(crate) fn round(&mut self, passes: u32) {
        let sent = |passes: u32| RECORDS as u64 * u64::from(passes);
        let each = |cpu: Duration, records: u64| cpu.as_secs_f64() * 1e9 / records as f64;
        let sender = |passes| Sender::new(self.messages, passes, self.carrier, &self.tls);
        // No more datagrams than the socket's buffer holds.
        let few = if self.is_datagrams() { 1 } else { passes };
        let least = on_its_own(|| floor::receive(sender(few), &self.tls));
        self.floor.push(each(least, sent(few)));
        let decoded = on_its_own(|| floor::decode(self.messages, passes));
        self.decoded.push(each(decoded, sent(passes)));
        let run = on_its_own(|| receive(sender(passes), &self.tls));
        self.received.push(each(run.cpu, run.records));
        self.rate.push(run.records as f64 / run.wall.as_secs_f64());
        self.lost += sent(passes) - run.records;
    }

    fn ratio(&self) -> f64 {
        median(&self.received) / (median(&self.floor) + median(&self.decoded))
    }

    fn is_datagrams(&self) -> bool {
        matches!(self.carrier, Carrier::Udp { .. })
    }
}

pub(crate) fn table(rows: &[Row<'_>]) {
    println!(
        "{:<32} {:>9} {:>9} {:>9} {:>6} {:>11} {:>7}",
        "CPU per record, median", "received", "read only", "decoded", "ratio", "records/s", "lost"
    );
    for row in rows {
        let [received, floor, decoded] = [&row.received, &row.floor, &row.decoded].map(median);
        println!(
            "{:<32} {received:>6.0} ns {floor:>6.0} ns {decoded:>6.0} ns {:>6.2} {:>11.0} {:>7}",
            row.name,
            row.ratio(),
            median(&row.rate),
            row.lost,
        );
    }
}

/// Prints goals in nanoseconds, which belong to the machine they were set on and to no other.
pub(crate) fn orientation(rows: &[Row<'_>]) {
    let [tcp, single, tls, tls_single, udp] = rows else { return };
    let of = |row: &Row<'_>| median(&row.received);
    goal("TCP, 64 KiB messages, ns per record", of(tcp), 350.0);
    goal("TCP, one record per message, ns per record", of(single), 420.0);
    goal("UDP, 1,420 bytes, ns per record", of(udp), 450.0);
    goal("TLS 1.3 beside TCP, 64 KiB messages, ns per record", of(tls) - of(tcp), 60.0);
    goal("TLS 1.3 beside TCP, one record, ns per record", of(tls_single) - of(single), 60.0);
    goal("records lost over UDP", udp.lost as f64, 0.0);
}

/// Prints the goals that hold on every machine. Returns whether each was met.
pub(crate) fn ratios(rows: &[Row<'_>]) -> bool {
    let missed = |row: &&Row<'_>| !goal(&format!("ratio, {}", row.name), row.ratio(), row.most);
    rows.iter().filter(missed).count() == 0
}

fn goal(what: &str, value: f64, most: f64) -> bool {
    let met = value <= most;
    let verdict = if met { "ok" } else { "MISSED" };
    println!("{what:<52} {value:>9.2}  (goal {most:>6.2}: {verdict})");
    met
}

fn median(values: impl AsRef<[f64]>) -> f64 {
    let mut values = values.as_ref().to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
