//! Ctrl-C and SIGTERM end the demo in order: whoever waits looks at a flag.
//!
//! A thread of its own waits for the signals, since the demo itself is plain blocking
//! code. Programs in the lab are in process groups of their own and do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on the signals no longer end the process by themselves.
    pub(super) fn watch() -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for signals")?;
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            let listen = |kind| signal(kind).context("cannot wait for signals");
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
        };
        let raised = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&raised);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            flag.store(true, Ordering::Relaxed);
        });
        Ok(Self(raised))
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
