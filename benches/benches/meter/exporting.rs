//! What it costs to tell: records are made of connections, encoded, and written to a socket.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use benches::{cpu_time, median};
use config::address::{Address, Host};
use exporter::{
    destination::{Compatibility, Filter, Redaction, STATIC, Spec, Timeouts, Transport},
    destinations::Way,
    export::{Batch, Exporting, Route, Spent, Stop, observation_domain},
    metrics::DestinationMetrics,
};
use flow::Profile;
use tokio::{
    runtime,
    sync::{mpsc, watch as channel},
};

use crate::{
    ROUNDS, node, row,
    watch::{self, NODE, Watcher, destination, nanoseconds, now},
};

const INTERVAL: Duration = Duration::from_secs(5);
/// The meter may be so late.
const TICK: Duration = Duration::from_millis(200);
/// How long the daemon waits for a collector before it tries to tell more.
const PATIENCE: Duration = Duration::from_millis(10);
/// Records per bare write. The exporter writes up to 256 at once.
const BATCHES: [usize; 3] = [16, 64, 256];
/// Encoding alone takes more than this times a bare write of 64 records, so it does not fail the
/// check: see RESULTS.md.
const WANTED_RATIO: f64 = 2.5;
const MOST_NS: f64 = 300.0;

/// A collector that throws everything away, or keeps it.
pub(crate) struct Drain {
    pub(crate) address: SocketAddr,
    pub(crate) bytes: Arc<AtomicUsize>,
    reading: JoinHandle<Vec<u8>>,
}

impl Drain {
    pub(crate) fn open(keeps: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let bytes: Arc<AtomicUsize> = Arc::default();
        let counter = Arc::clone(&bytes);
        let reading = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a session");
            let (mut buffer, mut kept) = (vec![0; 256 * 1024], Vec::new());
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if keeps {
                    kept.extend_from_slice(&buffer[..length]);
                }
                counter.fetch_add(length, Relaxed);
            }
            kept
        });
        Ok(Self { address, bytes, reading })
    }

    /// Whether nothing has come for a while.
    fn is_idle(&self) -> bool {
        let before = self.bytes.load(Relaxed);
        // Silence can only be waited for.
        thread::sleep(5 * PATIENCE);
        self.bytes.load(Relaxed) == before
    }

    /// What was kept, once the session has ended.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.reading.join().expect("no panic")
    }
}

/// The Exporting Process on a thread of its own.
pub(crate) struct Sending {
    running: JoinHandle<()>,
    /// The thread's time on the CPU, in nanoseconds, as of its last batch.
    cpu: Arc<AtomicU64>,
}

impl Sending {
    /// Ends with the queue.
    pub(crate) fn start(
        to: SocketAddr,
        profile: Profile,
        batches: mpsc::Receiver<Batch>,
        metrics: Arc<DestinationMetrics>,
        spent: Arc<Spent>,
    ) -> Self {
        let cpu: Arc<AtomicU64> = Arc::default();
        let clock = Arc::clone(&cpu);
        // It is asked for the time with each batch.
        let clock = move || {
            clock.store(nanoseconds(cpu_time()), Relaxed);
            now()
        };
        let running = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let (_switch, stop) = Stop::new();
                let way = Way::new(None, Arc::default());
                let route = Route::new(&spec(to, profile), &way).expect("a route");
                let (_sender, route) = channel::channel(route);
                let domain = observation_domain(NODE);
                let exporting = Exporting::new(STATIC.into(), route, domain, None, metrics);
                let exporting = exporting.expect("templates").returning(spent);
                exporting.run(batches, stop, clock).await;
            });
        });
        Self { running, cpu }
    }

    pub(crate) fn join(self) {
        self.running.join().expect("no panic");
    }
}

fn spec(to: SocketAddr, profile: Profile) -> Spec {
    let host = Host::Named(to.ip().to_string());
    Spec {
        name: STATIC.into(),
        address: Address { host, port: to.port(), protocol: None },
        transport: Transport::Tcp,
        filter: Filter::default(),
        profile,
        compatibility: Compatibility::of(profile),
        timeouts: Timeouts { active: INTERVAL, idle: 3 * INTERVAL },
        redaction: Redaction::default(),
        template_refresh: Spec::TEMPLATE_REFRESH,
    }
}

/// Tells all connections once per round, and writes the same bytes without making them.
pub(crate) fn cost(connections: u32, profile: Profile) -> io::Result<()> {
    let drain = Drain::open(true)?;
    let (target, queue, batches) = destination(0, INTERVAL);
    let (metrics, returned) = (Arc::clone(&target.metrics), Arc::clone(&target.spent));
    let sending = Sending::start(drain.address, profile, batches, Arc::clone(&metrics), returned);
    let mut time = now();
    let mut observer = watch::observer(&[target], INTERVAL, time);
    drop(queue);
    watch::begin(&mut observer, time)?;
    let mut told = 0;
    let [mut making, mut sent] = [(); 2].map(|()| Vec::new());
    let mut bare = BATCHES.map(|_| Vec::new());
    let mut sink = Bare::open()?;
    for round in 0..=ROUNDS {
        node::send_on_each(connections)?;
        time += nanoseconds(INTERVAL);
        look(&mut observer, time)?;
        let before = Duration::from_nanos(sending.cpu.load(Relaxed));
        let begun = drain.bytes.load(Relaxed);
        let made = tell(&mut observer, time + nanoseconds(TICK));
        told += u64::from(connections);
        until(|| metrics.records_sent.get() == told);
        until(|| drain.is_idle());
        let bytes = drain.bytes.load(Relaxed) - begun;
        let took = Duration::from_nanos(sending.cpu.load(Relaxed)).saturating_sub(before);
        // Connections begin with the first round.
        if round > 0 {
            making.push(made);
            sent.push(took);
            for (batch, times) in BATCHES.into_iter().zip(&mut bare) {
                times.push(sink.write(bytes, bytes * batch / connections as usize)?);
            }
        }
    }
    drop(observer);
    sending.join();
    let bytes = drain.finish().len() as u64;
    let stored = u64::from(connections);
    let [making, sent] = [making, sent].map(median);
    println!("{profile:?}: {stored} records, {} bytes each, {ROUNDS} rounds", bytes / told);
    row("connections become records, and are handed over", making, stored);
    row("encoded and written", sent, stored);
    for (batch, bare) in BATCHES.into_iter().zip(bare.map(median)) {
        row(&format!("the same bytes, {batch} records per write"), bare, stored);
        let ratio = sent.as_secs_f64() / bare.as_secs_f64();
        let all = (making + sent).as_secs_f64() / bare.as_secs_f64();
        println!("{:<52} {ratio:>9.2} (wanted {WANTED_RATIO}), {all:.2} with making", "  ratio");
    }
    let each = sent.as_secs_f64() * 1e9 / stored as f64;
    println!("{:<52} {each:>9.0} (goal {MOST_NS} ns, for orientation)", "encoded and written");
    Ok(())
}

/// One dump of everything.
fn look(observer: &mut Watcher, now: u64) -> io::Result<()> {
    let goal = observer.rounds() + 1;
    while observer.rounds() < goal {
        observer.observe(now).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Tells what is due. Returns how long that took on the CPU.
fn tell(observer: &mut Watcher, now: u64) -> Duration {
    let begin = cpu_time();
    while observer.turn(now) {
        // The queues are full; the far end empties them on another thread.
        thread::sleep(PATIENCE);
    }
    cpu_time().saturating_sub(begin)
}

fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        // Between two looks, 1,000 at most.
        thread::sleep(PATIENCE);
    }
    panic!("what is due does not arrive");
}

/// A session over which bytes go that are there already.
struct Bare {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Bare {
    fn open() -> io::Result<Self> {
        let stream = TcpStream::connect(Drain::open(false)?.address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: vec![7; 64 << 20] })
    }

    /// Writes so many bytes, so many at a time.
    fn write(&mut self, bytes: usize, at_once: usize) -> io::Result<Duration> {
        let begin = cpu_time();
        for chunk in self.bytes[..bytes].chunks(at_once) {
            self.stream.write_all(chunk)?;
        }
        Ok(cpu_time().saturating_sub(begin))
    }
}
