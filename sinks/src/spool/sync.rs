//! The thread that makes what was written durable, beside the one that goes on writing.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use super::log::Log;
use super::threads::Threads;

#[derive(Debug)]
pub(super) struct Syncing {
    /// What is to be synchronised next: few files, since each stands here once.
    files: Arc<Mutex<Vec<Arc<File>>>>,
    /// Wakes the thread.
    wake: SyncSender<()>,
    directory: Arc<File>,
}

impl Syncing {
    /// What is written is durable `within` that time, as far as the disk takes no longer than half
    /// of it.
    pub(super) fn start(log: Arc<Log>, within: Duration, threads: &Threads) -> io::Result<Self> {
        let directory = Arc::new(File::open(&log.dir)?);
        let files = Arc::<Mutex<Vec<_>>>::default();
        let (wake, woken) = mpsc::sync_channel(1);
        let shared = Arc::clone(&files);
        let run = move || run(&log, &shared, &woken, within / 2);
        threads.start("spool sync", run)?;
        Ok(Self { files, wake, directory })
    }

    /// A segment was added to the directory.
    pub(super) fn created(&self) {
        self.written(&self.directory);
    }

    pub(super) fn written(&self, file: &Arc<File>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.iter().any(|known| Arc::ptr_eq(known, file)) {
            files.push(Arc::clone(file));
        }
        drop(files);
        // Awake already, if it cannot be told.
        self.wake.try_send(()).unwrap_or_default();
    }
}

fn run(log: &Log, files: &Mutex<Vec<Arc<File>>>, woken: &Receiver<()>, pause: Duration) {
    while woken.recv().is_ok() {
        // What is written meanwhile is made durable with it.
        thread::sleep(pause);
        #[cfg(feature = "faults")]
        crate::faults::panic_if("spool-sync-panics");
        let files = std::mem::take(&mut *files.lock().unwrap_or_else(PoisonError::into_inner));
        for file in files {
            synchronise(log, &file);
        }
    }
}

pub(super) fn synchronise(log: &Log, file: &File) {
    if let Err(error) = file.sync_data()
        && log.counters.sync_failures.fetch_add(1, Ordering::Relaxed) == 0
    {
        tracing::error!(dir = %log.dir.display(), %error, "spool cannot be made durable");
    }
}
