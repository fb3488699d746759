//! Lists, in pages that show one moment however long the client takes to walk them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::refusal::Refusal;
use super::request::ResourceRequest;
use super::resources::Resource;
use super::store::{Store, Stored, View};

/// Walks that can be continued; beyond it the oldest expires.
const WALKS: usize = 64;

/// What is left of lists that were asked for in pages.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    begun: u64,
    open: VecDeque<Walk>,
}

#[derive(Clone, Debug)]
struct Walk {
    id: u64,
    version: u64,
    objects: Arc<[Arc<Stored>]>,
}

/// Objects of one moment, and how to ask for those after them.
pub(crate) struct Page {
    pub(crate) version: u64,
    pub(crate) objects: Vec<Arc<Stored>>,
    /// Token, and how many remain.
    next: Option<(String, usize)>,
}

impl Walks {
    /// Forgets them all: continuing one is then answered with 410.
    pub(crate) fn expire(&mut self) {
        self.open.clear();
    }

    pub(crate) fn page(
        &mut self,
        store: &Store,
        request: &ResourceRequest,
    ) -> Result<Page, Refusal> {
        let token = request.value("continue");
        let version = request.value("resourceVersion");
        if !token.is_empty() && !matches!(version, "" | "0") {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Refusal::bad_request(message));
        }
        // What may be of any version is served from a cache, which knows no pages.
        let limit = if version == "0" { 0 } else { request.number("limit")? };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (walk, offset) =
            if token.is_empty() { (begin(store, request)?, 0) } else { self.resume(token)? };
        let left = walk.objects.len() - offset;
        if limit == 0 || left <= limit {
            let objects = walk.objects[offset..].to_vec();
            return Ok(Page { version: walk.version, objects, next: None });
        }
        let objects = walk.objects[offset..offset + limit].to_vec();
        let version = walk.version;
        let next = self.keep(walk, offset + limit);
        Ok(Page { version, objects, next: Some((next, left - limit)) })
    }

    /// The token for what comes after `offset`.
    fn keep(&mut self, mut walk: Walk, offset: usize) -> String {
        if walk.id > 0 {
            return format!("{}-{offset}", walk.id);
        }
        self.begun += 1;
        walk.id = self.begun;
        if self.open.len() == WALKS {
            self.open.pop_front();
        }
        self.open.push_back(walk);
        format!("{}-{offset}", self.begun)
    }

    fn resume(&self, token: &str) -> Result<(Walk, usize), Refusal> {
        let (id, offset) = token.split_once('-').unwrap_or_default();
        let malformed = |_| Refusal::bad_request("continue key is not valid");
        let id: u64 = id.parse().map_err(malformed)?;
        let offset: usize = offset.parse().map_err(malformed)?;
        let walk = self.open.iter().find(|walk| walk.id == id && offset <= walk.objects.len());
        Ok((walk.ok_or_else(Refusal::continue_too_old)?.clone(), offset))
    }
}

fn begin(store: &Store, request: &ResourceRequest) -> Result<Walk, Refusal> {
    let (resource, selector) = request.selection()?;
    let (current, asked) = (store.version(), request.number("resourceVersion")?);
    if asked > current {
        return Err(Refusal::too_large(asked, current));
    }
    if request.value("resourceVersionMatch") == "Exact" && asked != current {
        return Err(Refusal::too_old(asked, current));
    }
    let all = store.of(resource, &request.namespace);
    let wanted = all.filter(|(_, object)| selector.matches(&object.value));
    let objects = wanted.map(|(_, object)| Arc::clone(object)).collect();
    Ok(Walk { id: 0, version: current, objects })
}

impl Page {
    pub(crate) fn text(&self, of: &Resource, view: View) -> String {
        let (kind, api_version) = match view {
            View::Whole => (format!("{}List", of.kind), of.api_version()),
            View::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        let next = self.next.as_ref().map_or_else(String::new, |(token, remaining)| {
            format!(",\"continue\":\"{token}\",\"remainingItemCount\":{remaining}")
        });
        let mut text = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\
             \"metadata\":{{\"resourceVersion\":\"{}\"{next}}},\"items\":[",
            self.version
        );
        for (index, object) in self.objects.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(object.text(view));
        }
        text.push_str("]}");
        text
    }
}
