//! Which policy and rule an id on a connection means, as the Agent of this Node tells.
//!
//! ```text
//!  tables of rules ──► which ids there are ──┐
//!  policies, and the flows of each ──────────┴─► book ──► look-ups, by id and time
//! ```
//!
//! Tables are looked at every few seconds. Policies are asked for when there are ids whose rule is
//! not known, and their flows when they have changed or are the only ones that may have such an
//! id. Without an Agent's API no policy is named, and each is counted.
mod book; // what each id has meant, and when
mod few; // lists of which only so much is kept
mod flows; // ids in the text of flows
mod listed; // policies, and which of their rules has which id

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow::{Name, PolicyRule, Shared};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::agent::{Agent, AskError, Session};
use super::counts::Counts;
use crate::deny::Direction;
use book::{Book, REUSE_MS};
use few::Few;
use flows::RuleFlow;
use listed::Policy;

pub use book::Unnamed;

/// How often tables are looked at.
const PERIOD: Duration = Duration::from_secs(3);
/// How soon after a look the next may follow that somebody wants.
const PAUSE: Duration = Duration::from_secs(1);
/// Policies whose flows are asked for in one look. Each costs the Agent a dump of its own.
const POLICIES_PER_LOOK: usize = 32;
/// Flows of one answer that are read.
const FLOWS: usize = 200_000;
/// The tables of rules: since Antrea 1.6 by name, before by number.
const TABLES: [[&str; 2]; 4] = [
    ["AntreaPolicyEgressRule", "45"],
    ["EgressRule", "50"],
    ["AntreaPolicyIngressRule", "85"],
    ["IngressRule", "90"],
];

/// Names rules by their ids. Copies look into the same book.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    book: Arc<Mutex<Book>>,
    wanted: Arc<Notify>,
}

impl Policies {
    /// The rule that decided about a connection that began at `began_ms` (milliseconds since 1970)
    /// and has this id on it.
    pub fn find(
        &self,
        id: u32,
        direction: Direction,
        began_ms: u64,
    ) -> Result<Shared<PolicyRule>, Unnamed> {
        let book = self.book();
        let found = book.find(id, direction, began_ms).cloned();
        if matches!(found, Err(why) if book.is_worth_a_look(id, why, began_ms)) {
            self.wanted.notify_one();
        }
        found
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // What a panic could leave is a rule too little.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the Agent again and again.
#[derive(Debug)]
pub struct Asker {
    agent: Agent,
    policies: Policies,
    counts: Arc<Counts>,
    clock: fn() -> u64,
    /// Which version of a policy its flows were asked for, and in which look.
    asked: HashMap<Name, (u64, u64)>,
    /// It does not work just now, which has been told.
    failing: bool,
}

impl Asker {
    /// `clock` tells milliseconds since 1970.
    pub fn new(agent: Agent, policies: Policies, counts: Arc<Counts>, clock: fn() -> u64) -> Self {
        Self { agent, policies, counts, clock, asked: HashMap::new(), failing: false }
    }

    /// Asks until the future is dropped.
    pub async fn run(mut self) {
        loop {
            let begun = Instant::now();
            self.look_and_tell().await;
            let wanted = Arc::clone(&self.policies.wanted);
            tokio::select! {
                () = sleep_until(begun + PERIOD) => {}
                () = wanted.notified() => sleep_until(begun + PAUSE).await,
            }
        }
    }

    async fn look_and_tell(&mut self) {
        match self.look().await {
            Ok(()) => {
                self.counts.agent_looks.inc();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("Antrea Agent tells policies again");
                }
            }
            Err(error) => {
                self.counts.agent_failed(error.name());
                if !std::mem::replace(&mut self.failing, true) {
                    let error = daemon::Chain(&error);
                    tracing::warn!(%error, "Antrea Agent tells no policies, which have no names");
                }
            }
        }
    }

    /// Looks at all rules once.
    async fn look(&mut self) -> Result<(), AskError> {
        let (mut session, began_ms) = self.agent.connect().await?;
        if let Some(began_ms) = began_ms {
            self.policies.book().agent_began(began_ms);
            self.asked.clear();
        }
        let asked_ms = (self.clock)();
        let mut shown = Vec::new();
        for names in TABLES {
            shown.extend(self.table(&mut session, names).await?);
        }
        let ids: Vec<_> = shown.iter().map(|flow| (flow.id, flow.direction)).collect();
        let (is_searching, look) = {
            let mut book = self.policies.book();
            book.look(&ids, asked_ms, (self.clock)());
            self.counts.book(book.forgotten, book.refused);
            (book.is_searching(asked_ms), book.looks())
        };
        if is_searching { self.ask_policies(&mut session, asked_ms, look).await } else { Ok(()) }
    }

    /// Flows of one table; none if this Agent has no such table.
    async fn table(
        &self,
        session: &mut Session,
        names: [&str; 2],
    ) -> Result<Vec<RuleFlow>, AskError> {
        for name in names {
            match session.get(&format!("/ovsflows?table={name}")).await {
                Ok(json) => return self.flows(&json),
                Err(AskError::Refused(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    /// Asks for the flows of policies until each id has its rule, the longest not asked first. An id
    /// that none of them has rests.
    async fn ask_policies(
        &mut self,
        session: &mut Session,
        asked_ms: u64,
        look: u64,
    ) -> Result<(), AskError> {
        let json = session.get("/networkpolicies").await?;
        let (mut policies, useless) = listed::read(&json).map_err(AskError::Content)?;
        self.counts.policies_unreadable.inc_by(useless);
        self.asked.retain(|uid, _| policies.iter().any(|policy| policy.uid == *uid));
        policies.sort_by_cached_key(|policy| self.last_asked(policy));
        for policy in policies.iter().take(POLICIES_PER_LOOK) {
            if !self.policies.book().is_searching(asked_ms) {
                break;
            }
            let flows = self.flows_of(session, policy).await?;
            if (self.clock)().saturating_sub(asked_ms) >= REUSE_MS {
                // By now an id may mean another rule than in the tables.
                break;
            }
            let mut book = self.policies.book();
            for (id, direction, rule) in policy.meanings(&flows) {
                book.resolve(id, direction, rule);
            }
            self.asked.insert(policy.uid.clone(), (policy.version, look));
        }
        let first = policies.iter().map(|policy| self.last_asked(policy)).min();
        self.policies.book().have_asked_all(first.unwrap_or(look), asked_ms);
        Ok(())
    }

    /// In which look the flows of a policy as it is now were last asked for; 0 for never.
    fn last_asked(&self, policy: &Policy) -> u64 {
        let asked = self.asked.get(&policy.uid);
        asked.filter(|(version, _)| *version == policy.version).map_or(0, |(_, look)| *look)
    }

    /// Flows of one policy; none if it is enforced for nobody here.
    async fn flows_of(
        &self,
        session: &mut Session,
        policy: &Policy,
    ) -> Result<Vec<RuleFlow>, AskError> {
        for question in policy.questions() {
            match session.get(&question).await {
                Ok(json) => return self.flows(&json),
                Err(AskError::Refused(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    fn flows(&self, json: &[u8]) -> Result<Vec<RuleFlow>, AskError> {
        let texts: Few<FlowText, FLOWS> =
            serde_json::from_slice(json).map_err(AskError::Content)?;
        self.counts.flows_cut.inc_by(texts.more as u64);
        Ok(texts.kept.iter().filter_map(|text| flows::read(&text.flow)).collect())
    }
}

#[derive(Deserialize)]
struct FlowText<'a> {
    #[serde(borrow)]
    flow: std::borrow::Cow<'a, str>,
}
