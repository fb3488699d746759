//! What it costs to decode and encode Data Records, beside two other libraries.
//!
//! All run in turns in one process on the same bytes, and are checked first to have read the same
//! values out of them. `cargo xtask codec` runs this with `--check`, with which it fails if a goal is
//! missed, and then with `--only decode --rounds 2` and the like, which is ours alone, for callgrind.
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_precision_loss, reason = "only for people to read")]

#[path = "codec/fingerprint.rs"]
mod fingerprint;
#[path = "codec/netflow_parser.rs"]
mod netflow_parser;
#[path = "codec/netgauze.rs"]
mod netgauze;
#[path = "codec/ours.rs"]
mod ours;

use std::{env, hint::black_box, process::ExitCode, time::Duration};

use benches::{
    Counting, cpu_time,
    workload::{self, ClassicRecord, Messages, Packed, RECORDS, Record},
};

use fingerprint::Fingerprint;

const ROUNDS: usize = 9;

const LEAST_DECODE_RATIO: f64 = 5.0;
const LEAST_ENCODE_RATIO: f64 = 4.0;

#[global_allocator]
static HEAP: Counting = Counting::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(only) = after("--only") {
        let rounds = after("--rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
        alone(&only, rounds);
        return ExitCode::SUCCESS;
    }
    let check = arguments.iter().any(|argument| argument == "--check");
    if !compared() && check { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Ours and nothing else, so that the difference of two runs is the instructions of one round.
fn alone(what: &str, rounds: usize) {
    let records = workload::records(RECORDS);
    let stream = Messages::of(&records, Packed::Stream);
    let (mut decoder, mut encoder) = (ours::Decoding::of(&stream), ours::Encoding::new());
    for _ in 0..rounds {
        match what {
            "decode" => decoder.decode(),
            "encode" => encoder.encode(&records, |messages| _ = black_box(messages)),
            other => panic!("there is no {other}"),
        }
    }
}

/// Something to measure, and what came of it.
struct Contender<'a> {
    name: &'static str,
    work: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
    allocations: u64,
}

impl<'a> Contender<'a> {
    fn new(name: &'static str, work: impl FnMut() + 'a) -> Self {
        Self { name, work: Box::new(work), times: Vec::with_capacity(ROUNDS), allocations: 0 }
    }

    fn round(&mut self) {
        let (allocations, start) = (HEAP.allocations(), cpu_time());
        (self.work)();
        self.times.push(cpu_time().saturating_sub(start));
        self.allocations = HEAP.allocations() - allocations;
    }

    /// Nanoseconds per record, the median of all rounds.
    fn nanoseconds(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e9 / RECORDS as f64
    }
}

/// Lets all take turns, and prints what came of it. The first is ours; returns how many times as
/// long the second takes, and how often ours has allocated in a round.
fn race(what: &str, messages: &Messages, contenders: &mut [Contender<'_>]) -> (f64, u64) {
    for contender in &mut *contenders {
        (contender.work)();
    }
    for _ in 0..ROUNDS {
        contenders.iter_mut().for_each(Contender::round);
    }
    let bytes = messages.bytes().len() as f64;
    println!("{what}, {:.1} MB, median CPU time of {ROUNDS} rounds in turns", bytes / 1e6);
    let ours = contenders[0].nanoseconds();
    for contender in &*contenders {
        let each = contender.nanoseconds();
        println!(
            "  {:<24} {each:>7.1} ns/record {:>6.0} MB/s {:>7.3} allocations/record {:>6.2} x",
            contender.name,
            bytes / RECORDS as f64 / each * 1e3,
            contender.allocations as f64 / RECORDS as f64,
            each / ours,
        );
    }
    (contenders[1].nanoseconds() / ours, contenders[0].allocations)
}

/// What is measured, in all the ways it travels.
struct Workload {
    records: Vec<Record>,
    stream: Messages,
    datagrams: Messages,
    single: Messages,
    classic: Messages,
    /// The same with no string empty.
    visible: Messages,
}

impl Workload {
    fn new() -> Self {
        let records = workload::records(RECORDS);
        let visible: Vec<_> = records.iter().cloned().map(Record::without_empty_strings).collect();
        Self {
            stream: Messages::of(&records, Packed::Stream),
            datagrams: Messages::of(&records, Packed::Datagram),
            single: Messages::of(&records, Packed::Single),
            classic: Messages::of_classic(&ClassicRecord::of(&records), Packed::Stream),
            visible: Messages::of(&visible, Packed::Stream),
            records,
        }
    }

    /// Whoever reads something else, or nothing, is not to be compared with.
    fn verify(&self) {
        let expected = Fingerprint::of_all(&self.records);
        for messages in [&self.stream, &self.datagrams, &self.single] {
            assert_eq!(ours::Decoding::of(messages).fingerprint(), expected);
            assert_eq!(netgauze::fingerprint(messages), expected);
        }
        let mut all = Fingerprint::default();
        let visible = self.records.iter().cloned().map(Record::without_empty_strings);
        visible.for_each(|record| all.record(&record));
        let mut typed = netflow_parser::typed();
        assert_eq!(ours::Decoding::of(&self.visible).fingerprint(), all);
        assert_eq!(netflow_parser::fingerprint(&mut typed, &self.visible), all);
        assert_eq!(ours::Encoding::new().bytes(&self.records), self.stream.bytes());
        assert_eq!(netgauze::Encoding::of(&self.stream).bytes(), self.stream.bytes());
    }
}

/// Returns true if all goals are met.
fn compared() -> bool {
    let workload = Workload::new();
    workload.verify();
    let (decode, decode_allocations) = decode("64k", &workload.stream);
    decode_others(&workload);
    let (encode, encode_allocations) = encode(&workload);
    let goals = [
        ("decode, times as fast as netgauze-flow-pkt", decode, decode >= LEAST_DECODE_RATIO),
        ("encode, times as fast as netgauze-flow-pkt", encode, encode >= LEAST_ENCODE_RATIO),
        ("allocations, decode", decode_allocations as f64, decode_allocations == 0),
        ("allocations, encode", encode_allocations as f64, encode_allocations == 0),
    ];
    for (what, value, met) in goals {
        println!("{what:<48} {value:>6.2}  {}", if met { "ok" } else { "MISSED" });
    }
    goals.iter().all(|(_, _, met)| *met)
}

fn decode(name: &str, messages: &Messages) -> (f64, u64) {
    let mut decoder = ours::Decoding::of(messages);
    race(
        &format!("decode, {name}"),
        messages,
        &mut [
            Contender::new("ipfix", || decoder.decode()),
            Contender::new("netgauze-flow-pkt", || netgauze::decode(messages)),
        ],
    )
}

fn decode_others(workload: &Workload) {
    decode("1420", &workload.datagrams);
    decode("1rec", &workload.single);
    decode("classic-64k", &workload.classic);
    let messages = &workload.visible;
    let mut decoder = ours::Decoding::of(messages);
    let (mut untyped, mut typed) = (netflow_parser::untyped(), netflow_parser::typed());
    race(
        "decode, ne-64k",
        messages,
        &mut [
            Contender::new("ipfix", || decoder.decode()),
            Contender::new("netflow_parser, typed", || {
                netflow_parser::decode(&mut typed, messages);
            }),
            Contender::new("netflow_parser, octets", || {
                netflow_parser::decode(&mut untyped, messages);
            }),
        ],
    );
}

fn encode(workload: &Workload) -> (f64, u64) {
    let Workload { records, stream, .. } = workload;
    let (mut encoder, mut netgauze) = (ours::Encoding::new(), netgauze::Encoding::of(stream));
    race(
        "encode, 64k",
        stream,
        &mut [
            Contender::new("ipfix", || encoder.encode(records, |bytes| _ = black_box(bytes))),
            Contender::new("netgauze-flow-pkt", || netgauze.encode(|bytes| _ = black_box(bytes))),
        ],
    )
}
