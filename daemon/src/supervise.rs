//! Tasks that a process cannot do without.
//!
//! A daemon whose exporting or storing task has died but whose process lives on looks healthy
//! and loses everything. So each task is watched, and the end of one before shutdown was asked
//! for ends the process.

use std::future::Future;

use tokio::task::{JoinError, JoinSet};

/// A task that ended.
#[derive(Debug, thiserror::Error)]
#[error("{task} ended unexpectedly")]
pub struct Ended {
    pub task: &'static str,
    #[source]
    pub cause: Option<JoinError>,
}

/// Watches a set of tasks.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<&'static str>,
}

impl Supervisor {
    /// Starts a task that is expected to run until shutdown.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits until any task ends. Never returns while all run or when there are none.
    pub async fn any_end(&mut self) -> Ended {
        match self.tasks.join_next().await {
            Some(Ok(task)) => Ended { task, cause: None },
            Some(Err(cause)) => Ended { task: "a task", cause: Some(cause) },
            None => std::future::pending().await,
        }
    }

    /// Waits until every task has ended, as they do once their inputs are closed.
    pub async fn all_end(&mut self) -> Result<(), Ended> {
        while let Some(end) = self.tasks.join_next().await {
            end.map_err(|cause| Ended { task: "a task", cause: Some(cause) })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_end_of_a_task() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("healthy", std::future::pending());
        supervisor.spawn("sick", async { panic!("on purpose") });
        assert!(supervisor.any_end().await.cause.is_some_and(|cause| cause.is_panic()));
    }
}
