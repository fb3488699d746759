//! Tasks that a process cannot do without.
//!
//! A daemon whose exporting or storing task has died but whose process lives on looks healthy
//! and loses everything. So each task is watched, and the end of one before shutdown was asked
//! for ends the process.

use std::error::Error;
use std::future::Future;

use tokio::task::{JoinError, JoinSet};

/// Why a task has ended: its own error, or a panic.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A task that ended.
#[derive(Debug, thiserror::Error)]
#[error("{task} ended unexpectedly")]
pub struct Ended {
    pub task: &'static str,
    #[source]
    pub cause: Option<Cause>,
}

/// A task's name, and what became of it.
type Outcome = (&'static str, Result<(), Cause>);

/// Watches a set of tasks.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<Outcome>,
}

impl Supervisor {
    /// Starts a task that is expected to run until shutdown.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            (name, Ok(()))
        });
    }

    /// As [`Supervisor::spawn`], for a task that can say why it ended early.
    pub fn spawn_fallible(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), Cause>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits until any task ends. Never returns while all run or when there are none.
    ///
    /// # Cancel safety
    ///
    /// No end is lost by dropping the future.
    pub async fn any_end(&mut self) -> Ended {
        match self.tasks.join_next().await {
            Some(joined) => ended(joined),
            None => std::future::pending().await,
        }
    }

    /// Waits until every task has ended, as they do once their inputs are closed. Returns the
    /// first failure.
    pub async fn all_end(&mut self) -> Result<(), Ended> {
        let mut all = Ok(());
        while let Some(joined) = self.tasks.join_next().await {
            let ended = ended(joined);
            all = all.and(if ended.cause.is_none() { Ok(()) } else { Err(ended) });
        }
        all
    }
}

fn ended(joined: Result<Outcome, JoinError>) -> Ended {
    match joined {
        Ok((task, outcome)) => Ended { task, cause: outcome.err() },
        Err(cause) => Ended { task: "a task", cause: Some(cause.into()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chain;

    #[tokio::test]
    async fn a_panic_is_the_end_of_a_task() {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("healthy", std::future::pending());
        supervisor.spawn("sick", async { panic!("on purpose") });
        let cause = supervisor.any_end().await.cause.unwrap();
        assert!(cause.downcast_ref::<JoinError>().is_some_and(JoinError::is_panic));
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_cause_once_all_have_ended() {
        let mut supervisor = Supervisor::default();
        let (finish, finished) = tokio::sync::oneshot::channel();
        supervisor.spawn_fallible("sick", async { Err("on purpose".into()) });
        supervisor.spawn("healthy", async {
            tokio::task::yield_now().await;
            finish.send(()).unwrap();
        });
        let ended = supervisor.all_end().await.unwrap_err();
        assert_eq!(Chain(&ended).to_string(), "sick ended unexpectedly: on purpose");
        assert!(finished.await.is_ok(), "the healthy task was waited for");
    }
}
