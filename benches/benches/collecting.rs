//! What it costs to receive and decode IPFIX over loopback: the Collecting Process of the crate
//! `ipfix`, every field of every record typed and its text checked.
//!
//! Beside it, in the same rounds and on the same bytes, run its floors: a loop that reads and does
//! nothing else, the cipher of TLS on records in memory, and the decoder on messages in memory. Senders
//! are threads of their own, and only the receiving thread's time on the CPU counts. Datagrams are all in
//! the socket's buffer before the first is received, so that nothing of the sender is counted; that
//! none is lost while both run is another part.
//!
//! `cargo bench -p benches --bench collecting` prints a table; with `-- --only TLS` only of what has
//! that in its name. With `-- --check` it fails if receiving and decoding takes more than it may
//! beside its floors together: those ratios hold on every machine. Each is the median of what the
//! rounds came to, and as long as one is missed more rounds follow, up to three times as many, since
//! whatever else runs on the machine only ever adds to one of them. Goals in nanoseconds and of
//! losses are printed, for a machine that does nothing else.
//!
//! Needs `CAP_NET_ADMIN` for the large socket buffer.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "collecting/floor.rs"]
mod floor; // the least there is to do
#[path = "collecting/flood.rs"]
mod flood; // datagrams at a rate
#[path = "collecting/receiver.rs"]
mod receiver; // the Collecting Process
#[path = "collecting/sender.rs"]
mod sender; // the other end
#[path = "collecting/report.rs"]
mod report; // tables and goals

use std::{env, process::ExitCode};

use benches::workload::{self, Messages, Packed, RECORDS};

use receiver::Carrier;
use report::Row;

/// Runs of each contender, at least and at most.
const ROUNDS: usize = 7;
const MOST_ROUNDS: usize = 21;
/// How often the messages are sent in each.
const PASSES: u32 = 5;

fn main() -> ExitCode {
    let records = workload::records(RECORDS);
    let [stream, single, datagram] = [Packed::Stream, Packed::Single, Packed::Datagram]
        .map(|packed| Messages::of(&records, packed));
    let mut rows = vec![
        Row::new("TCP, 64 KiB messages", &stream, Carrier::Tcp, 1.4),
        Row::new("TCP, one record per message", &single, Carrier::Tcp, 1.6),
        Row::new("TLS 1.3, 64 KiB messages", &stream, Carrier::Tls, 1.5),
        Row::new("TLS 1.3, one record per message", &single, Carrier::Tls, 1.6),
        Row::new("UDP, 1,420 bytes", &datagram, Carrier::Udp, 1.4),
    ];
    let mut arguments = env::args().skip_while(|argument| argument != "--only").skip(1);
    if let Some(only) = arguments.next() {
        rows.retain(|row| row.name.contains(&only));
    }
    for round in 1..=MOST_ROUNDS {
        for row in &mut rows {
            row.round(PASSES);
        }
        if round >= ROUNDS && rows.iter().all(Row::is_met) {
            break;
        }
    }
    report::table(&rows);
    report::orientation(&rows);
    if rows.iter().any(Row::is_datagrams) {
        report::flood(&flood::flood(&datagram));
    }
    let met = report::ratios(&rows);
    let check = env::args().any(|argument| argument == "--check");
    if check && !met { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
