//! Watches: what changed after a version, line by line as it happens.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use super::body::Answer;
use super::counters::Open;
use super::faults::{End, Expiry, Orders};
use super::listener::Reset;
use super::refusal::Refusal;
use super::request::ResourceRequest;
use super::resources::ResourceId;
use super::selector::Selector;
use super::store::{Event, Stored, View};

/// Events put into one chunk.
const BATCH: usize = 500;

/// Chunks that wait for a client to read.
const WAITING: usize = 16;

/// The annotation of the bookmark that ends a streaming list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

struct Watch {
    shared: Arc<Shared>,
    reset: Reset,
    lines: mpsc::Sender<Bytes>,
    resource: ResourceId,
    namespace: String,
    selector: Selector,
    view: View,
    bookmarks: bool,
    /// Everything up to here has been told.
    told: u64,
    until: Instant,
    /// When the bookmark before that comes, if there is time for one.
    last_mark: Option<Instant>,
}

/// Why a watch is over.
enum Over {
    /// Nobody reads any more, or nothing is to be said any more.
    Silently,
    Gone(Refusal),
    Reset,
}

pub(crate) fn start(
    request: ResourceRequest,
    shared: &Arc<Shared>,
    reset: Reset,
) -> Result<Response<Answer>, Refusal> {
    let (resource, selector) = request.selection()?;
    let since = request.number("resourceVersion")?;
    let seconds = match request.number("timeoutSeconds")? {
        0 => 1_800,
        seconds => seconds.min(3_600),
    };
    let streams_list = streams_list(&request, shared)?;
    let (lines, body) = mpsc::channel(WAITING);
    let orders = *shared.orders.borrow();
    let (initial, told, expired) = {
        let state = shared.state();
        let (now, oldest) = (state.store.version(), state.store.oldest());
        if streams_list && since > now {
            return Err(Refusal::too_large(since, now));
        }
        let begins = streams_list || since == 0;
        let expired = (!begins && since < oldest).then(|| Refusal::too_old(since, oldest));
        if let (Some(refusal), Expiry::Status) = (&expired, state.faults.expiry) {
            return Err(refusal.clone());
        }
        let all = state.store.of(resource, &request.namespace);
        let wanted = all.filter(|(_, object)| begins && selector.matches(&object.value));
        let initial: Vec<_> = wanted.map(|(_, object)| Arc::clone(object)).collect();
        (initial, if begins { now } else { since }, expired)
    };
    let open = Open::new(&shared.counters, resource.row().plural);
    let watch = Watch {
        shared: Arc::clone(shared),
        reset,
        lines,
        resource,
        selector,
        view: request.view,
        bookmarks: request.is_set("allowWatchBookmarks"),
        told,
        until: Instant::now() + Duration::from_secs(seconds),
        // As real servers do, for a client that is cut off before the end.
        last_mark: seconds.checked_sub(2).map(|it| Instant::now() + Duration::from_secs(it)),
        namespace: request.namespace,
    };
    tokio::spawn(watch.run(initial, streams_list, expired, orders));
    let answer = Response::builder().header(CONTENT_TYPE, "application/json");
    Ok(answer.body(Answer::Watch { lines: body, _open: open }).expect("the header is valid"))
}

/// Whether the watch begins with what there is, and says where that ends.
fn streams_list(request: &ResourceRequest, shared: &Shared) -> Result<bool, Refusal> {
    let refuse = |field: &str, why: &str| {
        let why = format!("{field}: Forbidden: {why}");
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
        let details = json!({ "group": "meta.k8s.io", "kind": "ListOptions" });
        Err(Refusal::new(422, "Invalid", message).details(details))
    };
    let matched = request.value("resourceVersionMatch");
    if request.value("sendInitialEvents").is_empty() {
        if !matched.is_empty() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                       provided";
            return refuse("resourceVersionMatch", why);
        }
        return Ok(false);
    }
    if shared.state().faults.no_streaming_lists {
        let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is \
                   enabled";
        return refuse("sendInitialEvents", why);
    }
    if matched != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return refuse("resourceVersionMatch", why);
    }
    Ok(request.is_set("sendInitialEvents"))
}

impl Watch {
    async fn run(
        mut self,
        initial: Vec<Arc<Stored>>,
        streams_list: bool,
        expired: Option<Refusal>,
        since: Orders,
    ) {
        let ended = ended(self.shared.orders.subscribe(), since.ends);
        let (lines, reset) = (self.lines.clone(), self.reset.clone());
        let told = async {
            match expired {
                Some(refusal) => Over::Gone(refusal),
                None => match self.tell(&initial, streams_list, since).await {
                    Ok(()) => Over::Silently,
                    Err(over) => over,
                },
            }
        };
        let over = tokio::select! {
            biased;
            how = ended => match how {
                End::Clean => Over::Silently,
                End::Reset => Over::Reset,
                End::Gone => Over::Gone(Refusal::on_command(410, None)),
            },
            () = lines.closed() => Over::Silently,
            over = told => over,
        };
        match over {
            Over::Silently => {}
            Over::Gone(refusal) => {
                let line = line("ERROR", &refusal.status().to_string());
                // If nobody reads, nobody need be told.
                drop(lines.send(line.into()).await);
            }
            Over::Reset => {
                reset.now();
                // The answer must not end cleanly before the connection is reset.
                lines.closed().await;
            }
        }
    }

    /// Tells what there is, if that was asked for, and what happens then until time is up.
    async fn tell(
        &mut self,
        initial: &[Arc<Stored>],
        streams_list: bool,
        since: Orders,
    ) -> Result<(), Over> {
        let mut orders = self.shared.orders.subscribe();
        let mut versions = self.shared.version.subscribe();
        let mut bookmarks = since.bookmarks;
        self.moving(&mut orders).await?;
        self.begin(initial, streams_list).await?;
        loop {
            let last_mark = self.last_mark.unwrap_or(self.until);
            let order = self.moving(&mut orders).await?;
            versions.mark_unchanged();
            self.catch_up(order).await?;
            if order.bookmarks != bookmarks {
                bookmarks = order.bookmarks;
                self.mark(&Value::Null).await?;
            }
            tokio::select! {
                changed = orders.changed() => changed.map_err(|_| Over::Silently)?,
                changed = versions.changed() => changed.map_err(|_| Over::Silently)?,
                () = sleep_until(last_mark), if self.last_mark.is_some() => {
                    self.last_mark = None;
                    self.mark(&Value::Null).await?;
                }
                // As real servers do, so that the next watch starts from here.
                () = sleep_until(self.until) => return self.mark(&Value::Null).await,
            }
        }
    }

    /// Waits while watches are stalled.
    async fn moving(&self, orders: &mut Receiver<Orders>) -> Result<Orders, Over> {
        let order = orders.wait_for(|order| !order.stalled).await;
        order.map(|order| *order).map_err(|_| Over::Silently)
    }

    async fn begin(&self, initial: &[Arc<Stored>], streams_list: bool) -> Result<(), Over> {
        for batch in initial.chunks(BATCH) {
            let lines: String =
                batch.iter().map(|object| line("ADDED", object.text(self.view))).collect();
            self.send(lines).await?;
        }
        if streams_list {
            self.mark(&json!({ INITIAL_EVENTS_END: "true" })).await?;
        }
        Ok(())
    }

    /// Sends what has happened and was not told.
    async fn catch_up(&mut self, order: Orders) -> Result<(), Over> {
        loop {
            let (events, now) = {
                let state = self.shared.state();
                (state.store.after(self.told, BATCH), state.store.version())
            };
            let Some(events) = events else {
                self.shared.counters.send_modify(|counters| counters.watches_too_slow += 1);
                return Err(Over::Gone(Refusal::too_old(self.told, now)));
            };
            let Some(last) = events.last() else {
                self.told = self.told.max(now);
                return Ok(());
            };
            let told = last.version;
            let mut lines = String::new();
            for event in &events {
                let Some(line) = self.line_of(event) else { continue };
                for _ in 0..=order.duplicates {
                    lines.push_str(&line);
                }
            }
            if !order.delay.is_zero() {
                sleep(order.delay).await;
            }
            if !lines.is_empty() {
                self.send(lines).await?;
            }
            self.told = told;
        }
    }

    /// What an event means to this client: an object may come into its selection, and leave it.
    fn line_of(&self, event: &Event) -> Option<String> {
        let elsewhere = !self.namespace.is_empty() && event.namespace != self.namespace;
        if event.resource != self.resource || elsewhere {
            return None;
        }
        let wanted = |object: &Arc<Stored>| self.selector.matches(&object.value);
        let was = event.before.as_ref().is_some_and(wanted);
        let is = !event.deleted && wanted(&event.object);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(line(kind, event.object.text(self.view)))
    }

    /// Sends a bookmark, if the client wants them.
    async fn mark(&self, annotations: &Value) -> Result<(), Over> {
        if !self.bookmarks {
            return Ok(());
        }
        let row = self.resource.row();
        let (kind, api_version) = match self.view {
            View::Whole => (row.kind, row.api_version()),
            View::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut metadata = json!({ "resourceVersion": self.told.to_string() });
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        self.send(line("BOOKMARK", &object.to_string())).await
    }

    async fn send(&self, lines: String) -> Result<(), Over> {
        self.lines.send(lines.into()).await.map_err(|_| Over::Silently)
    }
}

/// Resolves when watches are told to end.
async fn ended(mut orders: Receiver<Orders>, obeyed: u64) -> End {
    let told = orders.wait_for(|order| order.ends != obeyed).await;
    told.map_or(None, |order| order.how).unwrap_or(End::Clean)
}

fn line(kind: &str, object: &str) -> String {
    let mut text = String::with_capacity(object.len() + 40);
    writeln!(text, "{{\"type\":\"{kind}\",\"object\":{object}}}").expect("a text takes any text");
    text
}
