//! An aggregator that is told everything by a file, and told otherwise while it runs.

#[path = "aggregator_config/running.rs"]
mod running; // one that runs
#[path = "aggregator_config/told.rs"]
mod told; // what it says of its configuration
#[path = "aggregator_config/changed.rs"]
mod changed; // what changes while it runs
#[path = "aggregator_config/counted.rs"]
mod counted; // what outputs count
#[path = "aggregator_config/secured.rs"]
mod secured; // what protects what comes in
