//! Certificates of a collector and its exporters: made, kept in Kubernetes, rotated, followed.
//!
//! Names, keys and contents of the objects are those Antrea's Agents read
//! (`pkg/agent/flowexporter`: the `ConfigMap` and the clients' Secret, both at each connect).
//!
//! ```text
//!            Secret, ConfigMap                      rustls configurations
//! Keeper ◀──────────────────▶ API server    Keeper ──────────▶ ServerSource ─▶ each accept
//!    │ read, `next`, write, read again    Follower ──────────▶ Server-, ClientSource ─▶ each connect
//!    └ `next` is a pure function of what is stored and the time
//! ```
//!
//! How a rotation goes, and who trusts whom meanwhile: docs/decisions/0011-certificate-rotation.md.
mod pair; // a certificate chain and its key, as PEM and in memory
mod authority; // the CA: made, read, and what it signs
mod state; // what is stored, and what must be written next
mod objects; // the same in Kubernetes
mod tls; // configurations for rustls, exchanged while in use
mod keeper; // the aggregator's side: keeps the objects right
mod origin; // objects and files that somebody else keeps
mod follower; // the other sides: follow these

pub use authority::KeyKind;
pub use follower::{FollowCounters, FollowError, Follower, check_files};
pub use keeper::{CheckError, Counters, Keeper, Options};
pub use origin::{
    AuthoritiesOrigin, ClientOrigin, ObjectName, PairFiles, PairOrigin, ReadError, ServerFiles,
};
pub use pair::PairError;
pub use tls::{ClientPolicy, ClientSource, ServerSource, Source};

/// Where Antrea's Flow Aggregator is, and its objects.
pub const AGGREGATOR_NAMESPACE: &str = "flow-aggregator";
/// The Secret with the CA's certificate and key.
pub const AUTHORITY_SECRET: &str = "flow-aggregator-ca-tls";
/// The Secret with the pair of all exporters.
pub const CLIENT_SECRET: &str = "flow-aggregator-client-tls";
/// The `ConfigMap` with the CAs to trust.
pub const BUNDLE_CONFIG_MAP: &str = "flow-aggregator-ca";
/// The key of the bundle in its `ConfigMap`.
pub const BUNDLE_KEY: &str = "ca.crt";

const CERTIFICATE_KEY: &str = "tls.crt";
const PRIVATE_KEY_KEY: &str = "tls.key";
/// The CA before this one, in the authority's Secret; ours alone.
const PREVIOUS_KEY: &str = "previous.crt";
/// This CA's key and name, certified by the CA before it; ours alone.
const CROSS_KEY: &str = "cross.crt";

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;
/// How long what is issued is good for.
const LIFETIME_S: u64 = 365 * DAY_S;
/// What has less left is replaced.
const RENEW_BEFORE_S: u64 = 90 * DAY_S;
/// How long a replaced CA is still trusted. Its key is gone by then.
const OVERLAP_S: u64 = 30 * DAY_S;
/// Certificates begin this much before they are made: clocks differ.
const BACKDATED_S: u64 = HOUR_S;
