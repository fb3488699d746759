//! One call: what is asked for, and the answers.

use std::sync::Arc;
use std::time::Duration;

use flow::Batch;
use grpc::stream::{Answer, Answers, Call, RequestError};
use grpc::{Head, Status};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::counts::{Counts, End};
use super::hub::{Following, Hub};
use super::query::Query;
use super::serve::{PATIENCE, Server};

/// How long a client may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(30);

/// Answers `call`, and says how that ended. `is_certified`: the connection has shown a certificate.
pub(super) async fn answer(mut call: Call, is_certified: bool, server: Server) -> End {
    let token = call.token().map(str::to_owned);
    let checked = tokio::select! {
        checked = server.access.check(is_certified, token.as_deref()) => checked,
        // Who goes and comes again asks the API server no more often for it.
        () = call.gone() => return End::Gone,
    };
    if let Err(status) = checked {
        call.refuse(&status);
        return End::Refused;
    }
    let query = match timeout(PATIENCE, call.request()).await {
        Ok(Ok(request)) => Query::read(&request),
        Ok(Err(RequestError::Broken(_))) | Err(_) => return End::Gone,
        Ok(Err(error)) => Err(error.to_string()),
    };
    let query = match query {
        Ok(query) => query,
        Err(why) => {
            call.refuse(&Status::new(Status::INVALID_ARGUMENT, why));
            return End::Invalid;
        }
    };
    let Ok(answers) = call.begin() else { return End::Gone };
    let left = query.most.map(std::num::NonZeroU32::get);
    let clock_ns = server.clock_ns;
    let mut sending =
        Sending { answers, query, left, told_missed: 0, clock_ns, counts: server.counts };
    match sending.run(&server.hub).await {
        Ok(()) => {
            sending.answers.finish(&Status::new(Status::OK, ""));
            End::Done
        }
        Err(Gone) => End::Gone,
    }
}

/// The client is no longer there.
struct Gone;

struct Sending {
    answers: Answers,
    query: Query,
    /// Flows that may still be sent, if there is a limit.
    left: Option<u32>,
    /// What the client knows that it has missed.
    told_missed: u64,
    clock_ns: fn() -> u64,
    counts: Arc<Counts>,
}

impl Sending {
    /// Sends all there is, and what comes if that is wanted.
    async fn run(&mut self, hub: &Hub) -> Result<(), Gone> {
        let (history, following) = if self.query.follows {
            let (history, following) = hub.follow();
            (history, Some(following))
        } else {
            (hub.history(), None)
        };
        // Each batch is let go of once it is sent.
        for batch in history {
            self.send(&batch, 0).await?;
        }
        match following {
            Some(following) => self.follow(following).await,
            None => Ok(()),
        }
    }

    async fn follow(&mut self, mut following: Following) -> Result<(), Gone> {
        while !self.is_done() {
            let batch = tokio::select! {
                batch = following.next() => batch,
                () = self.answers.gone() => return Err(Gone),
            };
            let Some(batch) = batch else { return Ok(()) };
            self.send(&batch, following.missed()).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Sends what is wanted of a batch, and says so if flows were missed.
    async fn send(&mut self, batch: &Batch, missed: u64) -> Result<(), Gone> {
        let mut answer = Answer::default();
        for record in batch.iter() {
            // A query that fits nothing would leave others no time.
            consume_budget().await;
            if self.is_done() {
                break;
            }
            if !self.query.wants(record) {
                continue;
            }
            self.left = self.left.map(|left| left - 1);
            let domain = record.origin.domain;
            answer
                .push(record, &Head { export_time_ns: (self.clock_ns)(), domain, with_ids: true });
            if answer.is_full() {
                self.hand_over(std::mem::take(&mut answer), missed).await?;
            }
        }
        if answer.flows() > 0 || missed > self.told_missed {
            self.hand_over(answer, missed).await?;
        }
        Ok(())
    }

    async fn hand_over(&mut self, mut answer: Answer, missed: u64) -> Result<(), Gone> {
        self.counts.missed.inc_by(missed - self.told_missed);
        self.told_missed = missed;
        answer.dropped(missed);
        let flows = answer.flows();
        let sent = timeout(STALLED, self.answers.send(answer)).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)?;
        self.counts.flows.inc_by(flows.into());
        Ok(())
    }
}
