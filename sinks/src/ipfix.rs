//! Flows over IPFIX, to whoever collects it.
mod options; // how

pub use options::{Directions, Options, Profile, observation_domain};
