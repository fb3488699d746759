//! One kind of object, listed and followed for as long as somebody listens.
//!
//! A list is streamed (`sendInitialEvents`, Kubernetes 1.27), or read by pages from an API server
//! that streams none. From where it ends a watch goes on. When a watch is over it goes on from
//! where it stood; where that is not possible there is a new list. So the picture is right again
//! after any failure, and nothing ends this but that nobody listens any more.
mod probe; // how far the API server is, asked
mod recover; // what follows a failure

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{ListParams, WatchParams};
use rand::RngExt as _;
use tokio::sync::mpsc::Sender;

use super::backoff::Backoff;
use super::state::{LeftOut, States};
use super::trim::{Identity, Trimmer, Versioned};
use super::{Clock, Options, Seen, wire};
use crate::client::{
    Connection, Failure, Line, Lines, Reason, Refusal, Resource, Verb, read, send,
};
use crate::objects::{Change, Kind};
use probe::Probe;

/// How long a watch is asked to last, in seconds: less than proxies on the way allow.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 240..=290;

/// How lists come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Streamed,
    /// By pages, since the API server does not stream them.
    Paged,
    /// The next one by pages, since the last one came to nothing; streamed again afterwards.
    PagedOnce,
}

pub(super) struct Follower {
    kind: Kind,
    resource: Resource,
    connection: Arc<Connection>,
    options: Arc<Options>,
    states: Arc<States>,
    changes: Sender<Seen>,
    clock: Clock,
    trimmer: Trimmer,
    backoff: Backoff,
    /// From where a watch can go on; none before a list is complete.
    position: Option<String>,
    /// What was missed since `position` has come. A watch that goes on from there may have a long
    /// way to go, and nothing in an event tells how long; only a bookmark does, which comes after.
    caught_up: bool,
    /// Where the last list ended, or a watch stood after it. Only to tell.
    newest: u64,
    lists: Lists,
    page_size: u32,
    /// When the last list was asked for: it shows at least what there was then.
    asked_ms: u64,
    /// What is being done, in case it is denied.
    verb: Verb,
    /// It does not work just now, which has been told.
    failing: bool,
}

impl Follower {
    pub(super) fn new(
        kind: Kind,
        connection: Arc<Connection>,
        options: Arc<Options>,
        states: Arc<States>,
        changes: Sender<Seen>,
        clock: Clock,
    ) -> Self {
        Self {
            kind,
            resource: Resource::of(kind),
            trimmer: Trimmer::new(kind),
            backoff: Backoff::new(options.retry),
            position: None,
            caught_up: false,
            newest: 0,
            asked_ms: 0,
            lists: if options.stream_lists { Lists::Streamed } else { Lists::Paged },
            page_size: options.page_size,
            verb: Verb::List,
            failing: false,
            connection,
            options,
            states,
            changes,
            clock,
        }
    }

    /// Follows until nobody listens any more.
    pub(super) async fn run(mut self) {
        loop {
            let generation = self.connection.generation();
            let Err(failure) = self.follow().await;
            if matches!(failure, Failure::Unheard) {
                return;
            }
            self.recover(&failure, generation).await;
        }
    }

    async fn follow(&mut self) -> Result<Infallible, Failure> {
        loop {
            match self.position.clone() {
                None if self.lists == Lists::Streamed => self.watch(None).await?,
                None => self.list().await?,
                Some(position) => self.watch(Some(&position)).await?,
            };
        }
    }

    /// Watches from `position`, or from a list that is streamed first.
    async fn watch(&mut self, position: Option<&str>) -> Result<Infallible, Failure> {
        self.verb = Verb::Watch;
        let silence = self.silence();
        let params = WatchParams {
            timeout: Some(rand::rng().random_range(WATCH_SECONDS)),
            field_selector: self.options.selector(self.kind),
            send_initial_events: position.is_none(),
            ..WatchParams::default()
        };
        if position.is_none() {
            self.asked_ms = (self.clock)();
        }
        let request = self.watching(&params, position.unwrap_or_default())?;
        let body = send(&self.connection.client(), request, silence).await?;
        let mut lines = Lines::new(body, self.options.object_limit, silence);
        self.caught_up = false;
        if position.is_none() {
            self.tell_at(self.asked_ms, Change::ListBegun(self.kind)).await?;
        } else {
            self.works();
        }
        let mut probe = Probe::default();
        loop {
            match self.line(&mut lines, &mut probe).await? {
                Line::Text(line) => self.event(line).await?,
                Line::TooLong => self.left_out(LeftOut::TooLarge),
            }
        }
    }

    fn watching(
        &self,
        params: &WatchParams,
        from: &str,
    ) -> Result<http::Request<Vec<u8>>, Failure> {
        let request = self.resource.request();
        let request = if self.resource.metadata_only {
            request.watch_metadata(params, from)
        } else {
            request.watch(params, from)
        };
        request.map_err(Failure::Unmade)
    }

    /// The next line. While it does not come, the API server is asked how far it is, if somebody
    /// wants to know; that does not make the wait for the line begin anew.
    async fn line<'a>(
        &mut self,
        lines: &'a mut Lines,
        probe: &mut Probe,
    ) -> Result<Line<'a>, Failure> {
        let next = lines.next();
        tokio::pin!(next);
        let states = Arc::clone(&self.states);
        loop {
            tokio::select! {
                biased;
                line = &mut next => return line,
                told = probe.told() => self.probed(&told),
                () = states.wanted(self.kind), if probe.is_idle() => {
                    if let Some(position) = &self.position {
                        probe.begin(self.probe(position));
                    }
                }
            }
        }
    }

    async fn event(&mut self, line: &[u8]) -> Result<(), Failure> {
        let event: wire::Event = serde_json::from_slice(line).map_err(Failure::Garbage)?;
        let json = event.object.get();
        self.seen();
        let follows = self.position.is_some();
        match event.kind.as_str() {
            "ADDED" | "MODIFIED" => self.applied(json).await?,
            "DELETED" => self.deleted(json).await?,
            "BOOKMARK" => self.bookmark(json).await?,
            "ERROR" => {
                let status = serde_json::from_str::<kube::core::Status>(json);
                return Err(Failure::Refused(Refusal::from(status.map_err(Failure::Garbage)?)));
            }
            // None are known, and a new one need not concern us.
            _ => {}
        }
        if follows && self.caught_up {
            // Not before it is told: what is known has been taken, or waits to be.
            self.known((self.clock)());
        }
        Ok(())
    }

    async fn applied(&mut self, json: &str) -> Result<(), Failure> {
        match self.trimmer.object(json) {
            Ok(Versioned { version, object }) => {
                self.move_on(version)?;
                self.tell(Change::Applied(object)).await
            }
            Err(why) => {
                self.left_out(why);
                Ok(())
            }
        }
    }

    async fn deleted(&mut self, json: &str) -> Result<(), Failure> {
        match self.trimmer.identity(json) {
            Ok(Versioned { version, object: Identity { uid, namespace, name } }) => {
                self.move_on(version)?;
                self.tell(Change::Deleted { kind: self.kind, namespace, name, uid }).await
            }
            Err(why) => {
                self.left_out(why);
                Ok(())
            }
        }
    }

    async fn bookmark(&mut self, json: &str) -> Result<(), Failure> {
        let wire::Bookmark { metadata } = serde_json::from_str(json).map_err(Failure::Garbage)?;
        if self.position.is_some() {
            self.caught_up = true;
            return self.move_on(metadata.resource_version);
        }
        let marks = metadata.annotations.unwrap_or_default();
        if !marks.contains_key("k8s.io/initial-events-end") {
            // It would have come before this bookmark. Old API servers do not know what was asked.
            return Err(Failure::Unstreamed);
        }
        self.listed(metadata.resource_version).await
    }

    /// Reads a list by pages.
    async fn list(&mut self) -> Result<Infallible, Failure> {
        self.verb = Verb::List;
        let mut next = None;
        loop {
            let is_first = next.is_none();
            if is_first {
                self.asked_ms = (self.clock)();
            }
            let page = self.page(next).await?;
            if is_first {
                self.tell_at(self.asked_ms, Change::ListBegun(self.kind)).await?;
            }
            let page: wire::Page = serde_json::from_slice(&page).map_err(Failure::Garbage)?;
            for item in page.items.unwrap_or_default() {
                if item.get().len() > self.options.object_limit {
                    self.left_out(LeftOut::TooLarge);
                } else {
                    self.applied(item.get()).await?;
                }
            }
            next = page.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                self.listed(page.metadata.resource_version).await?;
                if self.lists == Lists::PagedOnce {
                    self.lists = Lists::Streamed;
                }
                let position = self.position.clone();
                return self.watch(position.as_deref()).await;
            }
        }
    }

    async fn page(&mut self, next: Option<String>) -> Result<Vec<u8>, Failure> {
        let params = match self.options.selector(self.kind) {
            // Few objects, which the API server has at hand. To find them page by page, it would
            // have to read all there are. Unless they were too large for one.
            Some(selector) if self.page_size == self.options.page_size => {
                ListParams::default().match_any().fields(&selector)
            }
            field_selector => ListParams {
                field_selector,
                limit: Some(self.page_size),
                continue_token: next,
                ..ListParams::default()
            },
        };
        let request = self.resource.request();
        let request = if self.resource.metadata_only {
            request.list_metadata(&params)
        } else {
            request.list(&params)
        };
        let request = request.map_err(Failure::Unmade)?;
        let silence = self.silence();
        let body = send(&self.connection.client(), request, silence).await?;
        self.seen();
        let page = read(body, self.options.page_limit, silence).await;
        if matches!(page, Err(Failure::TooLong(_))) {
            self.page_size = (self.page_size / 2).max(1);
        }
        page
    }

    /// A list is complete, and holds what there was at `version`.
    async fn listed(&mut self, version: Option<String>) -> Result<(), Failure> {
        let version = version.filter(|version| !version.is_empty());
        let version = version.ok_or(Failure::Unversioned)?;
        let number = version.parse().unwrap_or(self.newest);
        if number < self.newest {
            let (kind, from, to) = (self.kind.name(), self.newest, number);
            tracing::warn!(kind, from, to, "API server was restored to the past");
            self.states.restarted(self.kind, Reason::WentBack);
        }
        self.newest = number;
        self.position = Some(version);
        self.caught_up = true;
        self.works();
        self.tell(Change::ListEnded(self.kind)).await?;
        self.known(self.asked_ms);
        Ok(())
    }

    /// What the API server sends while a watch goes on is newer than what it sent before.
    fn move_on(&mut self, version: Option<String>) -> Result<(), Failure> {
        let (Some(position), Some(version)) = (&mut self.position, version) else { return Ok(()) };
        let (from, to) = (position.parse::<u64>(), version.parse::<u64>());
        if let Ok(to) = to {
            self.newest = to;
            if let Some(from) = from.ok().filter(|&from| to < from) {
                return Err(Failure::WentBack { from, to });
            }
        }
        *position = version;
        Ok(())
    }

    async fn tell(&mut self, change: Change) -> Result<(), Failure> {
        self.tell_at((self.clock)(), change).await
    }

    pub(super) async fn tell_at(&mut self, at_ms: u64, change: Change) -> Result<(), Failure> {
        let left = self.trimmer.take_left();
        self.states.change(self.kind, |state| {
            state.events +=
                u64::from(matches!(change, Change::Applied(_) | Change::Deleted { .. }));
            state.left_out.add(&left);
        });
        self.changes.send(Seen { change, at_ms }).await.map_err(|_nobody| Failure::Unheard)
    }

    fn seen(&self) {
        let now = (self.clock)();
        self.states.change(self.kind, |state| state.last_event_ms = Some(now));
    }

    fn known(&self, until_ms: u64) {
        self.states.change(self.kind, |state| state.known_ms = Some(until_ms));
    }

    fn left_out(&mut self, why: LeftOut) {
        let mut left = self.trimmer.take_left();
        left.count(why);
        self.states.change(self.kind, |state| state.left_out.add(&left));
    }

    /// Half as much again at most, so that many watches of one server do not end together.
    fn silence(&self) -> Duration {
        self.options.silence.mul_f64(rand::rng().random_range(1.0..1.5))
    }

    fn works(&mut self) {
        self.states.follows(self.kind, (self.clock)());
        if std::mem::take(&mut self.failing) {
            tracing::info!(kind = self.kind.name(), "API server is watched again");
        }
    }
}
