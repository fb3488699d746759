//! What it costs to write Flow Records and to read them, by the field table: as IPFIX and as
//! Antrea's gRPC messages, in memory and, for gRPC, over a connection.
//!
//! Records are those of the workload, as the decoder makes them of its messages. Each contender
//! runs in turns with the others, on one thread whose time on the CPU counts.
//!
//! `cargo bench -p benches --bench records` prints a table; with `-- --check` it fails if a goal is
//! missed; `-- --passes N` does nothing but N passes over what `--only` names, for programs that
//! count instructions.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "records/stream.rs"]
mod stream; // gRPC over a connection

use std::{env, hint::black_box, process::ExitCode, time::Duration};

use benches::{
    Goals, cpu_time, median,
    workload::{self, Messages, Packed, RECORDS},
};
use flow::{Family, FlowRecord, Interner, Plan, Profile};
use grpc::{Batch, Head, Requests};
use ipfix::{
    decode::{Limits, Rules, Session},
    encode::{Encoder, Packing},
    template::TemplateId,
};

const ROUNDS: usize = 9;
/// Flows of one gRPC message.
pub(crate) const TOGETHER: usize = 64;
const HEAD: Head = Head { export_time_ns: 1_790_000_000_000_000_000, domain: 7, with_ids: false };

/// What is measured, and one round of it.
type Contender<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

fn main() -> ExitCode {
    let messages = Messages::of(&workload::records(RECORDS), Packed::Stream);
    let mut reader = Reader::default();
    let mut records = Vec::new();
    reader.read(&messages, |some| records.extend(some));
    let requests = requests(&records);
    let mut contenders: Vec<Contender<'_>> = vec![
        ("IPFIX read", Box::new(|| timed(|| reader.read(&messages, |some| drop(black_box(some)))))),
        ("IPFIX written, profile antrea", Box::new(|| timed(|| write(&records, Profile::Antrea)))),
        ("IPFIX written, profile fyke", Box::new(|| timed(|| write(&records, Profile::Fyke)))),
        ("gRPC read", Box::new(|| timed(|| read_requests(&requests)))),
        ("gRPC written", Box::new(|| timed(|| self::requests(&records)))),
    ];
    if let Some(only) = option("--only") {
        contenders.retain(|(name, _)| name.contains(&only));
    }
    if let Some(passes) = option("--passes").and_then(|passes| passes.parse().ok()) {
        for (_, run) in &mut contenders {
            (0..passes).for_each(|_: u32| _ = run());
        }
        return ExitCode::SUCCESS;
    }
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in contenders.iter_mut().zip(&mut times) {
            times.push(run());
        }
    }
    println!("{} records, median CPU time of {ROUNDS} rounds in turns", records.len());
    for ((name, _), times) in contenders.iter().zip(times) {
        println!("{name:<52} {:>9.0} ns each", each(median(times)));
    }
    drop(contenders);
    let mut goals = Goals::default();
    if option("--only").is_none_or(|only| only.contains("gRPC")) {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| stream::round(&records)).collect();
        let of =
            |side: fn(&stream::Round) -> Duration| each(median(rounds.iter().map(side).collect()));
        goals.result("gRPC over TCP, client, ns per record", of(|round| round.client), 1200.0);
        goals.result("gRPC over TCP, server, ns per record", of(|round| round.server), 1200.0);
    }
    goals.verdict()
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}

fn each(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / RECORDS as f64
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = cpu_time();
    // What was made is let go of at the expense of whoever made it.
    drop(black_box(work()));
    cpu_time().saturating_sub(begun)
}

/// The aggregator's way from messages to records, message by message.
struct Reader {
    names: Interner,
}

impl Default for Reader {
    fn default() -> Self {
        Self { names: Interner::new(65_536) }
    }
}

impl Reader {
    fn read(&mut self, messages: &Messages, mut take: impl FnMut(Vec<FlowRecord>)) {
        let mut session: Session<Plan> = Session::with_rules(Limits::default(), Rules::stream());
        for message in messages.iter() {
            let mut records = Vec::new();
            let decoded = session.decode(message, Plan::compile, |plan, _, data| {
                records.push(plan.decode(&data, &mut self.names));
            });
            decoded.expect("it is sound");
            take(records);
        }
    }
}

fn write(records: &[FlowRecord], profile: Profile) -> Vec<u8> {
    let mut encoder = Encoder::new(7, u16::MAX, Packing::Full);
    let (mut out, mut bytes) = (Vec::with_capacity(1 << 17), 0_usize);
    for record in records {
        let family = Family::of(record);
        encoder
            .record(0, TemplateId::MIN, &mut out, |writer| {
                flow::encode(record, profile, family, writer);
            })
            .expect("it fits");
        bytes += out.len();
        out.clear();
    }
    assert!(bytes > 100 * records.len());
    out
}

fn requests(records: &[FlowRecord]) -> Vec<Vec<u8>> {
    let message = |records: &[FlowRecord]| {
        let mut message = Vec::with_capacity(32 * 1024);
        message.extend_from_slice(&[0; 5]);
        for record in records {
            grpc::encode(record, &HEAD, &mut message);
        }
        let length = u32::try_from(message.len() - 5).expect("not as long");
        message[1..5].copy_from_slice(&length.to_be_bytes());
        message
    };
    records.chunks(TOGETHER).map(message).collect()
}

fn read_requests(messages: &[Vec<u8>]) -> usize {
    let mut requests = Requests::default();
    let mut read = 0;
    for message in messages {
        requests.push(message);
        let mut batch = Batch::default();
        requests.take(&mut batch).expect("it is sound");
        read += batch.records.len();
    }
    assert_eq!(read, RECORDS);
    read
}
