//! What benchmarks measure, and what they measure with: a workload of flows, the heap's bytes, and a
//! thread's time on the CPU.
//!
//! Wall time is of no use on shared cores, and the kernel's own accounting in `/proc` only moves
//! with the scheduler's tick.
#![expect(unsafe_code, reason = "an allocator and a clock, both thin wrappers")]
#![expect(clippy::print_stdout, reason = "its purpose")]

pub mod workload; // 100,000 flows of a cluster, and their messages
pub mod datagrams; // a sender that is fast enough

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The system's allocator, with a count of what goes through it.
///
/// To be made the `#[global_allocator]` of a benchmark.
#[derive(Debug)]
pub struct Counting {
    allocations: AtomicU64,
    allocated: AtomicU64,
    freed: AtomicU64,
}

impl Counting {
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self {
            allocations: AtomicU64::new(0),
            allocated: AtomicU64::new(0),
            freed: AtomicU64::new(0),
        }
    }

    /// Calls that asked for memory so far.
    pub fn allocations(&self) -> u64 {
        self.allocations.load(Relaxed)
    }

    /// Bytes in use now.
    pub fn bytes(&self) -> u64 {
        self.allocated.load(Relaxed) - self.freed.load(Relaxed)
    }
}

// SAFETY: every call is passed on unchanged to `System`, which is a sound allocator; counting
// allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocations.fetch_add(1, Relaxed);
        self.allocated.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.freed.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the pointer came from `System` by way of `alloc`, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How long the calling thread has been running on a CPU, in user and kernel mode.
pub fn cpu_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Megabytes that this process has had at most.
///
/// # Panics
/// Where there is no `/proc`.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.expect("the kernel tells it") / 1024
}

/// The same of all threads of the process.
pub fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The same of another process, with its threads that have ended.
///
/// # Panics
/// If there is none.
pub fn time_of(process: u32) -> Duration {
    let mut id = 0;
    let process = libc::pid_t::try_from(process).expect("the kernel's numbers are small");
    // SAFETY: the pointer is to a live number, which the call only writes to.
    let result = unsafe { libc::clock_getcpuclockid(process, &raw mut id) };
    assert_eq!(result, 0, "it runs");
    clock(id)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live `timespec`, which the call only writes to.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    assert_eq!(result, 0, "every Linux has this clock");
    let (seconds, nanoseconds) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// Prints results, and remembers whether one missed its goal.
#[derive(Debug, Default)]
pub struct Goals {
    missed: bool,
}

impl Goals {
    pub fn result(&mut self, what: &str, value: f64, most: f64) {
        let verdict = if value > most { "MISSED" } else { "ok" };
        self.missed |= value > most;
        println!("{what:<52} {value:>9.2}  (goal {most:>6.2}: {verdict})");
    }

    /// Failure if a goal was missed and the command line has `--check`.
    pub fn verdict(self) -> ExitCode {
        let check = env::args().any(|argument| argument == "--check");
        if check && self.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The one in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
