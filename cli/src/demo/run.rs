//! Builds the lab, drives the traffic, asks both witnesses, compares.
//!
//! What has been built is taken down on every way out: at the end, on an error, on
//! Ctrl-C. Only a kill leaves something behind, which `fyke demo --down` removes.

mod daemons; // the exporters and the aggregator
mod interrupt; // Ctrl-C
mod live; // what is seen, while it is seen
mod over; // what carries records

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::daemons::Daemons;
use self::interrupt::Interrupt;
use self::live::Live;
pub use self::over::Over;
use super::check::{self, SeenFlow, Verdict};
use super::judge::{self, Judge};
use super::lab::Lab;
use super::requirements;
use super::traffic::{self, Plan, Traffic};

/// All clients are done after this, even with 10,000 short connections on a busy machine.
const TRAFFIC_WITHIN: Duration = Duration::from_secs(30);

/// The kernel's own time-outs in the lab are at most three seconds.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(15);

/// The aggregator has written all it will when its log stands still this long: the kernel has
/// told every end by then, and nothing waits longer than the aggregator's active timeout.
const QUIET: Duration = Duration::from_millis(2500);
const QUIET_WITHIN: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(100);

/// What `fyke demo` was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many short connections are made.
    pub connections: usize,
    /// What carries records.
    pub over: Over,
    /// Print one JSON object instead of a table.
    pub json: bool,
    /// Leave the lab running.
    pub keep: bool,
    /// Only remove what an earlier demo left.
    pub down: bool,
    /// How the lab's namespaces are named.
    pub prefix: String,
    /// A directory for what the exporters sent and what the kernel said, which
    /// [`replay`](super::replay) can show where there is no lab.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 200,
            over: Over::Tcp,
            json: false,
            keep: false,
            down: false,
            prefix: "fyke".to_owned(),
            record: None,
        }
    }
}

impl Options {
    /// Whether a recording shows what was asked for: it cannot be kept running, nor be recorded
    /// again, it leaves nothing to remove, and what it has was sent over TCP.
    pub fn can_be_replayed(&self) -> bool {
        !self.down && !self.keep && self.record.is_none() && self.over == Over::Tcp
    }
}

/// How a demo ended that could be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Fyke's numbers are the kernel's.
    Equal,
    /// They are not.
    Different,
    /// An earlier demo was removed.
    Removed,
}

/// Reads all flows from the aggregator's data directory.
pub type ReadStore<'a> = &'a dyn Fn(&Path) -> Result<Vec<SeenFlow>>;

/// Runs the demo with the programs in the binary `fyke`, and writes what it sees to `out`.
pub fn run(
    options: &Options,
    fyke: &Path,
    out: &mut dyn Write,
    read_store: ReadStore<'_>,
) -> Result<Outcome> {
    let missing: Vec<String> = requirements::missing().iter().map(ToString::to_string).collect();
    ensure!(missing.is_empty(), "the demo needs {}", missing.join("; "));
    if options.down {
        return down(&options.prefix, out);
    }
    ensure!(
        options.record.is_none() || options.over.can_be_recorded(),
        "what is sent over gRPC cannot be recorded"
    );
    let interrupt = Interrupt::watch()?;
    let mut lab = Lab::up(&options.prefix)?;
    let mut demo = Demo { options, fyke, lab: &lab, out, interrupt: &interrupt };
    let verdict = demo.observe(read_store);
    if verdict.as_ref().is_ok_and(Verdict::is_equal) {
        return demo.finish().map(|()| {
            if options.keep {
                lab.leave();
            }
            Outcome::Equal
        });
    }
    if interrupt.is_raised() {
        return verdict.map(|_| Outcome::Different);
    }
    let directory = lab.directory().display().to_string();
    lab.keep_files();
    verdict.with_context(|| format!("the demo failed; its files are in {directory}"))?;
    Ok(Outcome::Different)
}

fn down(prefix: &str, out: &mut dyn Write) -> Result<Outcome> {
    let removed = Lab::down(prefix)?;
    writeln!(
        out,
        "{prefix}: {} processes ended, {} network namespaces removed",
        removed.processes, removed.namespaces
    )?;
    Ok(Outcome::Removed)
}

/// A demo in a lab that stands.
struct Demo<'a> {
    options: &'a Options,
    fyke: &'a Path,
    lab: &'a Lab,
    out: &'a mut dyn Write,
    interrupt: &'a Interrupt,
}

impl Demo<'_> {
    /// Drives the traffic, and compares what Fyke saw of it with what the kernel saw.
    fn observe(&mut self, read_store: ReadStore<'_>) -> Result<Verdict> {
        let started = Instant::now();
        let plan = Plan::new(self.options.connections)?;
        traffic::start_servers(self.lab, self.fyke)?;
        let record = self.options.record.as_deref();
        if let Some(directory) = record {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let over = self.options.over;
        let daemons = Daemons::start(self.lab, self.fyke, over, record)?;
        let judge = Judge::start(self.lab)?;
        let running = "the lab is up, two exporters and an aggregator are running";
        self.say(&format!("{running}, {} between them", over.name()))?;
        let mut live = Live::follow(&daemons.log);
        self.say(&format!("driving {} connections", plan.flows()))?;
        self.drive(&plan, &mut live)?;
        self.say("all traffic arrived; waiting for the kernel to forget it")?;
        Judge::wait_for_the_end(self.lab, FORGOTTEN_WITHIN, || self.step(&mut live))?;
        self.wait_until_quiet(&mut live)?;
        let data = daemons.data.clone();
        daemons.stop()?;
        let kernel = judge::flows(&judge.finish(record)?)?;
        let expected = plan.expect(kernel)?;
        let seen = read_store(&data).context("cannot read the aggregator's store")?;
        let verdict = check::compare(expected, &seen);
        self.report(&verdict)?;
        self.say(&format!("{:.0} s", started.elapsed().as_secs_f64()))?;
        Ok(verdict)
    }

    fn drive(&mut self, plan: &Plan, live: &mut Live) -> Result<()> {
        let mut traffic = Traffic::start(self.lab, self.fyke, plan)?;
        let deadline = Instant::now() + TRAFFIC_WITHIN;
        while !traffic.is_done()? {
            ensure!(Instant::now() < deadline, "traffic is not through after {TRAFFIC_WITHIN:?}");
            self.step(live)?;
            sleep(POLL);
        }
        Ok(())
    }

    fn wait_until_quiet(&mut self, live: &mut Live) -> Result<()> {
        let deadline = Instant::now() + QUIET_WITHIN;
        while live.quiet_for() < QUIET {
            ensure!(
                Instant::now() < deadline,
                "the aggregator still writes after {QUIET_WITHIN:?}"
            );
            self.step(live)?;
            sleep(POLL);
        }
        Ok(())
    }

    /// What is done while something else is waited for.
    fn step(&mut self, live: &mut Live) -> Result<()> {
        if self.interrupt.is_raised() {
            bail!("interrupted");
        }
        let lines = live.news()?;
        if !self.options.json {
            for line in lines {
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    fn report(&mut self, verdict: &Verdict) -> Result<()> {
        if self.options.json {
            writeln!(self.out, "{}", verdict.to_json()?)?;
            return Ok(());
        }
        writeln!(self.out)?;
        Ok(verdict.write_table(self.out)?)
    }

    /// With `--keep`, starts everything once more for the user to play with. The check
    /// needs the aggregator to end, since only then all it knows is on disk.
    fn finish(&mut self) -> Result<()> {
        if !self.options.keep {
            return Ok(());
        }
        let daemons = Daemons::start(self.lab, self.fyke, self.options.over, None)?;
        let prefix = self.lab.prefix();
        self.say(&format!(
            "the lab keeps running: try `ip netns exec {prefix}-pA1 ping 10.10.1.2`\n\
             records appear in {}; `fyke demo --down --prefix {prefix}` ends it",
            daemons.log.display()
        ))
    }

    fn say(&mut self, text: &str) -> Result<()> {
        if !self.options.json {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }
}
