//! Who owns an address: Pods, Nodes and Services of a cluster.
//!
//! A [`Cluster`] is an immutable snapshot. It is read from a file here; stages that need names
//! take it as an argument and never ask where it came from.
mod cluster; // the snapshot and its look-ups
mod file; // a cluster described by hand, in YAML
mod networks; // which addresses are Pods'
mod request; // one object, with a deadline
pub mod certificates; // who may talk to whom: a CA, and what it signs
pub mod lease; // who of several does what is done once

pub use cluster::{Cluster, Node, Pod};
pub use file::FileError;
pub use request::ObjectError;
