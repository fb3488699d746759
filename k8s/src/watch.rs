//! Objects of the API server, followed for ever: one task per kind, one picture of all.
//!
//! ```text
//!  API server ──► one task per kind: list, then watch; trim ──► queue ──► one task: the tracker
//!                 anew after any failure, counted by reason     1,024     publishes snapshots
//! ```
//!
//! Whatever becomes of one kind, the others go on. Nothing but the end of the future ends a
//! watch: what the API server refuses or breaks is counted, told, and tried again.
mod wire; // what is read of the API server's JSON
mod trim; // JSON, made into objects of ours
mod backoff; // how long to wait before trying again
mod follow; // one kind, listed and followed
mod state; // how each kind is doing
mod watching; // what is shown of all that

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};

use crate::client::{self, Access, Answered, Connection, Rule};
use crate::objects::{Change, Kind};
use crate::tracker::{Stats, Tracker};
use follow::Follower;
use state::States;

pub use backoff::Retry;
pub use state::{Denied, KindState, Left, LeftOut, Restarts};
pub use watching::Watching;

/// Changes that wait to be taken.
const QUEUE: usize = 1_024;
/// How often it is said until when everything is known.
const TICK: Duration = Duration::from_secs(1);
/// How long the start may wait for answers about what is allowed.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// Tells milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What to watch, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub kinds: Vec<Kind>,
    /// Only the Pods of this Node, where that is enough.
    pub node: Option<String>,
    /// Whether lists are streamed by API servers that can (Kubernetes 1.27), an object at a time.
    pub stream_lists: bool,
    /// Objects on a page of a list that is not streamed.
    pub page_size: u32,
    /// The largest page that is read, in bytes. If one is larger, pages get smaller.
    pub page_limit: usize,
    /// The largest object that is read, in bytes of JSON. API servers store none above 1.5 MiB.
    pub object_limit: usize,
    /// After so long without a byte (or half as much again) a watch is given up. API servers send
    /// a bookmark about once a minute.
    pub silence: Duration,
    pub retry: Retry,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kinds: Kind::ALL.to_vec(),
            node: None,
            stream_lists: true,
            page_size: 500,
            page_limit: 64 << 20,
            object_limit: 8 << 20,
            silence: Duration::from_secs(150),
            retry: Retry::default(),
        }
    }
}

impl Options {
    fn selector(&self, kind: Kind) -> Option<String> {
        let node = self.node.as_ref().filter(|_| kind == Kind::Pod)?;
        Some(format!("spec.nodeName={node}"))
    }
}

/// A change, and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub change: Change,
    /// Milliseconds since 1970. That a list begins is dated to when it was asked for.
    pub at_ms: u64,
}

/// What whoever keeps the picture is told.
#[derive(Debug)]
pub enum News<'a> {
    /// As many changes as are there, in the order in which they were seen.
    Changes(&'a mut Vec<Seen>),
    /// Whatever of this kind the API server told until then has been taken: it was heard of at
    /// that time. About once a second while the kind is followed without a gap. A connection that
    /// dies silently does not move it on, nor one at which nothing happens before the next
    /// bookmark comes, nor a watch that goes on from an old position before its first bookmark.
    Known { kind: Kind, until_ms: u64 },
}

/// The task that follows a kind is gone, which it never should be.
#[derive(Debug, thiserror::Error)]
#[error("watching has ended by itself")]
pub struct WatchingEnded;

/// All watches of a process.
pub struct Watches {
    connection: Arc<Connection>,
    options: Arc<Options>,
    states: Arc<States>,
    clock: Clock,
}

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watches").field("options", &self.options).finish_non_exhaustive()
    }
}

/// How watching goes; lives on beside it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<States>);

impl Progress {
    /// Each kind that is watched.
    pub fn kinds(&self) -> Vec<(Kind, KindState)> {
        self.0.all()
    }

    /// What was missing when watching began: what the API server did not allow.
    pub fn missing(&self) -> Vec<Rule> {
        Rule::allowing(&self.0.missing())
    }

    /// What the tracker has not taken in, if [`Watches::track`] runs.
    pub fn tracker_stats(&self) -> Stats {
        self.0.tracker_stats()
    }

    /// Wants to know soon how far the API server is with `kind`, whose watch tells little while
    /// nothing happens. Costs it a watch of some seconds; it is for the caller not to ask often.
    pub fn want(&self, kind: Kind) {
        self.0.want(kind);
    }

    /// Becomes `true`, for good, when each kind has been listed once and that list taken, or the
    /// kind is denied or absent: what is not allowed must not keep the rest waiting.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.0.ready()
    }
}

impl Watches {
    pub fn new(connection: Arc<Connection>, mut options: Options, clock: Clock) -> Self {
        options.kinds.sort_unstable();
        options.kinds.dedup();
        let states = Arc::new(States::new(&options.kinds));
        Self { connection, options: Arc::new(options), states, clock }
    }

    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.states))
    }

    /// Watches until the future is dropped; what is seen goes through `tracker`, which publishes a
    /// snapshot after each batch of changes.
    pub async fn track(self, mut tracker: Tracker) -> Result<Infallible, WatchingEnded> {
        let states = Arc::clone(&self.states);
        let take = |news: News<'_>| {
            match news {
                News::Changes(changes) => {
                    for Seen { change, at_ms } in changes.drain(..) {
                        tracker.apply(change, at_ms);
                    }
                }
                News::Known { kind, until_ms } => tracker.advance_kind(kind, until_ms),
            }
            tracker.publish();
            states.tracked(tracker.stats());
        };
        self.run(take).await
    }

    /// Watches until the future is dropped, and gives news to `take` in the order in which they
    /// were seen. What `take` makes of them should be visible to others when it returns.
    pub async fn run(self, mut take: impl FnMut(News<'_>)) -> Result<Infallible, WatchingEnded> {
        self.check_access().await;
        let (sender, mut queue) = mpsc::channel(QUEUE);
        // Dropped with this future, they end.
        let mut tasks = self.follow_all(&sender);
        drop(sender);
        let mut batch = Vec::with_capacity(QUEUE);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                count = queue.recv_many(&mut batch, QUEUE) => {
                    // A task that lasts holds the queue open.
                    if count == 0 { return Err(WatchingEnded) }
                    self.taken(&mut batch, &mut take);
                },
                _ = tick.tick() => {
                    // In this order: what was told before is in the queue, or has been taken.
                    let known = self.states.known((self.clock)());
                    if queue.is_empty() {
                        for (kind, until_ms) in known {
                            take(News::Known { kind, until_ms });
                        }
                    }
                },
                // A panic is all that ends one.
                Some(_ended) = tasks.join_next() => return Err(WatchingEnded),
            }
        }
    }

    /// Asks the API server which of the accesses that watching needs it allows, and logs the
    /// missing rules in one message. Watching works without: then each 403 is told by itself.
    async fn check_access(&self) {
        let accesses = Access::all(&self.options.kinds);
        let client = self.connection.client();
        let check = client::check(&client, &accesses, self.options.silence);
        let Ok(report) = timeout(CHECK_WITHIN, check).await else {
            tracing::warn!(within = ?CHECK_WITHIN, "API server does not say what it allows");
            return;
        };
        if !report.missing.is_empty() {
            let by_trial = report.answered == Answered::ByTrial;
            tracing::error!(by_trial, "API server lacks rules of the ClusterRole:\n{report}");
        }
        if let Some((_, error)) = report.unknown.first() {
            let error = config::Chain(error);
            tracing::warn!(%error, "API server does not say what it allows");
        }
        self.states.checked(report.missing);
    }

    fn follow_all(&self, changes: &mpsc::Sender<Seen>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for &kind in &self.options.kinds {
            let (connection, options) = (Arc::clone(&self.connection), Arc::clone(&self.options));
            let (states, clock) = (Arc::clone(&self.states), Arc::clone(&self.clock));
            let changes = changes.clone();
            tasks.spawn(Follower::new(kind, connection, options, states, changes, clock).run());
        }
        tasks
    }

    fn taken(&self, batch: &mut Vec<Seen>, take: &mut impl FnMut(News<'_>)) {
        let listed = lists_in(batch);
        take(News::Changes(batch));
        batch.clear();
        for kind in listed {
            self.states.synced(kind, (self.clock)());
        }
    }
}

fn lists_in(batch: &[Seen]) -> Vec<Kind> {
    let listed = |seen: &Seen| match seen.change {
        Change::ListEnded(kind) => Some(kind),
        _ => None,
    };
    batch.iter().filter_map(listed).collect()
}
