//! Figures beside their floors, and what they are to be.

use std::time::Duration;

use benches::workload::{Messages, RECORDS};

use crate::{
    floor,
    receiver::{Carrier, on_its_own, receive},
    sender::{Sender, Tls},
};

/// One packing over one transport, and what its rounds took.
pub(crate) struct Row<'a> {
    pub(crate) name: &'static str,
    messages: &'a Messages,
    carrier: Carrier,
    tls: Tls,
    received: Vec<f64>,
    floor: Vec<f64>,
    decoded: Vec<f64>,
    /// Of each round, in records per second of the wall's time, and how many were lost.
    rate: Vec<f64>,
    lost: u64,
}

impl<'a> Row<'a> {
    pub(crate) fn new(name: &'static str, messages: &'a Messages, carrier: Carrier) -> Self {
        let [received, floor, decoded, rate] = [(); 4].map(|()| Vec::new());
        let tls = Tls::new();
        Self { name, messages, carrier, tls, received, floor, decoded, rate, lost: 0 }
    }

    /// Runs each contender once.
    pub(crate) fn round(&mut self, passes: u32) {
        let expected = RECORDS as u64 * u64::from(passes);
        let each = |cpu: Duration, records: u64| cpu.as_secs_f64() * 1e9 / records as f64;
        // What arrives over TLS is received from a plain connection: its floor is that of TCP.
        let plain = if self.carrier == Carrier::Tls { Carrier::Tcp } else { self.carrier };
        let least = Sender::new(self.messages, passes, plain, &self.tls);
        let least = on_its_own(|| floor::receive(plain, least));
        self.floor.push(each(least.cpu, expected));
        let decoded = on_its_own(|| floor::decode(self.messages, passes));
        self.decoded.push(each(decoded.cpu, decoded.records));
        let sender = Sender::new(self.messages, passes, self.carrier, &self.tls);
        let run = on_its_own(|| receive(self.carrier, sender, &self.tls.server));
        self.received.push(each(run.cpu, run.records));
        self.rate.push(run.records as f64 / run.wall.as_secs_f64());
        self.lost += expected - run.records;
    }

    fn is_datagrams(&self) -> bool {
        matches!(self.carrier, Carrier::Udp { .. })
    }
}

/// What is printed, and whether a goal was missed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) missed: bool,
}

impl Report {
    pub(crate) fn table(rows: &[Row<'_>]) {
        println!(
            "{:<34} {:>9} {:>9} {:>9} {:>9} {:>11} {:>9}",
            "CPU time per record, median",
            "received",
            "read only",
            "decoded",
            "ratio",
            "records/s",
            "lost"
        );
        for row in rows {
            let [received, floor, decoded] = [&row.received, &row.floor, &row.decoded].map(median);
            println!(
                "{:<34} {received:>6.0} ns {floor:>6.0} ns {decoded:>6.0} ns {:>9.2} {:>11.0} {:>9}",
                row.name,
                received / (floor + decoded),
                median(&row.rate),
                row.lost,
            );
        }
    }

    pub(crate) fn goals(&mut self, rows: &[Row<'_>]) {
        let [tcp, single, tls, tls_single, udp] = rows else { return };
        let of = |row: &Row<'_>| median(&row.received);
        let ratio = |row: &Row<'_>| of(row) / (median(&row.floor) + median(&row.decoded));
        self.goal("TCP, 64 KiB messages, ns per record", of(tcp), 350.0);
        self.goal("TCP, one record per message, ns per record", of(single), 420.0);
        self.goal("UDP, 1,420 bytes, ns per record", of(udp), 450.0);
        self.goal("TLS 1.3 beside TCP, 64 KiB messages, ns", of(tls) - of(tcp), 60.0);
        self.goal("TLS 1.3 beside TCP, one record, ns", of(tls_single) - of(single), 60.0);
        for row in [tcp, single, udp] {
            self.goal(&format!("{}: ratio to reading and decoding", row.name), ratio(row), 1.25);
        }
        let lost = rows.iter().filter(|row| row.is_datagrams()).map(|row| row.lost).sum::<u64>();
        self.goal("records lost over UDP", lost as f64, 0.0);
    }

    fn goal(&mut self, what: &str, value: f64, most: f64) {
        let verdict = if value > most { "MISSED" } else { "ok" };
        self.missed |= value > most;
        println!("{what:<64} {value:>9.2}  (goal {most:>6.2}: {verdict})");
    }
}

fn median(values: impl AsRef<[f64]>) -> f64 {
    let mut values = values.as_ref().to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
