//! How flows are told as JSON over a connection.

use flow::Contents;

use crate::FarEnd;

/// How flows are told as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub to: FarEnd,
    pub contents: Contents,
    /// Antrea's `clusterId`: what the configuration calls this cluster, or its UUID.
    pub cluster_id: String,
}
