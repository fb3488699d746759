//! Destinations that are custom resources: what kubectl writes is what the exporter wants to
//! reach, how it gets there, and what it lacks where it does not.
//!
//! kubectl, openssl and PyPI's `jsonschema` are the foreign parties.

#![expect(clippy::unwrap_used, reason = "what fails in a test should say where")]

#[path = "destinations_crd/reached.rs"]
mod reached; // Services, and certificates before and after a rotation
#[path = "destinations_crd/schema.rs"]
mod schema; // what the manifest allows
#[path = "destinations_crd/wanted.rs"]
mod wanted; // the set that follows the resources
#[path = "destinations_crd/world.rs"]
mod world; // an API server, kubectl, and an exporter's view of both
