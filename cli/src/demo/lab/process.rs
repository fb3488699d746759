//! A program that runs in the lab for a while.
//!
//! What it prints goes to files in the lab's directory: a program outlives its pipes
//! when the lab is kept, and its last words are there for the error message.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::demo::program;

const POLL: Duration = Duration::from_millis(10);

/// How much of a program's log an error repeats.
const LAST_LINES: usize = 3;

#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `NAME.out` and `NAME.log` of `directory`.
    ///
    /// It gets a process group of its own, so that the terminal's Ctrl-C reaches only
    /// the demo, which then stops everything in order.
    pub(super) fn start(directory: &Path, name: &str, command: &mut Command) -> Result<Self> {
        let output = directory.join(format!("{name}.out"));
        let log = directory.join(format!("{name}.log"));
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot make {}", path.display()))
        };
        command.stdin(Stdio::null()).stdout(create(&output)?).stderr(create(&log)?);
        command.process_group(0);
        let child = program::start(command)?;
        Ok(Self { name: name.to_owned(), child, output, log })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> io::Result<String> {
        fs::read_to_string(&self.output)
    }

    /// What it has complained about so far.
    pub fn log(&self) -> io::Result<String> {
        fs::read_to_string(&self.log)
    }

    pub fn output_path(&self) -> &Path {
        &self.output
    }

    /// Returns its exit status if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Waits until it says on its standard output that it is `ready`.
    pub fn wait_until_ready(&mut self, within: Duration) -> Result<()> {
        self.wait_for("print `ready`", within, |process| {
            process.output().is_ok_and(|output| output.lines().any(|line| line == "ready"))
        })
    }

    /// Waits until `is_done`; `what` says what the program is expected to do.
    pub fn wait_for(
        &mut self,
        what: &str,
        within: Duration,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        while !is_done(self) {
            if let Some(status) = self.try_wait()? {
                bail!("{} ended too early ({status}): {}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                bail!("{} did not {what} within {within:?}: {}", self.name, self.last_words());
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Asks it to end, and returns its exit status.
    pub fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        program::output(Command::new("kill").arg("-TERM").arg(self.id().to_string()))?;
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} did not end within {within:?} of SIGTERM; see {}",
                    self.name,
                    self.log.display()
                );
            }
            sleep(POLL);
        }
    }

    /// Asks it to end, which it must do in time and without an error.
    pub fn stop(mut self, within: Duration) -> Result<()> {
        let status = self.terminate(within)?;
        if !status.success() {
            bail!("{} failed ({status}): {}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of its log, on one line, and where the rest is.
    pub fn last_words(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        match last {
            [] => format!("it logged nothing to {}", self.log.display()),
            _ => format!("{} (see {})", last.join("; "), self.log.display()),
        }
    }
}
