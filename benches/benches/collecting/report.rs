//! Figures beside their floors, and what they are to be.

use std::time::Duration;

use benches::workload::{Messages, RECORDS};

use crate::{
    flood::Flood,
    floor,
    receiver::{Carrier, on_its_own, receive},
    sender::{Sender, Tls},
};

/// One packing over one transport.
pub(crate) struct Row<'a> {
    pub(crate) name: &'static str,
    messages: &'a Messages,
    carrier: Carrier,
    /// The most that receiving may take, as a multiple of what its floors take together.
    most: f64,
    tls: Tls,
    rounds: Vec<Round>,
}

/// What one round took, in nanoseconds per record.
struct Round {
    received: f64,
    read: f64,
    decrypted: f64,
    decoded: f64,
}

impl Round {
    /// How many times as long as its floors together it took to receive. All ran one after another,
    /// so that what else the machine does falls on all of them.
    fn ratio(&self) -> f64 {
        self.received / (self.read + self.decrypted + self.decoded)
    }
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        name: &'static str,
        messages: &'a Messages,
        carrier: Carrier,
        most: f64,
    ) -> Self {
        Self { name, messages, carrier, most, tls: Tls::new(), rounds: Vec::new() }
    }

    /// Runs each contender once.
    pub(crate) fn round(&mut self, passes: u32) {
        let Self { messages, carrier, tls, .. } = self;
        // No more datagrams than the socket's buffer holds.
        let sent = if *carrier == Carrier::Udp { 1 } else { passes };
        let each = |cpu: Duration, passes: u32| {
            cpu.as_secs_f64() * 1e9 / (RECORDS as f64 * f64::from(passes))
        };
        // What TLS adds to the bytes on their way is a thousandth.
        let plain = if *carrier == Carrier::Udp { Carrier::Udp } else { Carrier::Tcp };
        let sender = Sender::new(messages, sent, plain, tls);
        let read = on_its_own(|| floor::receive(sender));
        let decrypted = match carrier {
            Carrier::Tls => on_its_own(|| floor::decrypt(messages, passes)),
            _ => Duration::ZERO,
        };
        let decoded = on_its_own(|| floor::decode(messages, passes));
        let sender = Sender::new(messages, sent, *carrier, tls);
        let (received, records) = on_its_own(|| receive(sender, tls));
        assert_eq!(records, RECORDS as u64 * u64::from(sent), "all of them");
        self.rounds.push(Round {
            received: each(received, sent),
            read: each(read, sent),
            decrypted: each(decrypted, passes),
            decoded: each(decoded, passes),
        });
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    fn ratio(&self) -> f64 {
        self.median(Round::ratio)
    }

    pub(crate) fn is_met(&self) -> bool {
        self.ratio() <= self.most
    }

    pub(crate) fn is_datagrams(&self) -> bool {
        self.carrier == Carrier::Udp
    }
}

pub(crate) fn table(rows: &[Row<'_>]) {
    println!(
        "{:<34} {:>9} {:>13} {:>9} {:>9} {:>9} {:>6} {:>6}",
        "CPU per record, median",
        "received",
        "(range)",
        "read only",
        "decrypted",
        "decoded",
        "ratio",
        "rounds"
    );
    for row in rows {
        let range = [f64::min, f64::max]
            .map(|end| row.rounds.iter().map(|round| round.received).reduce(end).unwrap_or(0.0));
        println!(
            "{:<34} {:>6.0} ns {:>13} {:>6.0} ns {:>6.0} ns {:>6.0} ns {:>6.2} {:>6}",
            row.name,
            row.median(|round| round.received),
            format!("({:.0} to {:.0})", range[0], range[1]),
            row.median(|round| round.read),
            row.median(|round| round.decrypted),
            row.median(|round| round.decoded),
            row.ratio(),
            row.rounds.len(),
        );
    }
}

/// Prints goals in nanoseconds, which belong to the machine they were set on and to no other.
pub(crate) fn orientation(rows: &[Row<'_>]) {
    let [tcp, single, tls, tls_single, udp] = rows else { return };
    let of = |row: &Row<'_>| row.median(|round| round.received);
    goal("TCP, 64 KiB messages, ns per record", of(tcp), 350.0);
    goal("TCP, one record per message, ns per record", of(single), 420.0);
    goal("UDP, 1,420 bytes, ns per record", of(udp), 450.0);
    goal("TLS 1.3 beside TCP, 64 KiB messages, ns per record", beside(tls, tcp), 60.0);
    goal("TLS 1.3 beside TCP, one record, ns per record", beside(tls_single, single), 60.0);
}

/// What `row` takes more than `other` in the same round.
fn beside(row: &Row<'_>, other: &Row<'_>) -> f64 {
    let rounds = row.rounds.iter().zip(&other.rounds);
    median(rounds.map(|(round, other)| round.received - other.received).collect())
}

/// Prints whether datagrams were lost, by their sequence numbers, by their number, and by what the
/// kernel has counted.
pub(crate) fn flood(flood: &Flood) {
    let Flood { records_sent, messages_sent, counters, dropped, sending, receiving } = flood;
    let seconds = sending.wall.as_secs_f64();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e9 / *records_sent as f64;
    println!(
        "UDP, both at once for {seconds:.1} s: {:.0} records/s sent at {:.0} ns each, received at \
         {:.0} ns each",
        *records_sent as f64 / seconds,
        each(sending.cpu),
        each(*receiving),
    );
    goal("records missing by sequence number", counters.lost_records as f64, 0.0);
    goal("records missing by their number", (records_sent - counters.records) as f64, 0.0);
    goal("datagrams missing", (messages_sent - counters.messages) as f64, 0.0);
    goal("datagrams the kernel dropped", *dropped as f64, 0.0);
}

/// Prints the goals that hold on every machine. Returns whether each was met.
pub(crate) fn ratios(rows: &[Row<'_>]) -> bool {
    for row in rows {
        goal(&format!("ratio, {}", row.name), row.ratio(), row.most);
    }
    rows.iter().all(Row::is_met)
}

fn goal(what: &str, value: f64, most: f64) {
    let verdict = if value <= most { "ok" } else { "MISSED" };
    println!("{what:<52} {value:>9.2}  (goal {most:>6.2}: {verdict})");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
