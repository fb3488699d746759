//! Antrea's `Egress`: by which address, and through which Node, a Pod's connections leave the
//! cluster.
//!
//! Which Egress an Agent applies is in its memory only. Known are which ones select a Pod, and
//! what their status says. With one there is no doubt. Of several an Agent applies the one that
//! it came upon first, which nobody else can know, so none is told.
mod resource; // what one says
mod table; // all there are, and whom they select
mod following; // the API server's

pub use following::Following;
pub use resource::KIND;
pub use table::{Effective, Egresses, Uncertain};

/// Manifest of the `ClusterRole` that reading them needs.
pub fn manifest() -> String {
    k8s::client::cluster_role("fyke-egresses", &[KIND])
}

#[cfg(test)]
mod tests;
