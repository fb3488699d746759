//! What a test tells the server to do wrong, and whom to trust.

use std::time::Duration;

use super::StandIn;
use super::access::Access;
use super::faults::{End, Expiry, Failure};

/// Who may do what. At first everybody may do everything.
impl StandIn {
    /// From here on only what the rules say is allowed, to whom they say. For example
    ///
    /// ```yaml
    /// users:
    /// - name: system:serviceaccount:ns:name
    ///   token: secret
    ///   groups: [system:serviceaccounts]
    ///   rules: # as in a Role or ClusterRole
    ///   - apiGroups: [""]
    ///     resources: [pods]
    ///     verbs: [get, list, watch]
    ///     resourceNames: [] # optional
    ///     namespaces: [] # optional: where it holds; everywhere and of the cluster if empty
    /// ```
    #[track_caller]
    pub fn require_access(&self, rules: &str) {
        self.shared.state().access = Access::read(rules).expect("a rule file");
    }

    /// Knows a user of the rules by one more token.
    pub fn accept_token(&self, token: &str, user: &str) {
        self.shared.state().access.accept(token, user);
    }

    /// From here on no token given so far is known. Open watches go on, as with real servers.
    pub fn expire_tokens(&self) {
        self.shared.state().access.expire_tokens();
    }
}

/// Faults on command.
impl StandIn {
    /// Ends every open watch.
    pub fn end_watches(&self, how: End) {
        self.shared.orders.send_modify(|orders| {
            orders.ends += 1;
            orders.how = Some(how);
        });
    }

    /// From here on no watch says anything, until it is called with `false`.
    pub fn stall_watches(&self, stalled: bool) {
        self.shared.orders.send_modify(|orders| orders.stalled = stalled);
    }

    /// Sends a bookmark to every open watch that wants them.
    pub fn send_bookmarks(&self) {
        self.shared.orders.send_modify(|orders| orders.bookmarks += 1);
    }

    /// From here on events are sent so much later.
    pub fn delay_events(&self, delay: Duration) {
        self.shared.orders.send_modify(|orders| orders.delay = delay);
    }

    /// From here on every event is sent so many times more; 0 ends it.
    pub fn duplicate_events(&self, more: u32) {
        self.shared.orders.send_modify(|orders| orders.duplicates = more);
    }

    /// Refuses requests.
    pub fn fail(&self, failure: Failure) {
        self.shared.state().faults.failures.push(failure);
    }

    /// From here on no request is refused on command.
    pub fn fail_no_more(&self) {
        self.shared.state().faults.failures.clear();
    }

    /// From here on lists are answered so much later.
    pub fn delay_lists(&self, delay: Duration) {
        self.shared.state().faults.list_delay = delay;
    }

    /// Refuses `sendInitialEvents`, as servers do that do not stream lists.
    pub fn refuse_streaming_lists(&self, refuse: bool) {
        self.shared.state().faults.no_streaming_lists = refuse;
    }

    /// From here on custom resources are served only while there is a `CustomResourceDefinition`
    /// of theirs. Their objects outlast it.
    pub fn require_definitions(&self) {
        self.shared.state().faults.definitions_required = true;
    }

    /// Forgets history: watches from a version told so far, and lists that are half walked, are
    /// answered with 410 Gone. Open watches go on.
    pub fn compact(&self) {
        let mut state = self.shared.state();
        state.store.compact();
        state.walks.expire();
    }

    /// From here on no more than so many events are remembered, 100,000 at first. Watches that
    /// are told to start before them, or are that far behind, are told 410 Gone.
    pub fn keep_history(&self, events: usize) {
        self.shared.state().store.keep_history(events);
    }

    /// How 410 Gone is told to watches.
    pub fn expire_by(&self, expiry: Expiry) {
        self.shared.state().faults.expiry = expiry;
    }
}
