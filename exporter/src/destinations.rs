//! From what somebody wants to a way there: destinations of custom resources, Services as
//! addresses, and certificates.
//!
//! ```text
//!  FlowExporterDestinations ─▶ watching ─▶ desired ─▶ Arc<[Spec]>
//!  Spec ─▶ Way ─▶ where it is, asked before each connect: material is there? Service's address?
//!                 and what TLS uses there: followed for as long as the destination lasts
//! ```
pub mod crd; // the custom resource, as Antrea has it
mod translate; // a resource becomes a destination, or is refused
mod desired; // which are wanted now
mod watching; // the API server's resources, followed
mod material; // certificates, always current
mod way; // how a destination is reached
mod counters; // what is counted
mod rules; // what the API server has to allow

pub use counters::Counters;
pub use desired::{KNOWN, Refused};
pub use material::{Material, of_aggregator};
pub use rules::manifests;
pub use translate::{Defaults, Refusal};
pub use watching::{CustomResources, Watching};
pub use way::{Way, WayError};
