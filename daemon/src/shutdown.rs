use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears when the process is asked to stop, by SIGTERM or Ctrl-C.
#[derive(Debug)]
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Signals that come from now on are kept until asked for. One that comes earlier ends the
    /// process there and then, or is lost if that is the first of its container: so this comes
    /// first in a daemon. Needs a runtime around it.
    pub fn listen() -> io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Waits until the process is asked to stop, or returns at once if it has been.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost by dropping the future.
    pub async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_nobody_waits_for_yet_is_kept() {
        let mut shutdown = Shutdown::listen().unwrap();
        let this = std::process::id().to_string();
        assert!(Command::new("kill").args(["-TERM", &this]).status().unwrap().success());
        assert_eq!(shutdown.requested().await, "SIGTERM");
    }
}
