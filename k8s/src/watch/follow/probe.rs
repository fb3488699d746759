//! How far the API server is, asked by a short watch beside the one that goes on.
//!
//! A kind at which nothing happens is certain until its last bookmark, of which there is one a
//! minute. API servers send one more 2 s before a watch is to end. So a watch that is asked to
//! last 3 s tells after 1 to 2 s that nothing has happened since the position it began at. If
//! none comes, nothing is known, as without. Nor is it if the bookmark is of an earlier position:
//! of several API servers another one may have answered, which has not come so far.

use std::pin::Pin;
use std::time::Duration;

use kube::api::WatchParams;

use super::Follower;
use crate::client::{Failure, Line, Lines, send};
use crate::watch::wire;

/// How long the short watch is asked to last.
const LASTS: Duration = Duration::from_secs(3);
/// After so long without a byte it is given up.
const SILENCE: Duration = Duration::from_secs(5);

type Asking = Pin<Box<dyn Future<Output = Result<Told, Failure>> + Send>>;

/// What a short watch has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The newest change that came before the bookmark, if any did. [`u64::MAX`] if that has no
    /// number.
    newest: Option<u64>,
    /// Whether the bookmark is not of an earlier position than the watch was asked to begin at.
    has_come_so_far: bool,
    /// When the bookmark came, in milliseconds since 1970.
    at_ms: u64,
}

/// A short watch, or none.
#[derive(Default)]
pub(super) struct Probe(Option<Asking>);

impl Probe {
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn begin(
        &mut self,
        asking: impl Future<Output = Result<Told, Failure>> + Send + 'static,
    ) {
        self.0 = Some(Box::pin(asking));
    }

    /// Resolves when the short watch has told something, or has failed. Never while there is none.
    pub(super) async fn told(&mut self) -> Result<Told, Failure> {
        let Some(asking) = &mut self.0 else { return std::future::pending().await };
        let told = asking.await;
        self.0 = None;
        told
    }
}

impl Follower {
    /// Asks what has happened since `position`.
    pub(super) fn probe(
        &self,
        position: &str,
    ) -> impl Future<Output = Result<Told, Failure>> + Send + 'static {
        let params = WatchParams {
            timeout: u32::try_from(LASTS.as_secs()).ok(),
            field_selector: self.options.selector(self.kind),
            ..WatchParams::default()
        };
        let request = self.watching(&params, position);
        let (client, clock) = (self.connection.client(), self.clock.clone());
        let limit = self.options.object_limit;
        let begun = position.to_owned();
        async move {
            let mut lines = Lines::new(send(&client, request?, SILENCE).await?, limit, SILENCE);
            let mut newest = None;
            loop {
                // One that is too long is a change that we do not see either way.
                let Line::Text(line) = lines.next().await? else { continue };
                let event: wire::Event = serde_json::from_slice(line).map_err(Failure::Garbage)?;
                let object: wire::Bookmark =
                    serde_json::from_str(event.object.get()).map_err(Failure::Garbage)?;
                let version = object.metadata.resource_version;
                if event.kind == "BOOKMARK" {
                    let has_come_so_far = version.is_some_and(|it| !is_before(&it, &begun));
                    return Ok(Told { newest, has_come_so_far, at_ms: clock() });
                }
                let version = version.and_then(|it| it.parse().ok());
                newest = newest.max(Some(version.unwrap_or(u64::MAX)));
            }
        }
    }

    /// Everything is known until the bookmark, if all that came before it has come here as well.
    pub(super) fn probed(&mut self, told: &Result<Told, Failure>) {
        let position = self.position.as_ref().and_then(|position| position.parse::<u64>().ok());
        let known = told.as_ref().is_ok_and(|told| {
            told.has_come_so_far && told.newest.is_none_or(|it| Some(it) <= position)
        });
        self.states.probed(self.kind, known);
        if let Ok(Told { at_ms, .. }) = told
            && known
        {
            self.caught_up = true;
            self.known(*at_ms);
        }
    }
}

/// What is no number can only be the same or not.
fn is_before(version: &str, position: &str) -> bool {
    match (version.parse::<u64>(), position.parse::<u64>()) {
        (Ok(version), Ok(position)) => version < position,
        _ => version != position,
    }
}
