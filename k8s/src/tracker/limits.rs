//! How much is taken in, and what that cost.

/// What may be kept. Kubernetes itself hardly limits anything, and whoever may make a Pod decides
/// on most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects of one kind, with those that are gone but remembered.
    pub objects: usize,
    /// Addresses of a Pod; dual stack needs 2.
    pub addresses_per_pod: usize,
    /// Addresses of a Node.
    pub addresses_per_node: usize,
    /// Pod networks of a Node.
    pub networks_per_node: usize,
    /// Addresses of a Service times its ports.
    pub front_ends_per_service: usize,
    /// Of an object, of those that the filter allows.
    pub labels: usize,
    /// Owners that are remembered of one address.
    pub history: usize,
    /// Ends of tenancies and objects that are remembered, in all.
    pub departures: usize,
    /// Distinct texts that are shared.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 1_000_000,
            addresses_per_pod: 4,
            addresses_per_node: 32,
            networks_per_node: 8,
            front_ends_per_service: 1_024,
            labels: 32,
            history: 8,
            departures: 1_000_000,
            names: 262_144,
        }
    }
}

/// What was not taken in, or not kept as long as it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Objects refused since there are too many of their kind.
    pub objects_refused: u64,
    /// Objects without a uid or a name, or with one that is longer than Kubernetes allows.
    pub objects_malformed: u64,
    /// News of objects that were known to be gone for good: a list from before.
    pub objects_late: u64,
    /// Addresses beyond the limit of their Pod or Node.
    pub addresses_cut: u64,
    /// Pod networks beyond the limit of their Node.
    pub networks_cut: u64,
    /// Addresses and ports beyond the limit of their Service.
    pub front_ends_cut: u64,
    /// Labels beyond the limit of their object, or longer than Kubernetes allows.
    pub labels_cut: u64,
    /// Owners forgotten since their address had too many.
    pub histories_cut: u64,
    /// Ends forgotten before their time since there were too many.
    pub forgotten_early: u64,
    /// How often texts began to be shared anew since there were too many.
    pub names_shared_anew: u64,
}
