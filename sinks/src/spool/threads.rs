//! The spool's threads, each of which is there for as long as the spool.

use std::io;
use std::thread;

use tokio::sync::watch;

/// Starts threads, and knows of one that panicked. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Threads {
    /// The name of the first that did.
    panicked: watch::Sender<Option<&'static str>>,
}

impl Threads {
    pub(super) fn start(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let watched = Watched { name, panicked: self.panicked.clone() };
        let run = move || {
            let _watched = watched;
            work();
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
    }

    /// Waits until a thread panics; returns its name.
    pub(super) async fn any_panic(&self) -> &'static str {
        let mut panicked = self.panicked.subscribe();
        loop {
            if let Some(name) = *panicked.borrow_and_update() {
                return name;
            }
            // The sender is this one's own.
            panicked.changed().await.unwrap_or_default();
        }
    }
}

/// Dropped by its thread when that ends.
struct Watched {
    name: &'static str,
    panicked: watch::Sender<Option<&'static str>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            self.panicked.send_modify(|first| *first = first.or(Some(self.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_of_and_an_end_is_not() {
        let threads = Threads::default();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        threads.start("healthy", move || ended.recv().unwrap_or_default()).unwrap();
        drop(end);
        threads.start("sick", || panic!("on purpose")).unwrap();
        assert_eq!(threads.any_panic().await, "sick");
        assert_eq!(threads.any_panic().await, "sick", "whenever that is asked");
    }
}
