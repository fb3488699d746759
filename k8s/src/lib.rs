//! Who owns an address, and who did: Pods, Nodes and Services of a cluster.
//!
//! API server ─▶ [`watch`] ─▶ objects and their changes ─▶ [`Tracker`] ─▶ [`Cluster`] ─▶ look-ups
//!
//! A [`Cluster`] is an immutable snapshot, read from a file or published by a [`Tracker`]. Stages
//! that need names take it as an argument and never ask where it came from.
pub mod client; // the way to the API server, and what it has to allow
pub mod objects; // what is known of Kubernetes objects, and how it changes
pub mod watch; // objects of the API server, followed for ever

mod tracker; // changes become snapshots
mod labels; // which labels are worth keeping
mod selector; // and which Pods are meant by theirs
mod cluster; // the snapshot and its look-ups
mod lookup; // what it answers
mod holding; // who has had one address, and when
mod networks; // which addresses are Pods'
mod persistent; // maps whose copies share what is equal

mod file; // a cluster described by hand, in YAML

mod request; // one object, with a deadline
pub mod certificates; // who may talk to whom: a CA, and what it signs
pub mod service; // where a Service is
pub mod review; // who a token is of, and what that somebody may do
pub mod identity; // which cluster this is
pub mod lease; // who of several does what is done once

pub use cluster::{Cluster, Node, Pod, Service};
pub use file::FileError;
pub use holding::Margins;
pub use labels::LabelFilter;
pub use lookup::{Lookup, Reason};
pub use request::ObjectError;
pub use selector::LabelSelector;
pub use tracker::{Limits, Stats, Tracker};
