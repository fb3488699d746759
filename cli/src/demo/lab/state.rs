//! What a lab leaves in `/run`, so that another process can take it down.
//!
//! A demo that was killed cannot clean up behind itself. Each process the lab starts is
//! therefore written to a file first thing, with the moment it started: a process id
//! alone may by now belong to somebody else.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::demo::program;

const ROOT: &str = "/run/fyke-demo";

/// How long a process may take to end before it is ended by force.
const GRACE: Duration = Duration::from_secs(2);

/// A lab's directory: its state, and the files of the programs in it.
#[derive(Debug)]
pub(super) struct RunDirectory(PathBuf);

impl RunDirectory {
    pub(super) fn of(prefix: &str) -> Self {
        Self(Path::new(ROOT).join(prefix))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory, without whatever an earlier lab left there.
    pub(super) fn create(&self) -> Result<()> {
        self.remove()?;
        fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))
    }

    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// Notes that the lab started the process `pid`.
    pub(super) fn note(&self, pid: u32) -> Result<()> {
        let Some(started) = start_time(pid) else { return Ok(()) };
        let path = self.processes();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        writeln!(file, "{pid} {started}")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Ends every process that was noted and still runs. Returns how many there were.
    pub(super) fn end_processes(&self) -> Result<usize> {
        let noted = fs::read_to_string(self.processes()).unwrap_or_default();
        let running: Vec<Noted> = noted.lines().filter_map(Noted::parse).collect();
        let running: Vec<Noted> = running.into_iter().filter(Noted::is_running).collect();
        signal("-TERM", &running)?;
        let deadline = Instant::now() + GRACE;
        while running.iter().any(Noted::is_running) && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        let stubborn: Vec<Noted> = running.iter().copied().filter(Noted::is_running).collect();
        signal("-KILL", &stubborn)?;
        Ok(running.len())
    }

    fn processes(&self) -> PathBuf {
        self.0.join("processes")
    }
}

/// A process the lab started. Both numbers together name it for as long as the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted {
    pid: u32,
    started: u64,
}

impl Noted {
    fn parse(line: &str) -> Option<Self> {
        let (pid, started) = line.split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    fn is_running(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

fn signal(name: &str, processes: &[Noted]) -> Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("kill");
    command.arg(name).args(processes.iter().map(|process| process.pid.to_string()));
    match program::output(&mut command) {
        // A process that ended by itself in this very moment is what was wanted.
        Err(_) if !processes.iter().any(Noted::is_running) => Ok(()),
        result => result.map(drop),
    }
}

/// When `pid` started, in clock ticks since boot; `None` if it has ended.
fn start_time(pid: u32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads field 22 of `/proc/PID/stat` (proc(5)). The name in field 2 may hold anything,
/// so fields are counted from the last `)`. A zombie has ended; only its parent has
/// not asked yet.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "613 (tmux: a) b) S 1 613 613 0 -1 4194560 973 0 1 0 25 31 0 0 20 0 1 0 \
                        4711 9371648 912 18446744073709551615 1 1 0 0 0 0 0 0";

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        assert_eq!(parse_start_time(STAT), Some(4711));
    }

    #[test]
    fn a_zombie_has_ended() {
        assert_eq!(parse_start_time(&STAT.replace(" S 1", " Z 1")), None);
    }

    #[test]
    fn a_process_id_in_other_hands_is_not_ours() {
        let ours = Noted::parse(&format!("{} 1", std::process::id())).unwrap();
        assert!(!ours.is_running(), "this test did not start one tick after boot");
    }
}
